-- The ledger, typed; money in integer cents. What cannot be read is null, and validation says so.
SELECT
    ID AS transaction_id,
    CLAIMID AS claim_id,
    TYPE AS type,
    METHOD AS method,
    CAST(TRY_CAST(FROMDATE AS TIMESTAMP) AS DATE) AS from_date,
    CAST(TRY_CAST(TODATE AS TIMESTAMP) AS DATE) AS to_date,
    CAST(round(TRY_CAST(AMOUNT AS DECIMAL(18, 4)) * 100) AS BIGINT) AS amount_cents,
    CAST(round(TRY_CAST(PAYMENTS AS DECIMAL(18, 4)) * 100) AS BIGINT) AS payment_cents,
    CAST(round(TRY_CAST(ADJUSTMENTS AS DECIMAL(18, 4)) * 100) AS BIGINT) AS adjustment_cents,
    CAST(round(TRY_CAST(TRANSFERS AS DECIMAL(18, 4)) * 100) AS BIGINT) AS transfer_cents,
    ADJUSTMENTS AS adjustments_given
FROM files_claims_transactions
