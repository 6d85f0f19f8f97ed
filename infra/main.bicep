// Everything in Azure that the fleet needs, but the cluster's own network design: namespace, storage,
// database, identities with their rights, workspace, dashboard and alerts. No key and no password:
// every part signs in as itself. docs/how-to/deploy-to-aks.md goes through it.
targetScope = 'resourceGroup'

@description('Begins every name; lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string = 'leaffleet'

@description('Where everything is.')
param location string = resourceGroup().location

@description('The issuer of the cluster\'s service account tokens: az aks show --query oidcIssuerProfile.issuerUrl')
param oidcIssuer string

@description('The Entra group that administers the database, by object id.')
param sqlAdminGroupId string

@description('Its name.')
param sqlAdminGroupName string

@description('The lanes of fleet/lanes.toml: each has a service account of its own.')
param lanes array = [
  'mirror'
  'normalize'
  'validate'
  'compute'
  'publish'
  'present'
  'agent'
]

@description('Standard carries ten times the stated load; Premium beyond, or for a private network.')
@allowed([
  'Standard'
  'Premium'
])
param busTier string = 'Standard'

@description('Premium messaging units of the whole namespace: 1, 2, 4, 8 or 16 for each partition.')
param busUnits int = 1

@description('Premium partitions, which cannot be changed later: more than one for more than 16 units.')
@allowed([
  1
  2
  4
])
param busPartitions int = 1

@description('Copies of artifacts: in three zones, or also in the paired region, readable there.')
@allowed([
  'Standard_ZRS'
  'Standard_RAGZRS'
])
param storageCopies string = 'Standard_ZRS'

@description('Who is told of alerts, by mail.')
param alertMail string

@description('Where the fleet is on the cluster.')
param kubernetesNamespace string = 'leaf-fleet'

module monitor 'modules/monitor.bicep' = {
  name: 'monitor'
  params: {
    name: name
    location: location
  }
}

module bus 'modules/bus.bicep' = {
  name: 'bus'
  params: {
    name: name
    location: location
    tier: busTier
    units: busUnits
    partitions: busPartitions
    workspaceId: monitor.outputs.workspaceId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: name
    location: location
    copies: storageCopies
  }
}

module ledger 'modules/ledger.bicep' = {
  name: 'ledger'
  params: {
    name: name
    location: location
    adminGroupId: sqlAdminGroupId
    adminGroupName: sqlAdminGroupName
    workspaceId: monitor.outputs.workspaceId
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    name: name
    location: location
    oidcIssuer: oidcIssuer
    kubernetesNamespace: kubernetesNamespace
    lanes: lanes
  }
}

module rights 'modules/rights.bicep' = {
  name: 'rights'
  params: {
    busName: bus.outputs.namespaceName
    storageName: storage.outputs.accountName
    containerName: storage.outputs.containerName
    insightsName: monitor.outputs.insightsName
    dispatcherPrincipalId: identities.outputs.dispatcherPrincipalId
    workerPrincipalId: identities.outputs.workerPrincipalId
    consolePrincipalId: identities.outputs.consolePrincipalId
    kedaPrincipalId: identities.outputs.kedaPrincipalId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    name: name
    location: location
    busId: bus.outputs.namespaceId
    databaseId: ledger.outputs.databaseId
    workspaceId: monitor.outputs.workspaceId
    alertMail: alertMail
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    location: location
    insightsId: monitor.outputs.insightsId
    workspaceId: monitor.outputs.workspaceId
    busId: bus.outputs.namespaceId
  }
}

// What k8s/overlays/aks/azure.yaml asks for.
output busNamespace string = bus.outputs.namespaceName
output workerClientId string = identities.outputs.workerClientId
output dispatcherClientId string = identities.outputs.dispatcherClientId
output consoleClientId string = identities.outputs.consoleClientId
output kedaClientId string = identities.outputs.kedaClientId
// What k8s/overlays/aks/settings.yaml asks for.
output blobEndpoint string = storage.outputs.blobEndpoint
output containerName string = storage.outputs.containerName
output ingestion string = monitor.outputs.ingestion
output sqlServer string = ledger.outputs.serverName
output sqlDatabase string = ledger.outputs.databaseName
