"""Who this process is to Azure: a token for a scope, from wherever it runs.

On AKS that is workload identity (AZURE_FEDERATED_TOKEN_FILE and what the webhook sets beside it);
elsewhere a managed identity, or whoever signed in with `az login`. No secret is configured.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self

from fleet.errors import FleetError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential


class IdentityMissing(FleetError):
    """azure-identity is not installed, so nobody can sign in without a key."""

    def __init__(self) -> None:
        super().__init__("signing in without a key needs azure-identity: install leaf-fleet[azure]")


class Credential(Protocol):
    """What azure-identity's credentials have in common."""

    def get_token(self, *scopes: str) -> "AccessToken":
        """A token for these scopes, from the cache while it is good."""


def default_credential() -> "TokenCredential":
    """This process's identity. Raises IdentityMissing."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise IdentityMissing from None
    return DefaultAzureCredential()


class OnThread:
    """A credential for clients on an event loop: asks in a thread, so that no second HTTP library
    is needed. An AsyncTokenCredential."""

    def __init__(self, credential: "TokenCredential") -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        """See Credential."""
        return await asyncio.to_thread(self._credential.get_token, *scopes, **options)

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
