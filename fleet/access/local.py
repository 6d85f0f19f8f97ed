"""A login for the person at this machine, on the loopback only.

The key lies in FLEET_HOME in a file that only its owner can read, so whoever presents it can read
the home anyway: they say themselves who they are and in which role they look, as they do on the
command line. It is no login for a network: a connection from elsewhere, or by another name than
the loopback's, is refused whatever it brings.
"""

import contextlib
import hmac
import ipaddress
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from contracts.access import Identity
from fleet.access.errors import AccessRefused
from fleet.access.seal import Sealer
from fleet.access.source import Credentials, Identified

COOKIE = "fleet_session"
LASTS = timedelta(hours=12)
KEY_FILE = "console.key"
_PURPOSE = "session"


class LocalSessions:
    """An IdentitySource of sealed cookies, given to whoever presents the key. No state of its own:
    a restart logs nobody out, a new key everybody."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._sealer = Sealer(key.encode())

    def opened(self, key: str, identity: Identity, given: Credentials, now: datetime) -> str:
        """A session for `identity`: the cookie's value. Raises AccessRefused."""
        check_is_local(given)
        if not hmac.compare_digest(key.strip().encode("utf-8", "replace"), self._key.encode()):
            raise AccessRefused("this is not the key: `fleet up` prints the address with it")
        return self._sealer.seal(_PURPOSE, identity.model_dump(mode="json"), now + LASTS)

    def identified(self, given: Credentials, now: datetime) -> Identified:
        """See IdentitySource."""
        check_is_local(given)
        if (cookie := given.cookies.get(COOKIE)) is None:
            raise AccessRefused("nobody is logged in")
        try:
            identity = Identity.model_validate(self._sealer.opened(_PURPOSE, cookie, now))
        except ValidationError:
            raise AccessRefused("this login is of another version; log in again") from None
        return Identified(identity=identity, binding=cookie)


def local_key(home: Path) -> str:
    """The key of this home, made where there is none yet: 43 characters, readable by the owner."""
    path = home / KEY_FILE
    home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        part = home / f"{KEY_FILE}.{os.getpid()}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # Linked, so that of several processes one wins and nobody reads half a key.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(part)
        part.unlink()
    return path.read_text(encoding="ascii").strip()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own: an address of the loopback, or its name."""
    bare = host.strip("[]").casefold()
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def check_is_local(given: Credentials) -> None:
    # A page elsewhere can make a browser here connect under a name of its own (DNS rebinding).
    host = given.headers.get("host", "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if not is_loopback(given.peer) or not is_loopback(name):
        raise AccessRefused("the local login is for this machine alone, by a loopback address")
