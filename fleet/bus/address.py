"""Where the bus is: a connection string, or the name of a namespace.

A namespace, `NAME.servicebus.windows.net`, is signed in to by this process's identity; the token
goes to the service over `$cbs`, and to its administration with each request. `options` are the
SDK's, such as `connection_verify`.
"""

from typing import Any

from azure.core.settings import settings
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import ServiceBusAdministrationClient

from fleet.identity import OnThread, default_credential

# The fleet's own spans tell more; unset, the SDK looks the variable up several times a message.
settings.tracing_implementation = None


def is_namespace(address: str) -> bool:
    """A connection string is made of `Name=value`."""
    return "=" not in address


def messaging_client(address: str, **options: Any) -> AsyncServiceBusClient:
    """For sending and receiving. Raises IdentityMissing, ValueError for no connection string."""
    if is_namespace(address):
        credential: Any = OnThread(default_credential())
        return AsyncServiceBusClient(address, credential, **options)
    return AsyncServiceBusClient.from_connection_string(address, **options)


def blocking_client(address: str, **options: Any) -> ServiceBusClient:
    """As `messaging_client`, outside of an event loop."""
    if is_namespace(address):
        return ServiceBusClient(address, default_credential(), **options)
    return ServiceBusClient.from_connection_string(address, **options)


def administration_client(address: str, **options: Any) -> ServiceBusAdministrationClient:
    """For entities and their counts. Raises as `messaging_client`."""
    if is_namespace(address):
        return ServiceBusAdministrationClient(address, default_credential(), **options)
    return ServiceBusAdministrationClient.from_connection_string(address, **options)
