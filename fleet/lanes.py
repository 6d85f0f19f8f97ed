"""Lanes as data: fleet/lanes.toml, or the file that the settings name, as a LaneTable."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from contracts.lane import Lane, LaneTable
from fleet.errors import FleetError

TOPICS = "topics"
"""The one table that is no lane: fleet.bus.topology reads it."""
LANES_FILE = Path(__file__).with_name("lanes.toml")


class LanesRefused(FleetError):
    """The lanes file cannot be used; every fault is named."""


def load_lanes(path: Path = LANES_FILE) -> LaneTable:
    """The lanes of a file, one table a lane. Raises LanesRefused with every fault found."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise LanesRefused(f"{path.name} cannot be read: {cause}") from None
    lanes: list[Lane] = []
    faults: list[str] = []
    for name, fields in tables.items():
        if name == TOPICS:
            continue
        try:
            lanes.append(Lane.model_validate({**fields, "name": name}))
        except (ValidationError, TypeError) as cause:
            faults += _plain(name, cause)
    if faults:
        raise LanesRefused(f"{path.name}: " + "; ".join(faults))
    try:
        return LaneTable(lanes)
    except ValueError as cause:
        raise LanesRefused(f"{path.name}: {cause}") from None


def _plain(name: str, cause: ValidationError | TypeError) -> list[str]:
    if isinstance(cause, TypeError):
        return [f"[{name}] must be a table"]
    return [
        f"[{name}] {'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"
        for fault in cause.errors(include_url=False)
    ]
