"""Descriptions of queues, topics, subscriptions and rules as ATOM entries and feeds.

Source: the models of azure-servicebus 7.15 (management/_generated) and the service's REST reference
(Entities: create, get, list).
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from html import escape
from typing import Any
from xml.etree import ElementTree

from localbus.admin.rule_xml import INSTANCE, SERVICE_BUS, render_rule
from localbus.broker.durations import parse_duration
from localbus.broker.entity import MessagingEntity
from localbus.broker.message import State
from localbus.broker.properties import (
    UNBOUNDED_MS,
    InvalidProperties,
    QueueProperties,
    SubscriptionProperties,
    TopicProperties,
)
from localbus.broker.queue import Queue
from localbus.broker.rules import Rule
from localbus.broker.topic import Subscription, Topic

ATOM = "http://www.w3.org/2005/Atom"
_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"


def _duration_ms(text: str) -> int:
    return UNBOUNDED_MS if text.startswith("P10675199D") else parse_duration(text)


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise InvalidProperties(f"{text!r} is not true or false")
    return text.lower() == "true"


def _entity(text: str) -> str:
    _, separator, rest = text.partition("://")
    return rest.partition("/")[2].strip("/") if separator else text


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
    "DeadLetteringOnFilterEvaluationExceptions": ("dead_letter_on_filter_errors", _boolean),
    "SupportOrdering": ("support_ordering", _boolean),
    "FilteringMessagesBeforePublishing": ("filter_before_publishing", _boolean),
}
_DESCRIBED: dict[str, type[QueueProperties]] = {
    "QueueDescription": QueueProperties,
    "TopicDescription": TopicProperties,
    "SubscriptionDescription": SubscriptionProperties,
}


def read_description(body: bytes) -> tuple[str, ElementTree.Element]:
    """The description in a PUT's entry, with its name. Raises InvalidProperties."""
    if b"<!" in body:  # entities could expand without end, and no client sends a document type
        raise InvalidProperties("a request has no document type and no comments")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - see above
    except ElementTree.ParseError as error:
        raise InvalidProperties(f"the body is not XML: {error}") from error
    for description in root.iterfind(f"{{{ATOM}}}content/*"):
        name = description.tag.rpartition("}")[2]
        if name.endswith("Description"):
            return name, description
    raise InvalidProperties("the entry has no description of an entity")


def read_properties(name: str, description: ElementTree.Element) -> QueueProperties:
    """The settings of a queue, topic or subscription, as its class. Raises InvalidProperties."""
    kind = _DESCRIBED[name]
    settings = {field.name for field in fields(kind)}
    values: dict[str, Any] = {}
    for element in description:
        known = _READ.get(element.tag.rpartition("}")[2])
        if known is None or known[0] not in settings or element.text is None:
            continue
        setting, convert = known
        try:
            values[setting] = convert(element.text.strip())
        except ValueError as error:
            raise InvalidProperties(f"{element.tag.rpartition('}')[2]}: {error}") from error
    return kind(**values)


def render_entity(entity: MessagingEntity, base: str) -> str:
    """An entity's entry, with its counts. `base` is the URL of the namespace."""
    match entity:
        case Topic():
            title, description = entity.name, _topic(entity)
        case Subscription():
            title, description = entity.short_name, _subscription(entity)
        case Queue():
            title, description = entity.name, _queue(entity)
        case _:
            raise TypeError(type(entity))
    return _entry(f"{base}/{entity.name}", title, entity.created_ms, entity.updated_ms, description)


def render_rule_entry(subscription: Subscription, rule: Rule, base: str) -> str:
    """A rule's entry."""
    address = f"{base}/{subscription.name}/Rules/{rule.name}"
    created_ms = rule.created_ms
    return _entry(address, rule.name, created_ms, created_ms, render_rule(rule, _time(created_ms)))


def _entry(address: str, title: str, created_ms: int, updated_ms: int, description: str) -> str:
    return (
        f'<entry xmlns="{ATOM}"><id>{escape(address)}</id>'
        f'<title type="text">{escape(title)}</title>'
        f"<published>{_time(created_ms)}</published><updated>{_time(updated_ms)}</updated>"
        f'<author><name>localbus</name></author><link rel="self" href="{escape(title)}"/>'
        f'<content type="application/xml">{description}</content></entry>'
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


def _queue(queue: Queue) -> str:
    properties = queue.properties
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
        ("SizeInBytes", _size(queue)),
        ("MessageCount", _total(queue)),
        ("IsAnonymousAccessible", False),
        ("Status", properties.status),
        *_forwarding(properties),
        ("UserMetadata", properties.user_metadata),
        *_times(queue),
        ("SupportOrdering", True),
    ]
    later: list[tuple[str, object]] = [
        ("AutoDeleteOnIdle", _duration(properties.auto_delete_on_idle_ms)),
        ("EnablePartitioning", properties.partitioning),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", properties.express),
        ("MaxMessageSizeInKilobytes", properties.max_message_kilobytes),
    ]
    return _described("QueueDescription", facts, _counts(queue), later)


