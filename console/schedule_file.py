"""Schedules in a file, for who keeps them under version control: from YAML to what is asked for."""

from pathlib import Path
from typing import Any

import yaml

from console.errors import Refused

_NEEDED = ("name", "cron", "pipeline", "tenant")
_ALLOWED = {*_NEEDED, "zone", "parameters", "audience", "priority", "flags", "catch_up", "most"}


def entries(file: Path) -> list[dict[str, Any]]:
    """Each schedule as the dispatcher takes it. Raises Refused with every fault of the shape."""
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as cause:
        raise Refused(f"{file.name} cannot be read: {str(cause).splitlines()[0]}") from None
    listed = told.get("schedules") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise Refused(f"{file.name} has no list `schedules`")
    faults = [f"entry {n}: {f}" for n, one in enumerate(listed, 1) for f in _faults(one)]
    if faults:
        raise Refused("\n  ".join([f"{file.name} cannot be used:", *faults]))
    return [_asked(dict(one)) for one in listed]


def _faults(one: object) -> list[str]:
    if not isinstance(one, dict):
        return ["is no mapping"]
    missing = [f"{name} is missing" for name in _NEEDED if not one.get(name)]
    return missing + [f"{name!r} is not known" for name in one if name not in _ALLOWED]


def _asked(one: dict[str, Any]) -> dict[str, Any]:
    scope = {"tenant": one.pop("tenant"), "audience": one.pop("audience", "internal")}
    return one | {"scope": scope}
