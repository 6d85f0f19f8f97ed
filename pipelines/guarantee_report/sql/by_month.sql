-- The year by month: volume and money of the claims that count.
SELECT
    strftime(filled_on, '%Y-%m') AS month,
    client,
    count(*) AS claims,
    count(*) FILTER (drug_class = 'brand') AS brand_claims,
    count(*) FILTER (drug_class = 'generic') AS generic_claims,
    sum(awp_cents) AS awp_cents,
    sum(ingredient_cents) AS ingredient_cents,
    sum(fee_cents) AS fee_cents,
    sum(rebate_cents) AS rebate_cents
FROM checked_accepted
GROUP BY month, client
