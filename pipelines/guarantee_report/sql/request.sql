-- The request that asked for the report.
SELECT
    document ->> '$.CaseNumber' AS case_number,
    document ->> '$.Subject' AS subject,
    document ->> '$.Client__c' AS client,
    TRY_CAST(document ->> '$.Period_Start__c' AS DATE) AS period_start,
    TRY_CAST(document ->> '$.Period_End__c' AS DATE) AS period_end
FROM documents_request
