-- One month of the client's claim lines, as they are.
SELECT
    claim_id, line, client, filled_on, ndc, channel, drug_type, quantity, awp, ingredient_cost,
    dispensing_fee, rebate
FROM claim_lines
WHERE client = :client AND filled_on BETWEEN :month || '-01' AND :month || '-31'
ORDER BY filled_on, claim_id, line
