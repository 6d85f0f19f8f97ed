-- Every guarantee of the contract: actual against guaranteed, in cents.
-- Only claims filled while the contract is in force count. A guarantee whose input is missing is
-- not computable, with the reason; it is never zero.
WITH term AS (
    SELECT channel, drug_class, measure, contract, client, effective_from, effective_to, rate
    FROM terms_accepted
),
period AS (
    SELECT max(effective_from) AS effective_from, min(effective_to) AS effective_to FROM term
),
claim AS (
    SELECT c.*
    FROM checked_accepted AS c, period AS p
    WHERE c.filled_on BETWEEN p.effective_from AND p.effective_to
),
everything AS (
    SELECT
        count(*) AS claims,
        count(*) FILTER (channel IS NULL) AS no_channel,
        count(*) FILTER (drug_class IS NULL) AS no_class
    FROM claim
),
segment AS (
    SELECT
        channel,
        drug_class,
        count(*) AS claims,
        count(*) FILTER (awp_cents IS NULL) AS no_awp,
        count(*) FILTER (fee_cents IS NULL) AS no_fee,
        count(*) FILTER (rebate_cents IS NULL) AS no_rebate,
        sum(awp_cents) AS awp_cents,
        sum(ingredient_cents) AS ingredient_cents,
        sum(fee_cents) AS fee_cents,
        sum(rebate_cents) AS rebate_cents
    FROM claim
    GROUP BY channel, drug_class
),
gathered AS (
    SELECT
        t.channel, t.drug_class, t.measure, t.contract, t.client, t.rate,
        coalesce(s.claims, 0) AS segment_claims,
        s.awp_cents, s.ingredient_cents, s.fee_cents, s.rebate_cents,
        CASE
            WHEN e.claims = 0 THEN 'no claims were filled while the contract is in force'
            WHEN e.no_channel > 0 AND e.no_class > 0 THEN
                format('{} of {} claims say neither channel nor drug class',
                    greatest(e.no_channel, e.no_class), e.claims)
                || CASE
                    WHEN t.measure = 'awp_discount' AND n.no_awp > 0
                        THEN format(', and {} have no AWP', n.no_awp)
                    WHEN t.measure = 'dispensing_fee' AND n.no_fee > 0
                        THEN format(', and {} have no dispensing fee', n.no_fee)
                    WHEN t.measure = 'rebate' AND n.no_rebate > 0
                        THEN format(', and {} have no rebate', n.no_rebate)
                    ELSE ''
                END
            WHEN e.no_channel > 0 THEN
                format('{} of {} claims do not say their channel', e.no_channel, e.claims)
            WHEN e.no_class > 0 THEN
                format('{} of {} claims do not say brand or generic', e.no_class, e.claims)
            WHEN t.measure = 'awp_discount' AND s.no_awp > 0 THEN
                format('{} of {} claims have no AWP', s.no_awp, s.claims)
            WHEN t.measure = 'dispensing_fee' AND s.no_fee > 0 THEN
                format('{} of {} claims have no dispensing fee', s.no_fee, s.claims)
            WHEN t.measure = 'rebate' AND s.no_rebate > 0 THEN
                format('{} of {} claims have no rebate', s.no_rebate, s.claims)
        END AS reason
    FROM term AS t
    CROSS JOIN everything AS e
    CROSS JOIN (
        SELECT
            coalesce(sum(no_awp), 0) AS no_awp,
            coalesce(sum(no_fee), 0) AS no_fee,
            coalesce(sum(no_rebate), 0) AS no_rebate
        FROM segment
    ) AS n
    LEFT JOIN segment AS s ON s.channel = t.channel AND s.drug_class = t.drug_class
),
measured AS (
    SELECT
        *,
        CASE WHEN reason IS NULL THEN segment_claims END AS claims,
        CASE WHEN reason IS NULL THEN
            coalesce(CASE measure
                WHEN 'awp_discount' THEN ingredient_cents
                WHEN 'dispensing_fee' THEN fee_cents
                WHEN 'rebate' THEN rebate_cents
            END, 0)
        END AS actual_cents,
        CASE WHEN reason IS NULL THEN
            -- Integers throughout; half a cent rounds up.
            CASE measure
                WHEN 'awp_discount'
                    THEN (coalesce(awp_cents, 0) * (10000 - rate) + 5000) // 10000
                ELSE segment_claims * rate
            END
        END AS guaranteed_cents
    FROM gathered
)
SELECT
    channel,
    drug_class,
    measure,
    client,
    contract,
    claims,
    rate,
    CASE WHEN reason IS NULL AND segment_claims > 0 THEN
        CASE measure
            -- Shares and averages round half up, too.
            WHEN 'awp_discount'
                THEN CAST(
                    10000 - (ingredient_cents * 20000 + awp_cents) // (2 * awp_cents) AS BIGINT)
            ELSE CAST((actual_cents * 2 + segment_claims) // (2 * segment_claims) AS BIGINT)
        END
    END AS actual_rate,
    CASE WHEN reason IS NULL THEN coalesce(awp_cents, 0) END AS awp_cents,
    actual_cents,
    guaranteed_cents,
    -- greatest() skips nulls: without this guard what is not computable would read zero.
    CASE WHEN reason IS NULL THEN
        CASE measure
            WHEN 'rebate' THEN greatest(guaranteed_cents - actual_cents, 0)
            ELSE greatest(actual_cents - guaranteed_cents, 0)
        END
    END AS shortfall_cents,
    CASE
        WHEN reason IS NOT NULL THEN 'not computable'
        WHEN segment_claims = 0 THEN 'no claims'
        WHEN measure = 'rebate' AND actual_cents < guaranteed_cents THEN 'missed'
        WHEN measure <> 'rebate' AND actual_cents > guaranteed_cents THEN 'missed'
        ELSE 'met'
    END AS status,
    coalesce(reason, '') AS reason,
    CASE measure
        WHEN 'awp_discount' THEN 'Discount off AWP'
        WHEN 'dispensing_fee' THEN 'Dispensing fee'
        ELSE 'Rebate per brand claim'
    END AS measure_title,
    CASE measure WHEN 'awp_discount' THEN ' %' ELSE '' END AS rate_unit,
    format('{}.{:02d}', rate // 100, rate % 100) || rate_unit AS rate_shown,
    CASE WHEN actual_rate < 0 THEN '-' ELSE '' END
        || format('{}.{:02d}', abs(actual_rate) // 100, abs(actual_rate) % 100)
        || rate_unit AS actual_rate_shown
FROM measured
