"""Queues and topics from a file, made when the server starts.

Two shapes are read: the official emulator's Config.json, and the short one
`{"queues": {"orders": {"lock_duration_ms": 30000}}, "topics": {"news": {"subscriptions":
{"sport": {"rules": {"r": {"sql": "kind = 'sport'"}}}}}}}` with the names of `QueueProperties`,
`TopicProperties` and `SubscriptionProperties`. What exists keeps its messages and gets the file's
settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from localbus.broker import durations
from localbus.broker.errors import BrokerError, EntityNotFound
from localbus.broker.properties import (
    InvalidProperties,
    QueueProperties,
    SubscriptionProperties,
    TopicProperties,
)
from localbus.broker.rules import (
    CORRELATION_FIELDS,
    Action,
    CorrelationFilter,
    Filter,
    Rule,
    SqlFilter,
)
from localbus.broker.sql import InvalidSql

if TYPE_CHECKING:
    from localbus.broker.namespace import Namespace
    from localbus.bus import Bus


class InvalidTopology(ValueError):
    """The file is not a topology; the message names the place. Nothing was created."""


@dataclass(frozen=True, slots=True)
class PlannedSubscription:
    """A subscription with its rules; without rules it takes everything."""

    properties: SubscriptionProperties = field(default_factory=SubscriptionProperties)
    rules: Mapping[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedTopic:
    """A topic with its subscriptions by name."""

    properties: TopicProperties = field(default_factory=TopicProperties)
    subscriptions: Mapping[str, PlannedSubscription] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """Queues and topics by name."""

    queues: Mapping[str, QueueProperties]
    topics: Mapping[str, PlannedTopic] = field(default_factory=dict)


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
        return _emulator(document)
    queues, topics = document.get("queues", {}), document.get("topics", {})
    if not isinstance(queues, dict) or not isinstance(topics, dict) or not (queues or topics):
        raise InvalidTopology("a topology has `queues` or `topics` (by name) or `UserConfig`")
    return Topology(
        {name: _settings(QueueProperties, name, values) for name, values in queues.items()},
        {name: _topic(name, values) for name, values in topics.items()},
    )


def _topic(name: str, values: Any) -> PlannedTopic:
    if not isinstance(values, dict):
        raise InvalidTopology(f"topic {name}: not an object")
    values = dict(values)
    subscriptions = values.pop("subscriptions", {})
    if not isinstance(subscriptions, dict):
        raise InvalidTopology(f"topic {name}: subscriptions are given by name")
    planned = {each: _subscription(f"{name}/{each}", v) for each, v in subscriptions.items()}
    return PlannedTopic(_settings(TopicProperties, name, values), planned)


def _subscription(name: str, values: Any) -> PlannedSubscription:
    if not isinstance(values, dict):
        raise InvalidTopology(f"subscription {name}: not an object")
    values = dict(values)
    rules = values.pop("rules", {})
    if not isinstance(rules, dict):
        raise InvalidTopology(f"subscription {name}: rules are given by name")
    planned = {each: _rule(f"{name}/{each}", each, rule) for each, rule in rules.items()}
    return PlannedSubscription(_settings(SubscriptionProperties, name, values), planned)


def _rule(place: str, name: str, values: Any) -> Rule:
    """A rule of the short shape: `sql` or `correlation`, and `action`."""
    try:
        match values:
            case {"sql": str(expression)}:
                found: Filter = SqlFilter(expression=expression)
            case {"correlation": dict(asked)}:
                found = CorrelationFilter(**asked)
            case _:
                raise InvalidTopology(f"rule {place}: has neither sql nor correlation")
        action = values.get("action")
        return Rule(
            name=name, filter=found, action=None if action is None else Action(expression=action)
        )
    except (InvalidSql, InvalidProperties, TypeError) as error:
        raise InvalidTopology(f"rule {place}: {error}") from error


_Settings = TypeVar("_Settings", bound=QueueProperties)


def _settings(kind: type[_Settings], name: str, values: Any) -> _Settings:
    try:
        return kind(**values)
    except (TypeError, InvalidProperties) as error:
        raise InvalidTopology(f"{name}: {error}") from error


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


def _emulator(document: dict[str, Any]) -> Topology:
    queues: dict[str, QueueProperties] = {}
    topics: dict[str, PlannedTopic] = {}
    for namespace in document["UserConfig"].get("Namespaces") or []:
        for name, entry in _named(namespace, "Queues"):
            queues[name] = _emulated(QueueProperties, name, entry)
        for name, entry in _named(namespace, "Topics"):
            subscriptions = {
                short: PlannedSubscription(
                    _emulated(SubscriptionProperties, f"{name}/{short}", inner),
                    {rule: _emulated_rule(rule, each) for rule, each in _named(inner, "Rules")},
                )
                for short, inner in _named(entry, "Subscriptions")
            }
            topics[name] = PlannedTopic(_emulated(TopicProperties, name, entry), subscriptions)
    return Topology(queues, topics)


def _named(place: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for entry in place.get(key) or []:
        name = entry.get("Name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise InvalidTopology(f"{key}: an entry without a Name")
        found.append((name, entry))
    return found


def _emulated(kind: type[_Settings], name: str, entry: dict[str, Any]) -> _Settings:
    values: dict[str, Any] = {}
    for key, value in (entry.get("Properties") or {}).items():
        if key not in _EMULATOR:
            raise InvalidTopology(f"{name}: unknown property {key}")
        setting, convert = _EMULATOR[key]
        values[setting] = convert(value)
    return _settings(kind, name, values)


_CORRELATION = {name.replace("_", ""): name for name in CORRELATION_FIELDS}


def _emulated_rule(name: str, entry: dict[str, Any]) -> Rule:
    """A rule of Config.json: FilterType, SqlFilter or CorrelationFilter, and Action."""
    values = entry.get("Properties") or {}
    try:
        match values.get("FilterType", ""):
            case "Sql":
                found: Filter = SqlFilter(expression=values["SqlFilter"]["SqlExpression"])
            case "Correlation":
                asked = dict(values["CorrelationFilter"])
                user = asked.pop("Properties", None) or {}
                system = {_CORRELATION[key.lower()]: value for key, value in asked.items()}
                found = CorrelationFilter(**system, properties=user)
            case kind:
                raise InvalidTopology(f"rule {name}: FilterType {kind!r}")
        expression = (values.get("Action") or {}).get("SqlExpression")
        action = Action(expression=expression) if expression else None
    except (InvalidSql, InvalidProperties, KeyError, TypeError) as error:
        raise InvalidTopology(f"rule {name}: {error}") from error
    return Rule(name=name, filter=found, action=action)


def apply_topology(topology: Topology, bus: Bus) -> None:
    """Create what is missing, and give the others these settings. Subscriptions that have rules in
    the file have those and no others afterwards.

    Raises InvalidTopology for what does not go with the entities that exist.
    """
    try:
        _apply(topology, bus)
    except (BrokerError, InvalidProperties) as error:
        raise InvalidTopology(str(error)) from error


def _apply(topology: Topology, bus: Bus) -> None:
    namespace, now_ms = bus.namespace, bus.clock.now_ms()
    known = {entity.name.lower() for entity in (*namespace.queues(), *namespace.topics())}
    # first without forwarding: what is forwarded to may come later in the file
    for name, properties in topology.queues.items():
        if name.lower() not in known:
            namespace.create(name, _unforwarded(properties), now_ms)
    for name, topic in topology.topics.items():
        if name.lower() in known:
            namespace.update_topic(name, topic.properties, now_ms)
        else:
            namespace.create_topic(name, topic.properties, now_ms)
    for name, properties in topology.queues.items():
        namespace.update(name, properties, now_ms)
    for name, topic in topology.topics.items():
        for short, planned in topic.subscriptions.items():
            _apply_subscription(namespace, name, short, planned, now_ms)


def _unforwarded(properties: QueueProperties) -> QueueProperties:
    return replace(properties, forward_to="", forward_dead_letters_to="")


def _apply_subscription(
    namespace: Namespace, topic: str, name: str, planned: PlannedSubscription, now_ms: int
) -> None:
    try:
        subscription = namespace.update_subscription(topic, name, planned.properties, now_ms)
    except EntityNotFound:
        subscription = namespace.create_subscription(topic, name, planned.properties, now_ms)
    if planned.rules:
        for rule in subscription.list_rules():
            subscription.remove_rule(rule.name)
        for rule in planned.rules.values():
            subscription.add_rule(replace(rule, created_ms=now_ms))
