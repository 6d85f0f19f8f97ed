-- Every claim: what was charged, paid and adjusted, what is left, and what that means.
-- A claim reconciles when charges less payments and adjustments leave nothing.
WITH ledger AS (
    SELECT
        claim_id,
        count(*) FILTER (type = 'CHARGE') AS charges,
        count(*) FILTER (type = 'PAYMENT') AS payments,
        coalesce(sum(amount_cents) FILTER (type = 'CHARGE'), 0) AS charged_cents,
        coalesce(sum(payment_cents) FILTER (type = 'PAYMENT'), 0) AS paid_cents,
        coalesce(sum(payment_cents) FILTER (type = 'PAYMENT' AND method = 'COPAY'), 0)
            AS copay_cents,
        coalesce(sum(adjustment_cents), 0) AS adjusted_cents,
        min(from_date) AS first_date,
        max(from_date) AS last_date
    FROM checked_accepted
    GROUP BY claim_id
),
day AS (
    SELECT coalesce(TRY_CAST($as_of AS DATE), (SELECT max(last_date) FROM ledger)) AS as_of
),
balances AS (
    SELECT
        l.*,
        l.charged_cents - l.paid_cents - l.adjusted_cents AS balance_cents,
        c.payer_id,
        coalesce(c.service_date, l.first_date) AS service_date,
        c.status,
        c.stated_outstanding_cents
    FROM ledger AS l
    LEFT JOIN typed_claims AS c ON c.claim_id = l.claim_id
)
SELECT
    b.claim_id,
    coalesce(p.payer, CASE WHEN b.payer_id IS NULL THEN 'Claim not found' ELSE 'Unknown payer' END)
        AS payer,
    b.service_date,
    coalesce(b.status, '') AS stated_status,
    b.charges,
    b.payments,
    b.charged_cents,
    b.paid_cents,
    b.copay_cents,
    b.adjusted_cents,
    b.balance_cents,
    b.stated_outstanding_cents,
    d.as_of,
    CAST(date_diff('day', b.service_date, d.as_of) AS BIGINT) AS age_days,
    CASE
        WHEN b.balance_cents = 0 THEN 'reconciles'
        WHEN b.charges = 0 THEN 'paid, never charged'
        WHEN b.payments = 0 THEN 'charged, never paid'
        WHEN b.balance_cents > 0 THEN 'paid less than charged'
        WHEN b.copay_cents > b.charged_cents THEN 'copay above charge'
        ELSE 'paid more than charged'
    END AS finding
FROM balances AS b
CROSS JOIN day AS d
LEFT JOIN typed_payers AS p ON p.payer_id = b.payer_id
