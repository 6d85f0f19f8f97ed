// The dashboard: lanes, outcomes and waits, from the fleet's own spans and the bus's metrics.
param location string
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'leaf-fleet-workbook')
  location: location
  kind: 'shared'
  properties: {
    displayName: 'Leaf Fleet'
    category: 'workbook'
    sourceId: insightsId
    serializedData: loadTextContent('../workbook.json')
  }
}

output workbookId string = workbook.id
