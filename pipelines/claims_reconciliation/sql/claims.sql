-- One row a claim: who is billed first, when it was served, and what it says of itself.
SELECT
    Id AS claim_id,
    PRIMARYPATIENTINSURANCEID AS payer_id,
    CAST(TRY_CAST(SERVICEDATE AS TIMESTAMP) AS DATE) AS service_date,
    STATUS1 AS status,
    CAST(round((
        coalesce(TRY_CAST(OUTSTANDING1 AS DECIMAL(18, 4)), 0)
        + coalesce(TRY_CAST(OUTSTANDING2 AS DECIMAL(18, 4)), 0)
        + coalesce(TRY_CAST(OUTSTANDINGP AS DECIMAL(18, 4)), 0)
    ) * 100) AS BIGINT) AS stated_outstanding_cents
FROM files_claims
