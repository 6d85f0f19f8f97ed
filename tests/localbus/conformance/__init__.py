"""The promises of the feature table as tests through a real client, against any namespace.

`promises` says which tests hold which row of docs/reference/localbus.md, `remote` is the namespace
of somebody else that the tests then run against, `table` prints the outcome by row.
"""
