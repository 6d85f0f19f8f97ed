// Who may do what. Workers send what follows and receive their own; the console looks and sends again;
// KEDA counts, for which the service knows no smaller role than Data Owner. Artifacts are written and
// never deleted: every role that Azure brings for writing may delete, so there is one of our own.
param busName string
param storageName string
param containerName string
param insightsName string
param dispatcherPrincipalId string
param workerPrincipalId string
param consolePrincipalId string
param kedaPrincipalId string

var dataOwner = '090c5cfd-751d-490a-894a-3ce6f1109419'
var dataSender = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
var dataReceiver = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
var blobReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource bus 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: busName
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = {
  name: '${storageName}/default/${containerName}'
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var onBlobs = 'Microsoft.Storage/storageAccounts/blobServices/containers'

resource artifactWriter 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'leaf-fleet-artifact-writer')
  properties: {
    type: 'CustomRole'
    roleName: 'Leaf Fleet artifact writer ${uniqueString(resourceGroup().id)}'
    description: 'Reads and writes blobs, and leases them. Deletes nothing.'
    assignableScopes: [
      resourceGroup().id
    ]
    permissions: [
      {
        actions: [
          '${onBlobs}/read'
        ]
        notActions: []
        dataActions: [
          '${onBlobs}/blobs/read'
          '${onBlobs}/blobs/write'
          '${onBlobs}/blobs/add/action'
        ]
        notDataActions: []
      }
    ]
  }
}

var onBus = [
  {
    principal: dispatcherPrincipalId
    role: dataSender
  }
  {
    principal: dispatcherPrincipalId
    role: dataReceiver
  }
  {
    principal: workerPrincipalId
    role: dataSender
  }
  {
    principal: workerPrincipalId
    role: dataReceiver
  }
  {
    principal: consolePrincipalId
    role: dataOwner
  }
  {
    principal: kedaPrincipalId
    role: dataOwner
  }
]

resource busRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for right in onBus: {
  name: guid(bus.id, right.principal, right.role)
  scope: bus
  properties: {
    principalId: right.principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', right.role)
  }
}]

var onArtifacts = [
  {
    principal: dispatcherPrincipalId
    role: artifactWriter.name
  }
  {
    principal: workerPrincipalId
    role: artifactWriter.name
  }
  {
    principal: consolePrincipalId
    role: blobReader
  }
]

resource artifactRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for right in onArtifacts: {
  name: guid(container.id, right.principal, right.role)
  scope: container
  properties: {
    principalId: right.principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', right.role)
  }
}]

resource telemetryRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in [
  dispatcherPrincipalId
  workerPrincipalId
  consolePrincipalId
]: {
  name: guid(insights.id, principal, metricsPublisher)
  scope: insights
  properties: {
    principalId: principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}]
