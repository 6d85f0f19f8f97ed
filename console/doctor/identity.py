"""Who this machine is to the bus, and whether its secrets are its own."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from console.doctor.finding import Finding, fault, ok
from console.site import Site
from console.stack.record import SECRET_FILE

_PART = "identity"


def look_at_identity(site: Site) -> Iterator[Finding]:
    """The connection string's shape, and who may read the files that hold secrets."""
    home = site.settings.home
    for path in (home / SECRET_FILE, site.settings.sources_file):
        yield from _private(path)
    if (secret := site.settings.bus_connection) is not None:
        yield _connection(secret.get_secret_value())


def _private(path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # not there: nothing to keep
    if mode & 0o077:
        yield fault(
            _PART,
            f"{path.name} holds secrets and others may read it (mode {mode:03o})",
            f"chmod 600 {path.name}, and change the secrets if others use this machine",
        )
    else:
        yield ok(_PART, f"{path.name} is readable by its owner alone")


def _connection(text: str) -> Finding:
    """Of a connection string only its names are told, never a key."""
    fields = dict(part.partition("=")[::2] for part in text.split(";") if part)
    endpoint = urlsplit(fields.get("Endpoint", ""))
    remedy = "copy the connection string of a shared access policy of the namespace again"
    if endpoint.scheme != "sb" or not endpoint.hostname:
        return fault(_PART, "FLEET_BUS_CONNECTION has no Endpoint=sb://...", remedy)
    if not (fields.get("SharedAccessKey") or fields.get("SharedAccessSignature")):
        return fault(_PART, "FLEET_BUS_CONNECTION holds no key and no signature", remedy)
    if fields.get("UseDevelopmentEmulator") == "true" and not _is_loopback(endpoint.hostname):
        return fault(
            _PART,
            f"FLEET_BUS_CONNECTION speaks without TLS to {endpoint.hostname}, which is not this "
            "machine",
            "leave UseDevelopmentEmulator=true out: it is for a bus on loopback",
        )
    return ok(_PART, f"to {endpoint.hostname} by key {fields.get('SharedAccessKeyName', '-')}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
