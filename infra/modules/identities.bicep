// Who the parts are: one identity each for dispatcher, workers, console and KEDA, and the service
// accounts that may act as them.
param name string
param location string
param oidcIssuer string
param kubernetesNamespace string
param lanes array

resource dispatcher 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-dispatcher'
  location: location
}

resource worker 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-worker'
  location: location
}

resource console 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-console'
  location: location
}

resource keda 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-keda'
  location: location
}

resource asDispatcher 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: dispatcher
  name: 'fleet-dispatcher'
  properties: {
    issuer: oidcIssuer
    subject: 'system:serviceaccount:${kubernetesNamespace}:fleet-dispatcher'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource asConsole 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: console
  name: 'fleet-console'
  properties: {
    issuer: oidcIssuer
    subject: 'system:serviceaccount:${kubernetesNamespace}:fleet-console'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

// KEDA counts with its operator's token, whatever namespace the scaled object is in.
resource asKeda 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: keda
  name: 'keda-operator'
  properties: {
    issuer: oidcIssuer
    subject: 'system:serviceaccount:kube-system:keda-operator'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

// One at a time: the service refuses credentials of one identity that are written together.
@batchSize(1)
resource asWorker 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = [for lane in lanes: {
  parent: worker
  name: 'lane-${lane}'
  properties: {
    issuer: oidcIssuer
    subject: 'system:serviceaccount:${kubernetesNamespace}:lane-${lane}'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}]

output dispatcherClientId string = dispatcher.properties.clientId
output dispatcherPrincipalId string = dispatcher.properties.principalId
output workerClientId string = worker.properties.clientId
output workerPrincipalId string = worker.properties.principalId
output consoleClientId string = console.properties.clientId
output consolePrincipalId string = console.properties.principalId
output kedaClientId string = keda.properties.clientId
output kedaPrincipalId string = keda.properties.principalId
