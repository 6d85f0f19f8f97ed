"""Queues from a file, made when the server starts.

Two shapes are read: the official emulator's Config.json, and the short one
`{"queues": {"orders": {"lock_duration_ms": 30000}, "audit": {}}}` with the names of
`QueueProperties`. Queues that exist keep their messages and get the file's properties.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localbus.broker import durations
from localbus.broker.errors import EntityNotFound
from localbus.broker.properties import InvalidProperties, QueueProperties

if TYPE_CHECKING:
    from localbus.bus import Bus


class InvalidTopology(ValueError):
    """The file is not a topology; the message names the place. Nothing was created."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Queues by name."""

    queues: Mapping[str, QueueProperties]


def read_topology(path: Path) -> Topology:
    """Read a topology file. Raises InvalidTopology, OSError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidTopology(f"{path.name} is not JSON: {error}") from error
    return parse_topology(document)


def parse_topology(document: Any) -> Topology:
    """Read either shape. Raises InvalidTopology."""
    if not isinstance(document, dict):
        raise InvalidTopology("a topology is an object")
    if "UserConfig" in document:
        return Topology(_emulator_queues(document))
    queues = document.get("queues")
    if not isinstance(queues, dict):
        raise InvalidTopology("a topology has `queues` (by name) or `UserConfig`")
    return Topology({name: _properties(name, values) for name, values in queues.items()})


def _properties(name: str, values: Any) -> QueueProperties:
    try:
        return QueueProperties(**values)
    except (TypeError, InvalidProperties) as error:
        raise InvalidTopology(f"queue {name}: {error}") from error


def parse_duration(text: str) -> int:
    """An ISO 8601 duration of days and smaller, in milliseconds. Raises InvalidTopology."""
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise InvalidTopology(str(error)) from None


_EMULATOR: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "LockDuration": ("lock_duration_ms", parse_duration),
    "MaxDeliveryCount": ("max_delivery_count", int),
    "DefaultMessageTimeToLive": ("default_ttl_ms", parse_duration),
    "DeadLetteringOnMessageExpiration": ("dead_letter_on_expiry", bool),
    "RequiresDuplicateDetection": ("detect_duplicates", bool),
    "DuplicateDetectionHistoryTimeWindow": ("duplicate_window_ms", parse_duration),
    "RequiresSession": ("requires_session", bool),
    "ForwardTo": ("forward_to", str),
    "ForwardDeadLetteredMessagesTo": ("forward_dead_letters_to", str),
}


def _emulator_queues(document: dict[str, Any]) -> dict[str, QueueProperties]:
    namespaces = document["UserConfig"].get("Namespaces") or []
    queues: dict[str, QueueProperties] = {}
    for namespace in namespaces:
        if namespace.get("Topics"):
            raise InvalidTopology("localbus has no topics yet")
        for queue in namespace.get("Queues") or []:
            name = queue.get("Name")
            if not isinstance(name, str):
                raise InvalidTopology("a queue without a Name")
            values: dict[str, Any] = {}
            for key, value in (queue.get("Properties") or {}).items():
                if key not in _EMULATOR:
                    raise InvalidTopology(f"queue {name}: unknown property {key}")
                field, convert = _EMULATOR[key]
                values[field] = convert(value)
            queues[name] = _properties(name, values)
    return queues


def apply_topology(topology: Topology, bus: Bus) -> None:
    """Create the queues that are missing, and give the others these properties."""
    now_ms = bus.clock.now_ms()
    for name, properties in topology.queues.items():
        try:
            bus.namespace.update(name, properties, now_ms)
        except EntityNotFound:
            bus.namespace.create(name, properties, now_ms)
