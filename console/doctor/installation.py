"""The installation: Python, the libraries, the lanes, the rules."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata

from console.doctor.finding import Finding, fault, ok
from fleet.errors import FleetError
from fleet.lanes import load_lanes
from fleet.settings import Settings
from policies.bundle import BundleRefused, load_bundle

_DISTRIBUTION = "leaf-fleet"
_OLDEST = (3, 11)


def look_at_installation() -> Iterator[Finding]:
    """Python and the libraries that the distribution asks for."""
    here = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _OLDEST:
        yield fault("python", f"this is Python {here}", "install Python 3.11 or newer")
    else:
        yield ok("python", here)
    try:
        wanted = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield fault("libraries", f"{_DISTRIBUTION} is not installed", "run `make .venv/ready`")
        return
    yield missing_libraries(wanted)


def missing_libraries(wanted: list[str]) -> Finding:
    """`wanted`: requirements as a distribution's metadata has them; those of extras are left
    out."""
    names = [
        found[0]
        for line in wanted
        if "extra ==" not in line and (found := re.match(r"[A-Za-z0-9._-]+", line))
    ]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return fault(
            "libraries",
            f"not installed: {', '.join(missing)}",
            "run `make .venv/ready`, or install requirements.lock again",
        )
    return ok("libraries", f"{len(names)} installed, {_DISTRIBUTION} {_version()}")


def look_at_rules(settings: Settings) -> Iterator[Finding]:
    """The lanes file, and the rules with it."""
    try:
        lanes = load_lanes(settings.lanes_file)
    except FleetError as cause:
        yield fault("lanes", str(cause), "correct the file that FLEET_LANES_FILE names")
        return
    yield ok("lanes", ", ".join(lane.name for lane in lanes))
    try:
        bundle = load_bundle(settings.rules, lanes)
    except BundleRefused as cause:
        yield fault(
            "rules",
            "; ".join(cause.faults),
            "correct the folder that FLEET_RULES names, then look with `fleet policy show`",
        )
        return
    yield ok("rules", f"{len(bundle.guardrails)} guardrails, bundle {bundle.digest[:12]}")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _version() -> str:
    return metadata.version(_DISTRIBUTION)
