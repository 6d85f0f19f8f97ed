-- The months that the payer's pharmacy claims were dispensed in.
SELECT DISTINCT substr(dispensing_date, 1, 7) AS month
FROM pharmacy_claim_seed
WHERE payer = :client
ORDER BY month
