// What somebody has to look at, with what to do first in each description.
param name string
param location string
param busId string
param databaseId string
param workspaceId string
param alertMail string

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${name}-people'
  location: 'global'
  properties: {
    groupShortName: 'fleet'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: alertMail
        useCommonAlertSchema: true
      }
    ]
  }
}

var onMetrics = [
  {
    name: 'dead-letters'
    target: busId
    metric: 'DeadletteredMessages'
    type: 'Microsoft.ServiceBus/namespaces'
    threshold: 0
    aggregation: 'Maximum'
    severity: 2
    description: 'A message was dead-lettered. `fleet dead-letters --groups` says why.'
  }
  {
    name: 'throttled'
    target: busId
    metric: 'ThrottledRequests'
    type: 'Microsoft.ServiceBus/namespaces'
    threshold: 10
    aggregation: 'Total'
    severity: 2
    description: 'The namespace asks to slow down. docs/explanation/autoscaling.md: Premium, or another namespace.'
  }
  {
    name: 'ledger-log-writes'
    target: databaseId
    metric: 'log_write_percent'
    type: 'Microsoft.Sql/servers/databases'
    threshold: 80
    aggregation: 'Average'
    severity: 2
    description: 'The ledger writes as much as its size allows. Give it more vCores before lanes slow down.'
  }
  {
    name: 'ledger-full'
    target: databaseId
    metric: 'storage_percent'
    type: 'Microsoft.Sql/servers/databases'
    threshold: 80
    aggregation: 'Maximum'
    severity: 1
    description: 'The ledger is nearly full. Raise its size, then archive old runs.'
  }
]

resource metricAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [for alert in onMetrics: {
  name: '${name}-${alert.name}'
  location: 'global'
  properties: {
    description: alert.description
    severity: alert.severity
    enabled: true
    scopes: [
      alert.target
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: alert.name
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: alert.type
          metricName: alert.metric
          operator: 'GreaterThan'
          threshold: alert.threshold
          timeAggregation: alert.aggregation
        }
      ]
    }
    actions: [
      {
        actionGroupId: people.id
      }
    ]
  }
}]

var onLogs = [
  {
    name: 'tasks-fail'
    severity: 2
    description: 'More than one task in twenty ended badly in a quarter of an hour. `fleet dead-letters --groups`.'
    query: loadTextContent('../queries/tasks-fail.kql')
    looksBack: 'PT15M'
  }
  {
    name: 'lane-stands-still'
    severity: 1
    description: 'A lane has tasks, runs none and finishes none. `fleet pauses`, `fleet k8s status LANE`, then its events.'
    query: loadTextContent('../queries/lane-stands-still.kql')
    looksBack: 'PT15M'
  }
]

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in onLogs: {
  name: '${name}-${alert.name}'
  location: location
  properties: {
    description: alert.description
    severity: alert.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    // Without it a query sees the window alone, whatever ago() says: one that looks further back would
    // never fire.
    overrideQueryTimeRange: alert.looksBack
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        people.id
      ]
    }
  }
}]
