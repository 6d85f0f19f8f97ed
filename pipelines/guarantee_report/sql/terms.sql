-- The contract's guarantees. `rate` is in hundredths: basis points off AWP, or cents a claim.
WITH guarantees AS (
    SELECT
        document ->> '$.contract' AS contract,
        document ->> '$.client' AS client,
        TRY_CAST(document ->> '$.effective_from' AS DATE) AS effective_from,
        TRY_CAST(document ->> '$.effective_to' AS DATE) AS effective_to,
        unnest(CAST(document -> '$.guarantees' AS JSON[])) AS guarantee
    FROM documents_contract
)
SELECT
    guarantee ->> '$.channel' AS channel,
    guarantee ->> '$.drug_class' AS drug_class,
    guarantee ->> '$.measure' AS measure,
    contract,
    client,
    effective_from,
    effective_to,
    CAST(round(TRY_CAST(guarantee ->> '$.rate' AS DECIMAL(18, 4)) * 100) AS BIGINT) AS rate
FROM guarantees
