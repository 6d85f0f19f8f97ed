"""Source systems by name: what a run names, and where this machine finds it.

The file holds addresses and their secrets, so it is readable by its owner alone, and nothing in it
ever travels: requests, envelopes and the ledger hold names only.
"""

import json
import os
import re
import tomllib
from pathlib import Path

from fleet.errors import FleetError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class SourceUnknown(FleetError):
    """No source of this name is registered on this machine."""

    def __init__(self, name: str, known: list[str]) -> None:
        there = ", ".join(known) or "none"
        super().__init__(f"no source named {name!r} is registered; there are: {there}")
        self.name = name


def system_of(address: str) -> str:
    """Which of the systems that rules know an address is part of: `sql`, `files` or `graph`."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return "files"
    host = rest.partition("/")[0].casefold()
    is_graph = scheme.casefold() in {"onedrive", "graph", "sharepoint"} or (
        scheme.casefold() == "https" and host.endswith(("graph.microsoft.com", ".sharepoint.com"))
    )
    return "graph" if is_graph else "sql"


def read_sources(path: Path) -> dict[str, str]:
    """Addresses by name: a SQLAlchemy URL or a folder. No file means no sources.

    Raises FleetError where the file is not a flat table of strings.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as cause:
        raise FleetError(f"{path.name} cannot be read: {cause}") from None
    if bad := [name for name, address in table.items() if not isinstance(address, str)]:
        raise FleetError(f"{path.name}: {', '.join(bad)} must be a string")
    return table


def register_sources(path: Path, sources: dict[str, str]) -> None:
    """Add or replace sources; the file is replaced at once, so a reader never sees half of it."""
    for name in sources:
        if _NAME.fullmatch(name) is None:
            raise FleetError(f"{name!r} is not a source name: lower-case letters, digits and . _ -")
    table = read_sources(path) | sources
    # JSON strings are TOML basic strings; json.dumps escapes what both must escape.
    text = "".join(f"{json.dumps(name)} = {json.dumps(table[name])}\n" for name in sorted(table))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def addresses(path: Path, names: list[str]) -> dict[str, str]:
    """The addresses of `names`. Raises SourceUnknown."""
    if not names:
        return {}
    table = read_sources(path)
    for name in names:
        if name not in table:
            raise SourceUnknown(name, sorted(table))
    return {name: table[name] for name in names}
