"""What became of a delivery, and errors, as they travel in AMQP frames.

Source: AMQP 1.0 part 3, section 3.4 (delivery state); part 2, section 2.8.14 (error).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localbus.amqp import codec
from localbus.amqp.types import Described, Symbol, Ulong


@dataclass(frozen=True, slots=True)
class Error:
    """A condition with words for a human and facts for a program."""

    condition: str
    description: str = ""
    info: dict[Any, Any] = field(default_factory=dict)

    def described(self) -> Described:
        """As it travels. The third field is sent even when it is null: azure-servicebus reads it
        by position, and a sender without it would wait for ever."""
        fields = [Symbol(self.condition), self.description, self.info or None]
        return Described(Ulong(0x1D), fields)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Taken over: the sender may forget it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Invalid, or, to Service Bus, dead-lettered."""

    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """Given back untouched."""


@dataclass(frozen=True, slots=True)
class Modified:
    """Given back with a remark: to Service Bus abandoned, or deferred when undeliverable here."""

    delivery_failed: bool = False
    undeliverable_here: bool = False
    annotations: dict[Any, Any] = field(default_factory=dict)


Outcome = Accepted | Rejected | Released | Modified

ACCEPTED = codec.encode(Described(Ulong(0x24), []))
RELEASED = codec.encode(Described(Ulong(0x26), []))


def render_outcome(outcome: Outcome) -> bytes:
    """The encoded delivery state."""
    match outcome:
        case Accepted():
            return ACCEPTED
        case Released():
            return RELEASED
        case Rejected(error):
            fields = [] if error is None else [error.described()]
            return codec.encode(Described(Ulong(0x25), fields))
        case Modified(failed, undeliverable, annotations):
            values: list[Any] = [failed, undeliverable]
            if annotations:
                values.append(annotations)
            return codec.encode(Described(Ulong(0x27), values))


def parse_outcome(state: Described | None) -> Outcome | None:
    """The outcome in a delivery state, or None when it holds none that ends a delivery."""
    if state is None or not isinstance(state.value, list):
        return None
    fields = state.value
    match state.descriptor:
        case 0x24 | "amqp:accepted:list":
            return Accepted()
        case 0x25 | "amqp:rejected:list":
            return Rejected(parse_error(fields[0]) if fields else None)
        case 0x26 | "amqp:released:list":
            return Released()
        case 0x27 | "amqp:modified:list":
            fields = [*fields, None, None, None]
            remarks = fields[2] if isinstance(fields[2], dict) else {}
            return Modified(fields[0] is True, fields[1] is True, remarks)
        case _:
            return None


def parse_error(value: Any) -> Error | None:
    """The error a peer sent, or None when it is none."""
    if not isinstance(value, Described) or not isinstance(value.value, list):
        return None
    condition, description, info = [*value.value, None, None, None][:3]
    return Error(
        condition if isinstance(condition, str) else "amqp:internal-error",
        description if isinstance(description, str) else "",
        info if isinstance(info, dict) else {},
    )
