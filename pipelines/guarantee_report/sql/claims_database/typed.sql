-- Typed, money in integer cents. What cannot be read is null, and validation says so.
WITH amounts AS (
    SELECT
        *,
        TRY_CAST(awp AS DECIMAL(18, 4)) AS awp_amount,
        TRY_CAST(ingredient_cost AS DECIMAL(18, 4)) AS ingredient_amount,
        TRY_CAST(dispensing_fee AS DECIMAL(18, 4)) AS fee_amount,
        TRY_CAST(rebate AS DECIMAL(18, 4)) AS rebate_amount
    FROM claims
)
SELECT
    claim_id,
    TRY_CAST(line AS INTEGER) AS line,
    client,
    TRY_CAST(filled_on AS DATE) AS filled_on,
    ndc,
    CASE channel WHEN 'R' THEN 'retail' WHEN 'M' THEN 'mail' WHEN 'S' THEN 'specialty' END
        AS channel,
    CASE drug_type WHEN 'B' THEN 'brand' WHEN 'G' THEN 'generic' END AS drug_class,
    TRY_CAST(quantity AS DECIMAL(18, 3)) AS quantity,
    CAST(round(awp_amount * 100) AS BIGINT) AS awp_cents,
    CAST(round(ingredient_amount * 100) AS BIGINT) AS ingredient_cents,
    CAST(round(fee_amount * 100) AS BIGINT) AS fee_cents,
    CAST(round(rebate_amount * 100) AS BIGINT) AS rebate_cents,
    channel AS channel_given,
    drug_type AS drug_type_given,
    filled_on AS filled_on_given,
    ingredient_cost AS ingredient_cost_given
FROM amounts