def _subscription(subscription: Subscription) -> str:
    properties = subscription.properties
    on_filter_errors = properties.dead_letter_on_filter_errors
    facts: list[tuple[str, object]] = [
        ("LockDuration", _duration(properties.lock_duration_ms)),
        ("RequiresSession", properties.requires_session),
        ("DefaultMessageTimeToLive", _duration(properties.default_ttl_ms)),
        ("DeadLetteringOnMessageExpiration", properties.dead_letter_on_expiry),
        ("DeadLetteringOnFilterEvaluationExceptions", on_filter_errors),
        ("MessageCount", _total(subscription)),
        ("MaxDeliveryCount", properties.max_delivery_count),
        ("EnableBatchedOperations", properties.batched_operations),
        ("Status", properties.status),
        *_forwarding(properties),
        ("UserMetadata", properties.user_metadata),
        *_times(subscription),
    ]
    later: list[tuple[str, object]] = [
        ("AutoDeleteOnIdle", _duration(properties.auto_delete_on_idle_ms)),
        ("EntityAvailabilityStatus", "Available"),
    ]
    return _described("SubscriptionDescription", facts, _counts(subscription), later)


def _topic(topic: Topic) -> str:
    properties, subscriptions = topic.properties, topic.subscriptions.values()
    facts: list[tuple[str, object]] = [
        ("DefaultMessageTimeToLive", _duration(properties.default_ttl_ms)),
        ("MaxSizeInMegabytes", properties.max_size_megabytes),
        ("RequiresDuplicateDetection", properties.detect_duplicates),
        ("DuplicateDetectionHistoryTimeWindow", _duration(properties.duplicate_window_ms)),
        ("EnableBatchedOperations", properties.batched_operations),
        ("SizeInBytes", topic.main.size_bytes + sum(_size(each) for each in subscriptions)),
        ("FilteringMessagesBeforePublishing", properties.filter_before_publishing),
        ("IsAnonymousAccessible", False),
        ("Status", properties.status),
        ("UserMetadata", properties.user_metadata),
        *_times(topic),
        ("SupportOrdering", properties.support_ordering),
    ]
    later: list[tuple[str, object]] = [
        ("SubscriptionCount", len(topic.subscriptions)),
        ("AutoDeleteOnIdle", _duration(properties.auto_delete_on_idle_ms)),
        ("EnablePartitioning", properties.partitioning),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", properties.express),
        ("MaxMessageSizeInKilobytes", properties.max_message_kilobytes),
    ]
    counts = _count_details({"ScheduledMessageCount": topic.main.counts[State.SCHEDULED]})
    return _described("TopicDescription", facts, counts, later)


def _described(
    name: str, facts: list[tuple[str, object]], counts: str, later: list[tuple[str, object]]
) -> str:
    return (
        f'<{name} xmlns="{SERVICE_BUS}" xmlns:i="{INSTANCE}">{_elements(facts)}{counts}'
        f"{_elements(later)}</{name}>"
    )


def _counts(queue: Queue) -> str:
    main = queue.main
    return _count_details(
        {
            # deferred messages count as active, as in the service
            "ActiveMessageCount": main.counts[State.ACTIVE] + main.counts[State.DEFERRED],
            "DeadLetterMessageCount": sum(queue.dead.counts.values()),
            "ScheduledMessageCount": main.counts[State.SCHEDULED],
            "TransferDeadLetterMessageCount": sum(queue.transfer_dead.counts.values()),
        }
    )


_COUNTED = (
    *("ActiveMessageCount", "DeadLetterMessageCount", "ScheduledMessageCount"),
    *("TransferMessageCount", "TransferDeadLetterMessageCount"),
)


def _count_details(counts: dict[str, int]) -> str:
    details = "".join(f"<d2p1:{key}>{counts.get(key, 0)}</d2p1:{key}>" for key in _COUNTED)
    return f'<CountDetails xmlns:d2p1="{_COUNTS}">{details}</CountDetails>'


def _size(queue: Queue) -> int:
    return sum(mailbox.size_bytes for mailbox in queue.mailboxes)


def _total(queue: Queue) -> int:
    return sum(sum(mailbox.counts.values()) for mailbox in queue.mailboxes)


def _forwarding(properties: QueueProperties) -> list[tuple[str, object]]:
    facts = {
        "ForwardTo": properties.forward_to,
        "ForwardDeadLetteredMessagesTo": properties.forward_dead_letters_to,
    }
    return [(name, value) for name, value in facts.items() if value]


def _times(entity: MessagingEntity) -> list[tuple[str, object]]:
    return [
        ("CreatedAt", _time(entity.created_ms)),
        ("UpdatedAt", _time(entity.updated_ms)),
        ("AccessedAt", _time(entity.accessed_ms)),
    ]


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
