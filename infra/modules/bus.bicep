// The Service Bus namespace. Its queues are made from lanes.toml by `fleet bus apply`, not here: they
// follow the lanes, and the lanes follow the code.
param name string
param location string
param tier string
param units int
param partitions int
param workspaceId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: '${name}-bus'
  location: location
  sku: {
    name: tier
    tier: tier
    capacity: tier == 'Premium' ? units : null
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    zoneRedundant: tier == 'Premium'
    // Said once, when the namespace is made; the units are spread evenly over them.
    premiumMessagingPartitions: tier == 'Premium' ? partitions : null
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'OperationalLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output namespaceId string = namespace.id
output namespaceName string = namespace.name
