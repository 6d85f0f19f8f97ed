"""Where identities come from: a small port, one implementation for each kind of credential.

`LocalSessions` (a login on the loopback) is one; a checker of the tokens that Cloudflare Access or
Entra ID put in a header is another. Whoever serves HTTP asks one of them and knows none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.access import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request brought along. Names of headers are in lower case."""

    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    peer: str
    """The address that the connection came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Somebody, and what ties a form to this very login of theirs."""

    identity: Identity
    binding: str
    """The same for every request of one login, and known to nobody else."""


class IdentitySource(Protocol):
    """Tells who sent a request."""

    def identified(self, given: Credentials, now: datetime) -> Identified:
        """Raises AccessRefused."""
