// The ledger: Azure SQL, Entra sign-in only. Its users are made by SQL, once: docs/how-to/deploy-to-aks.md.
param name string
param location string
param adminGroupId string
param adminGroupName string
param workspaceId string

resource server 'Microsoft.Sql/servers@2023-08-01-preview' = {
  name: '${name}-${uniqueString(resourceGroup().id)}'
  location: location
  properties: {
    minimalTlsVersion: '1.2'
    administrators: {
      administratorType: 'ActiveDirectory'
      azureADOnlyAuthentication: true
      login: adminGroupName
      sid: adminGroupId
      principalType: 'Group'
      tenantId: subscription().tenantId
    }
  }
}

resource database 'Microsoft.Sql/servers/databases@2023-08-01-preview' = {
  parent: server
  name: 'ledger'
  location: location
  sku: {
    name: 'GP_Gen5'
    tier: 'GeneralPurpose'
    family: 'Gen5'
    capacity: 4
  }
  properties: {
    zoneRedundant: true
    requestedBackupStorageRedundancy: 'GeoZone'
    // Ids compare by their bytes, as on the other databases.
    collation: 'Latin1_General_100_BIN2_UTF8'
  }
}

// Services of Azure may connect; narrow it to your network with private endpoints where you have them.
resource azureServices 'Microsoft.Sql/servers/firewallRules@2023-08-01-preview' = {
  parent: server
  name: 'AllowAllWindowsAzureIps'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: database
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'Errors'
        enabled: true
      }
      {
        category: 'Deadlocks'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Basic'
        enabled: true
      }
    ]
  }
}

output serverName string = server.properties.fullyQualifiedDomainName
output databaseName string = database.name
output databaseId string = database.id
