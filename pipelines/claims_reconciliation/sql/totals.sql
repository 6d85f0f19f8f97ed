-- One row: what the ledger comes to.
SELECT
    count(*) AS claims,
    count(*) FILTER (balance_cents = 0) AS reconciled,
    count(*) FILTER (balance_cents <> 0) AS unreconciled,
    sum(charges) AS charges,
    sum(payments) AS payments,
    sum(charged_cents) AS charged_cents,
    sum(paid_cents) AS paid_cents,
    sum(adjusted_cents) AS adjusted_cents,
    sum(balance_cents) AS balance_cents,
    coalesce(sum(balance_cents) FILTER (balance_cents > 0), 0) AS underpaid_cents,
    coalesce(-sum(balance_cents) FILTER (balance_cents < 0), 0) AS overpaid_cents,
    count(*) FILTER (balance_cents <> coalesce(stated_outstanding_cents, 0)) AS misstated,
    max(as_of) AS as_of,
    (SELECT count(*) FROM checked_rejected) AS split_off
FROM reconciled
