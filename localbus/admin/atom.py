"""Queue descriptions as ATOM entries and feeds, read and written.

Source: the models of azure-servicebus 7.15 (management/_generated) and the service's REST reference
(Entities: create, get, list).
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any
from xml.etree import ElementTree

from localbus.broker.message import State
from localbus.broker.properties import UNBOUNDED_MS, InvalidProperties, QueueProperties
from localbus.broker.queue import Queue
from localbus.topology import InvalidTopology, parse_duration

ATOM = "http://www.w3.org/2005/Atom"
SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def _duration_ms(text: str) -> int:
    return UNBOUNDED_MS if text.startswith("P10675199D") else parse_duration(text)


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidProperties(f"{text!r} is not true or false")
    return text.lower() == "true"


def _entity(text: str) -> str:
    return text.rpartition("/")[2] if "://" in text else text


_READ: dict[str, tuple[str, Any]] = {
    "LockDuration": ("lock_duration_ms", _duration_ms),
    "MaxSizeInMegabytes": ("max_size_megabytes", int),
    "RequiresDuplicateDetection": ("detect_duplicates", _boolean),
    "RequiresSession": ("requires_session", _boolean),
    "DefaultMessageTimeToLive": ("default_ttl_ms", _duration_ms),
    "DeadLetteringOnMessageExpiration": ("dead_letter_on_expiry", _boolean),
    "DuplicateDetectionHistoryTimeWindow": ("duplicate_window_ms", _duration_ms),
    "MaxDeliveryCount": ("max_delivery_count", int),
    "EnableBatchedOperations": ("batched_operations", _boolean),
    "Status": ("status", str),
    "ForwardTo": ("forward_to", _entity),
    "UserMetadata": ("user_metadata", str),
    "AutoDeleteOnIdle": ("auto_delete_on_idle_ms", _duration_ms),
    "EnablePartitioning": ("partitioning", _boolean),
    "ForwardDeadLetteredMessagesTo": ("forward_dead_letters_to", _entity),
    "EnableExpress": ("express", _boolean),
    "MaxMessageSizeInKilobytes": ("max_message_kilobytes", int),
}


def read_queue(body: bytes) -> QueueProperties:
    """The properties in a PUT's entry. Raises InvalidProperties."""
    if b"<!" in body:  # entities could expand without end, and no client sends a document type
        raise InvalidProperties("a request has no document type and no comments")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - see above
    except ElementTree.ParseError as error:
        raise InvalidProperties(f"the body is not XML: {error}") from error
    description = root.find(f"{{{ATOM}}}content/{{{SERVICE_BUS}}}QueueDescription")
    if description is None:
        raise InvalidProperties("the entry has no QueueDescription")
    values: dict[str, Any] = {}
    for element in description:
        known = _READ.get(element.tag.rpartition("}")[2])
        if known is None or element.text is None:
            continue
        name, convert = known
        try:
            values[name] = convert(element.text.strip())
        except (ValueError, InvalidTopology) as error:
            raise InvalidProperties(f"{element.tag.rpartition('}')[2]}: {error}") from error
    return QueueProperties(**values)


def render_queue(queue: Queue, base: str) -> str:
    """One queue's entry, with its counts. `base` is the URL of the namespace."""
    content = f'<content type="application/xml">{_description(queue)}</content>'
    times = (
        f"<published>{_time(queue.created_ms)}</published>"
        f"<updated>{_time(queue.updated_ms)}</updated>"
    )
    return (
        f'<entry xmlns="{ATOM}"><id>{escape(base)}/{escape(queue.name)}</id>'
        f'<title type="text">{escape(queue.name)}</title>{times}'
        f'<author><name>localbus</name></author><link rel="self" href="{escape(queue.name)}"/>'
        f"{content}</entry>"
    )


def render_feed(title: str, base: str, entries: list[str], following: str | None) -> str:
    """A feed; `following` is the URL of the next page."""
    links = f'<link rel="self" href="{escape(base)}"/>'
    if following is not None:
        links += f'<link rel="next" href="{escape(following)}"/>'
    return (
        f'<feed xmlns="{ATOM}"><title type="text">{escape(title)}</title>'
        f"<id>{escape(base)}</id><updated>{_time(0)}</updated>{links}{''.join(entries)}</feed>"
    )


