"""Faults carried out on a connection: `faults` decided, this does.

Only for tests: a server without a control API has no faults, and each call here ends at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from localbus.amqp.connection import Detached
from localbus.amqp.link import Link, OutgoingLink
from localbus.amqp.outcomes import Error
from localbus.broker.errors import BrokerError
from localbus.broker.mailbox import Mailbox
from localbus.broker.message import Message
from localbus.faults import Fault, Moment, Rule, entity_of

if TYPE_CHECKING:
    from localbus.broker.queue import Queue
    from localbus.peer import Peer


class ServerBusy(BrokerError):
    """The service's answer to a client that asks too much."""

    condition = "com.microsoft:server-busy"
    status = 503

    def __init__(self) -> None:
        super().__init__("The request was terminated because the entity is being throttled.")


class Refusing(BrokerError):
    """The answer of a service that is there and cannot serve."""

    condition = "amqp:internal-error"
    status = 500

    def __init__(self) -> None:
        super().__init__("The service was unable to process the request; please retry.")


def strike(peer: Peer, moment: Moment, link: Link | None) -> Rule | None:
    """The fault that strikes this connection now, if one does."""
    faults = peer.bus.faults
    if faults is None:
        return None
    path = None
    if link is not None:
        path = entity_of(link.address(of_source=isinstance(link, OutgoingLink)))
    return faults.strike(moment, path, peer.bus.clock.now_ms())


def ends_before(peer: Peer, rule: Rule | None, link: Link) -> bool:
    """Cut the connection or close the link if the rule says so; then nothing else is done."""
    if rule is None:
        return False
    if rule.fault is Fault.DROP_CONNECTION:
        peer.cut()
        return True
    if rule.fault is Fault.DETACH_LINK:
        detach(peer, link)
        return True
    return False


def detach(peer: Peer, link: Link) -> None:
    """Close a link with the error of a service that moves an entity elsewhere."""
    peer.take(Detached(link))
    words = "The link was force detached by a fault that a test asked for."
    peer.connection.detach_link(link, Error("amqp:link:detach-forced", words))
    peer.bus.will_write(peer)


def refuse(rule: Rule | None) -> None:
    """Raise what the rule has the client told instead of being served."""
    if rule is None:
        return
    if rule.fault is Fault.THROTTLE:
        raise ServerBusy
    if rule.fault is Fault.REFUSE:
        raise Refusing


def reply(peer: Peer, rule: Rule | None, send: Callable[[], None]) -> None:
    """Tell the client what was done: now, later, or never."""
    if rule is None:
        send()
        return
    match rule.fault:
        case Fault.DROP_CONNECTION_AFTER:
            peer.cut()
        case Fault.DROP_REPLY:
            pass
        case Fault.DELAY_REPLY:
            due_ms = peer.bus.clock.now_ms() + round(rule.delay_s * 1000)
            peer.bus.at(due_ms, lambda: _send_late(peer, send))
        case _:
            send()


def _send_late(peer: Peer, send: Callable[[], None]) -> None:
    if not peer.connection.closed:
        send()
        peer.bus.will_write(peer)


def delivered(peer: Peer, link: Link, queue: Queue, mailbox: Mailbox, message: Message) -> None:
    """What can go wrong once a message has been handed to a receiver."""
    rule = strike(peer, Moment.DELIVER, link)
    if rule is None:
        return
    if rule.fault is Fault.DROP_CONNECTION_AFTER:
        peer.cut()
    elif message.delivery_count == 0:  # a copy of a copy, and a rule without end would not end
        queue.repeat(mailbox, message)
