-- Claims that do not reconcile, by days since they were served.
WITH buckets (place, bucket, from_day, to_day) AS (
    VALUES
        (1, '0 to 30 days', -100000, 30),
        (2, '31 to 60 days', 31, 60),
        (3, '61 to 90 days', 61, 90),
        (4, '91 to 180 days', 91, 180),
        (5, '181 to 365 days', 181, 365),
        (6, 'over 365 days', 366, 1000000)
)
SELECT
    b.place,
    b.bucket,
    count(c.claim_id) AS claims,
    coalesce(sum(c.balance_cents) FILTER (c.balance_cents > 0), 0) AS underpaid_cents,
    coalesce(-sum(c.balance_cents) FILTER (c.balance_cents < 0), 0) AS overpaid_cents,
    coalesce(sum(c.balance_cents), 0) AS balance_cents
FROM buckets AS b
LEFT JOIN reconciled AS c
    ON c.balance_cents <> 0 AND c.age_days BETWEEN b.from_day AND b.to_day
GROUP BY b.place, b.bucket
