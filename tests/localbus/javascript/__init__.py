"""The JavaScript client, @azure/service-bus, as npm gives it."""
