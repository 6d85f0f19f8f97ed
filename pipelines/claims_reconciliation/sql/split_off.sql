-- What validation said, rule by rule.
SELECT
    rule ->> '$.name' AS rule,
    rule ->> '$.severity' AS severity,
    rule ->> '$.message' AS message,
    CAST(rule ->> '$.broken' AS BIGINT) AS broken,
    CASE
        WHEN CAST(rule ->> '$.broken' AS BIGINT) = 0 THEN 'kept'
        WHEN rule ->> '$.severity' = 'warning' THEN 'noted'
        ELSE 'split off'
    END AS outcome
FROM (SELECT unnest(CAST(document -> '$.rules' AS JSON[])) AS rule FROM checked_rules)
