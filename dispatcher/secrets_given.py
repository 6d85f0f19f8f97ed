"""Secrets do not come in: whatever people or systems hand over is looked through first.

A parameter is recorded, a comment shown and a payload sent on: a token in one of them would lie in
the ledger for good. It is refused, and told by its field, so that whoever sent it can name a source
or a setting of the worker in its place.
"""

from collections.abc import Mapping
from itertools import islice

from pydantic import JsonValue

from fleet.errors import FleetError
from fleet.telemetry.redact import secret_places

_MOST = 20


class SecretGiven(FleetError):
    """What was asked holds secrets. Names their fields and kinds; nothing of it was recorded."""

    def __init__(self, places: list[tuple[str, str]]) -> None:
        self.faults = tuple((place, f"looks like a {kind}") for place, kind in places)
        told = "; ".join(f"{place} {words}" for place, words in self.faults)
        super().__init__(
            f"{told}: secrets are not taken in; register what needs one as a source of the workers"
        )


def refuse_secrets(asked: Mapping[str, JsonValue]) -> None:
    """Raises SecretGiven."""
    found = islice(secret_places(dict(asked)), _MOST)
    if places := [(place, kind.replace("_", " ")) for place, kind in found]:
        raise SecretGiven(places)
