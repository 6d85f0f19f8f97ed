-- Payers by id; the claims use 0 for a patient without insurance.
SELECT Id AS payer_id, NAME AS payer FROM files_payers
UNION ALL
SELECT '0', 'No insurance'
