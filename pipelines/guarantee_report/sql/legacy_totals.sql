-- One row: how the export compares.
WITH ours AS (
    SELECT
        min(client) AS client,
        count(*) AS guarantees,
        sum(shortfall_cents) AS shortfall_cents
    FROM guarantees_lines
),
theirs AS (
    SELECT count(*) AS lines, sum(shortfall_cents) AS shortfall_cents FROM contract_legacy
)
SELECT
    o.client,
    o.guarantees,
    t.lines AS legacy_lines,
    o.shortfall_cents,
    coalesce(t.shortfall_cents, 0) AS legacy_shortfall_cents,
    coalesce(t.shortfall_cents, 0) - o.shortfall_cents AS difference_cents
FROM ours AS o CROSS JOIN theirs AS t
