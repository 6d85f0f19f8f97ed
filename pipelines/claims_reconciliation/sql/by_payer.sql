-- The same totals for each payer billed first.
SELECT
    payer,
    count(*) AS claims,
    count(*) FILTER (balance_cents <> 0) AS unreconciled,
    sum(charged_cents) AS charged_cents,
    sum(paid_cents) AS paid_cents,
    sum(adjusted_cents) AS adjusted_cents,
    coalesce(sum(balance_cents) FILTER (balance_cents > 0), 0) AS underpaid_cents,
    coalesce(-sum(balance_cents) FILTER (balance_cents < 0), 0) AS overpaid_cents,
    sum(balance_cents) AS balance_cents
FROM reconciled
GROUP BY payer
