"""The settings in force as a person may see them: no passwords, no keys."""

import os
import re

from pydantic import SecretStr

from console.site import Site
from console.sources import masked

_HIDDEN = "********"
_KEY = re.compile(r"(SharedAccessKey|SharedAccessSignature)=[^;]*", re.IGNORECASE)


def effective(site: Site) -> dict[str, dict[str, str]]:
    """By variable, as FLEET_HOME: `value` and `origin`. What is not set has an empty value."""
    told = {}
    for name, value in site.settings:
        origin = site.origins[name]
        told[f"FLEET_{name.upper()}"] = {"value": _shown(name, value), "origin": origin}
    return told


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _partly_shown(name, value.get_secret_value())
    if isinstance(value, tuple):
        return os.pathsep.join(str(item) for item in value)
    return str(value)


def _partly_shown(name: str, secret: str) -> str:
    """What of a secret may be seen: where it leads. Of an unknown one, nothing."""
    match name:
        case "ledger_url":
            return masked(secret)
        case "bus_connection":
            return _KEY.sub(rf"\1={_HIDDEN}", secret)
        case _:
            return _HIDDEN
