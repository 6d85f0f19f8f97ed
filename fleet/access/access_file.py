"""access.toml: whose tokens are believed, and which roles their claims give.

    [[issuer]]
    kind = "entra"
    issuer = "https://login.microsoftonline.com/TENANT/v2.0"
    audience = "api://leaf-fleet"

    [[grant]]
    claim = "roles"
    value = "Fleet.Operator"
    roles = ["operator"]
    tenants = ["acme"]

The file names no secret. Whoever has no grant is nobody here, however genuine their token.
"""

import ipaddress
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from contracts.access import Role
from contracts.artifact import Tenant
from contracts.fact import StrictFact
from fleet.errors import FleetError


class AccessFileRefused(FleetError):
    """The file cannot be used; every fault is named."""


class IssuerKind(StrEnum):
    """Where a token of this issuer comes, and how it names people."""

    ENTRA = "entra"
    CLOUDFLARE = "cloudflare"


def _safe_address(address: str) -> str:
    parts = urlsplit(address)
    if not parts.hostname or (parts.scheme != "https" and not _is_loopback(parts.hostname)):
        raise ValueError("must be an https address")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Address = Annotated[str, AfterValidator(_safe_address)]


class Issuer(StrictFact):
    """Who signs tokens, and for whom they must be meant."""

    kind: IssuerKind
    issuer: Address
    """The `iss` claim, exactly."""
    audience: str = Field(min_length=1)
    """The `aud` claim: the application's id, or Cloudflare's tag of the application."""
    keys: Address | None = None
    """The key set (JWKS); the provider's own address unless given."""

    @property
    def keys_address(self) -> str:
        """Where the provider publishes its keys.

        Sources: Microsoft identity platform, OpenID Connect; Cloudflare Access, Validate JWTs.
        """
        if self.keys is not None:
            return self.keys
        if self.kind is IssuerKind.CLOUDFLARE:
            return f"{self.issuer.rstrip('/')}/cdn-cgi/access/certs"
        return f"{self.issuer.rstrip('/').removesuffix('/v2.0')}/discovery/v2.0/keys"


class Grant(StrictFact):
    """What a claim gives: a value of a claim, or one of its values where it is a list."""

    claim: str = Field(min_length=1)
    value: str = Field(min_length=1)
    roles: tuple[Role, ...] = Field(min_length=1)
    tenants: tuple[Tenant, ...] | None = None
    """Kept to these. One grant that keeps somebody to tenants outweighs one that does not."""


class AccessFile(StrictFact):
    """The whole file."""

    issuer: tuple[Issuer, ...] = Field(min_length=1)
    grant: tuple[Grant, ...] = Field(min_length=1)


def load_access(path: Path) -> AccessFile:
    """Raises AccessFileRefused with every fault."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        return AccessFile.model_validate(told)
    except ValidationError as cause:
        faults = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"
            for fault in cause.errors(include_url=False, include_input=False)
        )
        raise AccessFileRefused(f"{path.name}: {faults}") from None
    except (OSError, ValueError) as cause:
        raise AccessFileRefused(f"{path.name} cannot be read: {cause}") from None
