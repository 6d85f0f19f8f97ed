"""Sessions and links of one connection: windows, credit, deliveries under way.

State only; `connection` drives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from localbus.amqp.performatives import Attach, Flow, Transfer

if TYPE_CHECKING:
    from localbus.amqp.connection import Connection

CREDIT = 1_000
"""Messages a peer may have on the way on one link. Service Bus clients of .NET, Java and JavaScript
wait for it; Python's does not."""

_FIRST_DELIVERY = 0x4000_0000
"""Deliveries of both directions are numbered apart. azure-servicebus for Python hands every
disposition to all links of the session without looking at its role, so equal numbers would let a
confirmation here settle an unrelated request there."""


@dataclass(slots=True)
class Delivery:
    """A message on its way out, not settled yet. `context` belongs to the host."""

    delivery_id: int
    tag: bytes
    link: OutgoingLink
    context: Any = None


@dataclass(slots=True)
class Session:
    """One session: transfer windows and the numbering of deliveries."""

    WINDOW: ClassVar[int] = 0x7FFF_FFFF

    channel: int
    peer_window: int
    next_incoming_id: int = 0
    next_outgoing_id: int = _FIRST_DELIVERY
    next_delivery_id: int = _FIRST_DELIVERY
    links: dict[int, Link] = field(default_factory=dict)
    unsettled: dict[int, Delivery] = field(default_factory=dict)

    def take_flow(self, flow: Flow) -> None:
        """The peer's window, counted from what it had seen when it sent this."""
        seen = _FIRST_DELIVERY if flow.next_incoming_id is None else flow.next_incoming_id
        in_flight = (self.next_outgoing_id - seen) & 0xFFFFFFFF
        self.peer_window = flow.incoming_window - (in_flight if in_flight < 1 << 31 else 0)

    def flow(self, link: Link | None, *, drain: bool = False) -> Flow:
        """This side's state, of the session and of `link`."""
        return Flow(
            next_incoming_id=self.next_incoming_id & 0xFFFFFFFF,
            incoming_window=self.WINDOW,
            next_outgoing_id=self.next_outgoing_id,
            outgoing_window=self.WINDOW,
            handle=link.handle if link else None,
            delivery_count=link.delivery_count if link else None,
            link_credit=link.credit if link else None,
            drain=True if drain else None,
        )

    def unsettled_between(self, first: int, last: int) -> list[Delivery]:
        """Deliveries of first..last still unsettled. The range is the peer's word: it is walked
        when it is short, and otherwise what is unsettled is walked."""
        count = ((last - first) & 0xFFFFFFFF) + 1
        if count <= len(self.unsettled):
            numbers: Iterator[int] = ((first + i) & 0xFFFFFFFF for i in range(count))
            return [self.unsettled[n] for n in numbers if n in self.unsettled]
        return [
            delivery
            for number, delivery in self.unsettled.items()
            if (number - first) & 0xFFFFFFFF < count
        ]


@dataclass(slots=True)
class Link:
    """What both directions share. `context` belongs to the host."""

    connection: Connection
    session: Session
    attach: Attach
    attached: bool = False
    credit: int = 0
    delivery_count: int = 0
    context: Any = None

    @property
    def handle(self) -> int:
        return self.attach.handle

    @property
    def name(self) -> str:
        return self.attach.name

    def address(self, *, of_source: bool) -> str:
        """The address of the link's source or target, or "" when there is none."""
        terminus = self.attach.source if of_source else self.attach.target
        if terminus is None or not isinstance(terminus.value, list) or not terminus.value:
            return ""
        return terminus.value[0] if isinstance(terminus.value[0], str) else ""


@dataclass(slots=True)
class OutgoingLink(Link):
    """A link this side sends on."""

    drain: bool = False

    @property
    def sendable(self) -> bool:
        return self.credit > 0 and self.session.peer_window > 0

    @property
    def presettled(self) -> bool:
        """Whether the peer asked for deliveries that are settled when sent."""
        return self.attach.snd_settle_mode == 1

    def take_flow(self, flow: Flow) -> None:
        if flow.link_credit is not None:
            seen = flow.delivery_count or 0
            self.credit = ((seen + flow.link_credit - self.delivery_count) + (1 << 31)) % (
                1 << 32
            ) - (1 << 31)
        self.drain = flow.drain is True


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole delivery, put together from its transfers."""

    delivery_id: int
    message_format: int
    payload: bytes
    settled: bool
    oversize: bool


@dataclass(slots=True)
class IncomingLink(Link):
    """A link this side receives on."""

    credit: int = CREDIT
    max_message_size: int = 0
    _first: Transfer | None = None
    _parts: bytearray = field(default_factory=bytearray)
    _oversize: bool = False

    @property
    def partial_bytes(self) -> int:
        """What has arrived of a message that is not whole yet."""
        return len(self._parts)

    def take_transfer(self, transfer: Transfer, payload: bytes) -> Arrived | None:
        """Gather one transfer; returns the delivery when it is whole. ValueError: out of turn."""
        first = self._first or transfer
        if first.delivery_id is None:
            raise ValueError("a transfer without a delivery-id")
        if transfer.aborted:
            self._reset()
            return None
        if self.max_message_size and len(self._parts) + len(payload) > self.max_message_size:
            self._oversize = True
            self._parts = bytearray()
        if transfer.more:
            self._first = first
            if not self._oversize:
                self._parts += payload
            return None
        whole = Arrived(
            delivery_id=first.delivery_id,
            message_format=first.message_format or 0,
            payload=b"" if self._oversize else bytes(self._parts) + payload,
            settled=transfer.settled is True or first.settled is True,
            oversize=self._oversize,
        )
        self._reset()
        self.credit -= 1
        self.delivery_count = (self.delivery_count + 1) & 0xFFFFFFFF
        return whole

    def wants_replenishing(self) -> bool:
        """Whether half the credit is used; if so it is full again, and a flow is to say so."""
        if self.credit > CREDIT // 2:
            return False
        self.credit = CREDIT
        return True

    def _reset(self) -> None:
        self._first, self._parts, self._oversize = None, bytearray(), False
