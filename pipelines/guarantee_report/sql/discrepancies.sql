-- The legacy export against the recomputed guarantees: every difference by kind and key, with both
-- values. A shortfall that follows from a stale rate alone is no second discrepancy.
WITH ours AS (
    SELECT
        channel || '/' || drug_class || '/' || measure AS key,
        client, measure, claims, rate, awp_cents, actual_cents, guaranteed_cents, shortfall_cents,
        status
    FROM guarantees_lines
),
theirs AS (
    SELECT
        channel || '/' || drug_class || '/' || measure AS key,
        copy, claims, rate, actual_cents, guaranteed_cents, shortfall_cents
    FROM contract_legacy
),
pairs AS (
    SELECT
        o.key, o.measure, o.status,
        o.claims AS our_claims, t.claims AS their_claims,
        o.rate AS our_rate, t.rate AS their_rate,
        o.actual_cents AS our_actual, t.actual_cents AS their_actual,
        o.shortfall_cents AS our_shortfall, t.shortfall_cents AS their_shortfall,
        t.guaranteed_cents AS their_guaranteed,
        -- What we would guarantee at the rate that the export used.
        CASE o.measure
            WHEN 'awp_discount' THEN (o.awp_cents * (10000 - t.rate) + 5000) // 10000
            ELSE o.claims * t.rate
        END AS our_guaranteed
    FROM ours AS o
    JOIN theirs AS t ON t.key = o.key AND t.copy = 1
),
computable AS (
    SELECT
        *,
        CASE measure
            WHEN 'rebate' THEN greatest(our_guaranteed - our_actual, 0)
            ELSE greatest(our_actual - our_guaranteed, 0)
        END AS our_shortfall_at_their_rate
    FROM pairs
    WHERE status <> 'not computable'
),
found AS (
    SELECT
        'missing_row' AS kind, key, 'money' AS unit,
        shortfall_cents AS ours, CAST(NULL AS BIGINT) AS theirs
    FROM ours
    WHERE status <> 'not computable' AND key NOT IN (SELECT key FROM theirs)
    UNION ALL
    SELECT 'unknown_row', key, 'money', NULL, shortfall_cents
    FROM theirs
    WHERE copy = 1 AND key NOT IN (SELECT key FROM ours)
    UNION ALL
    SELECT 'duplicated_row', key, 'count', 1, max(copy)
    FROM theirs
    GROUP BY key
    HAVING max(copy) > 1
    UNION ALL
    SELECT 'unsupported_figure', key, 'money', NULL, their_shortfall
    FROM pairs
    WHERE status = 'not computable'
    UNION ALL
    SELECT 'stale_rate', key, CASE measure WHEN 'awp_discount' THEN 'percent' ELSE 'money' END,
        our_rate, their_rate
    FROM computable
    WHERE our_rate IS DISTINCT FROM their_rate
    UNION ALL
    SELECT 'wrong_claims', key, 'count', our_claims, their_claims
    FROM computable
    WHERE our_claims IS DISTINCT FROM their_claims
    UNION ALL
    SELECT 'wrong_actual', key, 'money', our_actual, their_actual
    FROM computable
    WHERE our_actual IS DISTINCT FROM their_actual
    UNION ALL
    SELECT 'wrong_guaranteed', key, 'money', our_guaranteed, their_guaranteed
    FROM computable
    WHERE their_rate IS NOT NULL AND our_guaranteed IS DISTINCT FROM their_guaranteed
    UNION ALL
    SELECT CASE measure WHEN 'rebate' THEN 'wrong_rebate' ELSE 'wrong_shortfall' END, key, 'money',
        our_shortfall, their_shortfall
    FROM computable
    WHERE our_shortfall IS DISTINCT FROM their_shortfall
        AND our_shortfall_at_their_rate IS DISTINCT FROM their_shortfall
),
shown AS (
    SELECT
        *,
        CASE unit WHEN 'count' THEN format('{}', ours)
            ELSE CASE WHEN ours < 0 THEN '-' ELSE '' END
                || format('{}.{:02d}', abs(ours) // 100, abs(ours) % 100)
                || CASE unit WHEN 'percent' THEN ' %' ELSE '' END
        END AS our_text,
        CASE unit WHEN 'count' THEN format('{}', theirs)
            ELSE CASE WHEN theirs < 0 THEN '-' ELSE '' END
                || format('{}.{:02d}', abs(theirs) // 100, abs(theirs) % 100)
                || CASE unit WHEN 'percent' THEN ' %' ELSE '' END
        END AS their_text
    FROM found
)
SELECT
    s.key,
    s.kind,
    (SELECT min(client) FROM ours) AS client,
    CASE s.kind WHEN 'unsupported_figure' THEN 'not computable' ELSE s.our_text END AS recomputed,
    s.their_text AS legacy,
    CASE WHEN s.unit = 'money' AND s.kind NOT IN ('stale_rate', 'unsupported_figure')
        THEN coalesce(s.theirs, 0) - coalesce(s.ours, 0)
    END AS difference_cents,
    CASE s.kind
        WHEN 'missing_row' THEN 'The export leaves this guarantee out.'
        WHEN 'unknown_row' THEN 'The contract does not have this guarantee.'
        WHEN 'duplicated_row' THEN 'The export has this guarantee more than once.'
        WHEN 'unsupported_figure' THEN 'The export states an amount that the claims cannot support.'
        WHEN 'stale_rate' THEN 'The export uses a rate that the contract does not have.'
        WHEN 'wrong_claims' THEN 'The number of claims differs.'
        WHEN 'wrong_actual' THEN 'The actual amount differs.'
        WHEN 'wrong_guaranteed' THEN 'The guaranteed amount does not follow from the rate.'
        WHEN 'wrong_rebate' THEN 'The rebate due differs.'
        ELSE 'The shortfall differs.'
    END AS meaning
FROM shown AS s
