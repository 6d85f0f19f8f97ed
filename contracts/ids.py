"""Identifiers: time-ordered for runs, derived for tasks and messages.

Clock and chance are arguments. A task's id derives from run, stage and partition,
so that planning the same run twice plans the same tasks once.
"""

import hashlib
import uuid
from datetime import datetime

_CHANCE_BYTES = 10


def run_id(now: datetime, chance: bytes) -> str:
    """A UUIDv7 (RFC 9562, section 5.7) from an aware `now` and ten bytes of chance."""
    if len(chance) != _CHANCE_BYTES:
        raise ValueError(f"chance must be {_CHANCE_BYTES} bytes, not {len(chance)}")
    milliseconds = int(now.timestamp() * 1000)
    value = milliseconds.to_bytes(6, "big") + chance
    return str(_stamped(value, version=7))


def task_id(run: str, stage: str, partition: str = "") -> str:
    """A UUIDv8 (RFC 9562, section 5.8) derived from the task's place; no partition is "".

    It begins with the time of its run, as the run's own id does: what is written together lies
    together in every index that has a task for its key, however large the ledger grows.
    """
    digest = hashlib.sha256("\x1f".join((run, stage, partition)).encode()).digest()
    return str(_stamped(_time_of(run, digest) + digest[6:16], version=8))


def message_id(task: str, attempt: int) -> str:
    """The broker's MessageId of one attempt: what duplicate detection compares."""
    return f"{task}:{attempt}"


def _time_of(run: str, otherwise: bytes) -> bytes:
    """The first 48 bits of a run's id; of `otherwise`, where that is no UUID."""
    try:
        return uuid.UUID(run).bytes[:6]
    except ValueError:
        return otherwise[:6]


def _stamped(value: bytes, *, version: int) -> uuid.UUID:
    """`value` (16 bytes) with the RFC 9562 version and variant bits set."""
    number = int.from_bytes(value, "big")
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return uuid.UUID(int=number | (version << 76) | (0x2 << 62))
