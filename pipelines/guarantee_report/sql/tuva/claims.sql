-- One month of pharmacy claims in the Tuva input layer.
SELECT
    claim_id, claim_line_number, payer, dispensing_date, ndc_code, quantity, days_supply,
    paid_amount, allowed_amount
FROM pharmacy_claim_seed
WHERE payer = :client AND substr(dispensing_date, 1, 7) = :month
ORDER BY dispensing_date, claim_id, claim_line_number