def render_namespace(name: str, base: str, created_ms: int) -> str:
    """The entry of `$namespaceinfo`."""
    facts = {
        "CreatedTime": _time(created_ms),
        "MessagingSKU": "Standard",
        "ModifiedTime": _time(created_ms),
        "Name": name,
        "NamespaceType": "Messaging",
    }
    elements = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in facts.items())
    return (
        f'<entry xmlns="{ATOM}"><id>{escape(base)}</id><title type="text">{escape(name)}</title>'
        f"<updated>{_time(created_ms)}</updated><author><name>localbus</name></author>"
        f'<content type="application/xml"><NamespaceInfo xmlns="{SERVICE_BUS}">{elements}'
        f"</NamespaceInfo></content></entry>"
    )


def render_error(status: int, detail: str) -> str:
    """The error body of the service."""
    return f"<Error><Code>{status}</Code><Detail>{escape(detail)}</Detail></Error>"


def _description(queue: Queue) -> str:
    properties, main, dead = queue.properties, queue.main, queue.dead
    active, scheduled = main.counts[State.ACTIVE], main.counts[State.SCHEDULED]
    dead_letters = sum(dead.counts.values())
    deferred = main.counts[State.DEFERRED]
    # deferred messages count as active, as in the service
    counts = {
        "ActiveMessageCount": active + deferred,
        "DeadLetterMessageCount": dead_letters,
        "ScheduledMessageCount": scheduled,
        "TransferMessageCount": 0,
        "TransferDeadLetterMessageCount": 0,
    }
    details = "".join(f"<d2p1:{key}>{value}</d2p1:{key}>" for key, value in counts.items())
    facts: list[tuple[str, object]] = [
        ("LockDuration", _duration(properties.lock_duration_ms)),
        ("MaxSizeInMegabytes", properties.max_size_megabytes),
        ("RequiresDuplicateDetection", properties.detect_duplicates),
        ("RequiresSession", properties.requires_session),
        ("DefaultMessageTimeToLive", _duration(properties.default_ttl_ms)),
        ("DeadLetteringOnMessageExpiration", properties.dead_letter_on_expiry),
        ("DuplicateDetectionHistoryTimeWindow", _duration(properties.duplicate_window_ms)),
        ("MaxDeliveryCount", properties.max_delivery_count),
        ("EnableBatchedOperations", properties.batched_operations),
        ("SizeInBytes", main.size_bytes + dead.size_bytes),
        ("MessageCount", sum(main.counts.values()) + dead_letters),
        ("IsAnonymousAccessible", False),
        ("Status", properties.status),
        ("UserMetadata", properties.user_metadata),
        ("CreatedAt", _time(queue.created_ms)),
        ("UpdatedAt", _time(queue.updated_ms)),
        ("AccessedAt", _time(queue.accessed_ms)),
        ("SupportOrdering", True),
    ]
    later: list[tuple[str, object]] = [
        ("AutoDeleteOnIdle", _duration(properties.auto_delete_on_idle_ms)),
        ("EnablePartitioning", properties.partitioning),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", properties.express),
        ("MaxMessageSizeInKilobytes", properties.max_message_kilobytes),
    ]
    return (
        f'<QueueDescription xmlns="{SERVICE_BUS}" xmlns:i="{_INSTANCE}">{_elements(facts)}'
        f'<CountDetails xmlns:d2p1="{_COUNTS}">{details}</CountDetails>{_elements(later)}'
        f"</QueueDescription>"
    )


def _elements(facts: list[tuple[str, object]]) -> str:
    return "".join(f"<{name}>{escape(_text(value))}</{name}>" for name, value in facts)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(ms: int) -> str:
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _duration(ms: int) -> str:
    if ms >= UNBOUNDED_MS:
        return "P10675199DT2H48M5.4775807S"
    days, rest = divmod(ms, 86_400_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"P{days}DT{seconds}S" if days else f"PT{seconds}S"
