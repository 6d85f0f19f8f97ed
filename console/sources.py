"""Source systems given on the command line: registered on this machine, sent by name alone.

What reaches the dispatcher, the ledger and the artifacts is a name like `synthea-1f9c02ab`; the
address, with its password, stays in sources.toml, which only its owner can read.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from console.errors import Refused
from fleet.telemetry.redact import secret_places

_SQLITE = b"SQLite format 3\x00"
_SLUG = 60
"""Characters of a name before its digest."""


@dataclass(frozen=True, kw_only=True)
class GivenSource:
    """A source given by its address. `shown` is for people: no password."""

    name: str
    address: str
    shown: str


def given_source(value: str) -> GivenSource | None:
    """The source that `value` is the address of: a folder, a SQLite file, or a SQLAlchemy URL.

    None where it is none of these, and so a name. The same address has the same name always.
    Raises Refused for a path that is neither.
    """
    if "://" in value:
        return _url(value)
    path = Path(value).expanduser()
    if path.is_dir():
        place = path.resolve()
        return GivenSource(name=_name(place.name, str(place)), address=str(place), shown=value)
    if path.is_file():
        place = path.resolve()
        with place.open("rb") as file:
            if file.read(len(_SQLITE)) != _SQLITE:
                raise Refused(
                    f"{value} is a file that is no SQLite database: give the folder that holds it"
                )
        address = f"sqlite:///{place}"
        return GivenSource(name=_name(place.stem, address), address=address, shown=value)
    return None


def masked(address: str) -> str:
    """An address without what may be secret in it: password and options."""
    if "://" not in address:
        return address
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except ArgumentError:
        return address.partition("://")[0] + "://..."
    hidden = "?..." if url.query else ""
    return url.set(query={}).render_as_string(hide_password=True) + hidden


def _url(value: str) -> GivenSource:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
    except ArgumentError:
        # Not the value: it may hold a password.
        raise Refused("a source that contains :// must be a SQLAlchemy URL") from None
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        # Workers may stand in another folder.
        url = url.set(database=str(Path(url.database).expanduser().resolve()))
    # The digest leaves the password out: a new password is the same source, and the name tells
    # nothing of either.
    identity = url.render_as_string(hide_password=True)
    slug = Path(url.database or "").stem or urlsplit(value).hostname or url.get_backend_name()
    return GivenSource(
        name=_name(slug, identity),
        address=url.render_as_string(hide_password=False),
        shown=masked(value),
    )


def _name(slug: str, identity: str) -> str:
    if any(secret_places(slug)):  # a name is recorded, also one that somebody made of a token
        slug = ""
    plain = re.sub(r"[^a-z0-9]+", "-", slug.casefold())[:_SLUG].strip("-") or "source"
    return f"{plain}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
