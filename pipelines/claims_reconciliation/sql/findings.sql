-- What is found, and how often.
SELECT
    finding,
    count(*) AS claims,
    sum(charged_cents) AS charged_cents,
    sum(paid_cents) AS paid_cents,
    sum(balance_cents) AS balance_cents
FROM reconciled
GROUP BY finding
