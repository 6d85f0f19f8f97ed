"""The management API of Service Bus: ATOM over HTTP.

`http` reads requests and writes responses, `atom` is the XML, `api` is what the requests do.
"""
