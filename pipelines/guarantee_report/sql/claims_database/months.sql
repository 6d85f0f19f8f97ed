-- The months that the client's claims were filled in.
SELECT DISTINCT substr(filled_on, 1, 7) AS month
FROM claim_lines
WHERE client = :client
ORDER BY month
