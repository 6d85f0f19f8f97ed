-- One row: what the report comes to. Where nothing could be computed the sums are null, not zero.
SELECT
    min(client) AS client,
    min(contract) AS contract,
    (SELECT min(case_number) FROM contract_request) AS case_number,
    (SELECT min(subject) FROM contract_request) AS subject,
    count(*) AS guarantees,
    count(*) FILTER (status <> 'not computable') AS computed,
    CASE WHEN computed > 0 THEN count(*) FILTER (status = 'met') END AS met,
    CASE WHEN computed > 0 THEN count(*) FILTER (status = 'missed') END AS missed,
    count(*) FILTER (status = 'not computable') AS not_computable,
    sum(shortfall_cents) FILTER (measure <> 'rebate') AS shortfall_cents,
    sum(shortfall_cents) FILTER (measure = 'rebate') AS rebates_due_cents,
    sum(shortfall_cents) AS due_cents,
    (SELECT count(*) FROM checked_accepted) AS claims,
    (SELECT sum(ingredient_cents) FROM checked_accepted) AS ingredient_cents,
    (SELECT count(*) FROM checked_rejected) AS split_off
FROM guarantees_lines
