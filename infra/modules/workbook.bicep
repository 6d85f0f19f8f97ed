// The dashboard: lanes, outcomes and waits, from the fleet's own spans and the bus's metrics. The
// queries name the workspace's tables, which Application Insights itself calls otherwise.
param location string
param insightsId string
param workspaceId string
param busId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'leaf-fleet-workbook')
  location: location
  kind: 'shared'
  properties: {
    displayName: 'Leaf Fleet'
    category: 'workbook'
    sourceId: insightsId
    serializedData: replace(replace(loadTextContent('../workbook.json'), 'WORKSPACE-ID', workspaceId), 'BUS-ID', busId)
  }
}

output workbookId string = workbook.id
