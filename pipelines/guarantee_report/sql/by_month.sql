-- The year by month: volume and money of the claims that count.
SELECT
    strftime(filled_on, '%Y-%m') AS month,
    client,
    count(*) AS claims,
    -- Where a claim does not say, the split is not known; it is not zero.
    CASE WHEN count(drug_class) = count(*) THEN count(*) FILTER (drug_class = 'brand') END
        AS brand_claims,
    CASE WHEN count(drug_class) = count(*) THEN count(*) FILTER (drug_class = 'generic') END
        AS generic_claims,
    sum(awp_cents) AS awp_cents,
    sum(ingredient_cents) AS ingredient_cents,
    sum(fee_cents) AS fee_cents,
    sum(rebate_cents) AS rebate_cents
FROM checked_accepted
GROUP BY month, client
