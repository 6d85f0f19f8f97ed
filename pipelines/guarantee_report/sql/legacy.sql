-- The legacy BI export in the report's words. `copy` numbers lines that come more than once.
WITH lines AS (
    SELECT
        CASE CHANNEL
            WHEN 'R' THEN 'retail' WHEN 'M' THEN 'mail' WHEN 'S' THEN 'specialty'
            WHEN 'L' THEN 'long_term_care' ELSE lower(CHANNEL)
        END AS channel,
        lower(BRAND_GENERIC) AS drug_class,
        CASE MEASURE
            WHEN 'AWP DISC' THEN 'awp_discount' WHEN 'DISP FEE' THEN 'dispensing_fee'
            WHEN 'REBATE' THEN 'rebate' ELSE lower(MEASURE)
        END AS measure,
        TRY_CAST(CLAIM_CNT AS BIGINT) AS claims,
        CAST(round(TRY_CAST(CONTRACT_RATE AS DECIMAL(18, 4)) * 100) AS BIGINT) AS rate,
        CAST(round(TRY_CAST(ACTUAL_AMT AS DECIMAL(18, 4)) * 100) AS BIGINT) AS actual_cents,
        CAST(round(TRY_CAST(GUARANTEED_AMT AS DECIMAL(18, 4)) * 100) AS BIGINT)
            AS guaranteed_cents,
        CAST(round(TRY_CAST(SHORTFALL_AMT AS DECIMAL(18, 4)) * 100) AS BIGINT) AS shortfall_cents
    FROM documents_legacy
)
SELECT
    channel,
    drug_class,
    measure,
    row_number() OVER (
        PARTITION BY channel, drug_class, measure
        ORDER BY claims, rate, actual_cents, guaranteed_cents, shortfall_cents
    ) AS copy,
    claims,
    rate,
    actual_cents,
    guaranteed_cents,
    shortfall_cents
FROM lines
