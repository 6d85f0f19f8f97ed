-- The one schema of the report. Tuva's input layer has no AWP, no channel, no brand flag, no
-- dispensing fee and no rebate: they are null, never zero, and what needs them is not computable.
SELECT
    claim_id,
    TRY_CAST(claim_line_number AS INTEGER) AS line,
    payer AS client,
    TRY_CAST(dispensing_date AS DATE) AS filled_on,
    ndc_code AS ndc,
    CAST(NULL AS VARCHAR) AS channel,
    CAST(NULL AS VARCHAR) AS drug_class,
    TRY_CAST(quantity AS DECIMAL(18, 3)) AS quantity,
    CAST(NULL AS BIGINT) AS awp_cents,
    CAST(round(TRY_CAST(paid_amount AS DECIMAL(18, 4)) * 100) AS BIGINT) AS ingredient_cents,
    CAST(NULL AS BIGINT) AS fee_cents,
    CAST(NULL AS BIGINT) AS rebate_cents,
    CAST(NULL AS VARCHAR) AS channel_given,
    CAST(NULL AS VARCHAR) AS drug_type_given,
    dispensing_date AS filled_on_given,
    paid_amount AS ingredient_cost_given
FROM claims
