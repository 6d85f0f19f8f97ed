"""All payloads that this installation knows: ours, and those that other packages bring.

A package brings its own by an entry point of the group `leaf_fleet.payloads` that names a tuple of
Payload classes. They are asked for here, at start, and never by importing something else.
"""

from importlib.metadata import entry_points

from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS

ENTRY_POINTS = "leaf_fleet.payloads"


def payload_registry() -> PayloadRegistry:
    """Raises ValueError when two packages claim the same kind and version."""
    brought = [payload for entry in entry_points(group=ENTRY_POINTS) for payload in entry.load()]
    return PayloadRegistry((*PAYLOADS, *brought))
