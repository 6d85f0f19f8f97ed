"""Making a namespace hold what the lanes need; again and again, to the same end.

What differs is told before it is changed. What else lies in the namespace is left alone, and so is
what only a new entity could change: that is told, and left to whoever may throw messages away.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient, SqlRuleFilter

from contracts.fact import Fact
from fleet.bus.errors import BusUnavailable
from fleet.bus.topology import DELIVERIES, DUPLICATE_WINDOW, Feed, Topology

RULE = "$Default"


class Difference(Fact):
    """One thing that is not as it must be. `action`: what mends it; `recreate` is not done here."""

    entity: str
    action: Literal["create", "update", "recreate"]
    field: str | None = None
    found: str | None = None
    wanted: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    difference: Difference
    mend: Callable[[], object]


def differences(client: ServiceBusAdministrationClient, topology: Topology) -> list[Difference]:
    """What differs, in the order in which it is mended. Raises BusUnavailable."""
    try:
        return [step.difference for step in _steps(client, topology)]
    except AzureError as cause:
        raise _unavailable(cause) from None


def apply(client: ServiceBusAdministrationClient, topology: Topology) -> list[Difference]:
    """Mend what differs; what did. Several may do so at once. Raises BusUnavailable."""
    told = []
    try:
        for step in _steps(client, topology):
            try:
                step.mend()
            except ResourceExistsError:
                continue  # another was faster
            told.append(step.difference)
    except AzureError as cause:
        raise _unavailable(cause) from None
    return told


def _steps(client: ServiceBusAdministrationClient, topology: Topology) -> Iterator[_Step]:
    for name, lock in topology.queues.items():
        yield from _queue(client, name, lock)
    for topic in dict.fromkeys(feed.topic for feed in topology.feeds):
        try:
            client.get_topic(topic)
        except ResourceNotFoundError:
            made = Difference(entity=topic, action="create")
            yield _Step(made, lambda topic=topic: client.create_topic(topic))  # type: ignore[misc]
    for feed in topology.feeds:
        yield from _feed(client, feed)


def _queue(client: ServiceBusAdministrationClient, name: str, lock: timedelta) -> Iterator[_Step]:
    try:
        found = client.get_queue(name)
    except ResourceNotFoundError:
        yield _Step(
            Difference(entity=name, action="create"),
            lambda: client.create_queue(
                name,
                lock_duration=lock,
                max_delivery_count=DELIVERIES,
                requires_duplicate_detection=True,
                duplicate_detection_history_time_window=DUPLICATE_WINDOW,
            ),
        )
        return
    if not found.requires_duplicate_detection:
        fixed = _differs(name, "requires_duplicate_detection", False, True, "recreate")
        yield _Step(fixed, lambda: None)
    settings = {
        "lock_duration": lock,
        "max_delivery_count": DELIVERIES,
        "duplicate_detection_history_time_window": DUPLICATE_WINDOW,
    }
    for field, value in settings.items():
        if (now := getattr(found, field)) != value:
            setattr(found, field, value)
            yield _Step(_differs(name, field, now, value), lambda: client.update_queue(found))


def _feed(client: ServiceBusAdministrationClient, feed: Feed) -> Iterator[_Step]:
    entity = f"{feed.topic}/Subscriptions/{feed.name}"
    try:
        found = client.get_subscription(feed.topic, feed.name)
    except ResourceNotFoundError:
        yield _Step(Difference(entity=entity, action="create"), lambda: _make(client, feed))
        return
    target = (found.forward_to or "").rstrip("/").rpartition("/")[2]
    if target.casefold() != feed.forward_to.casefold():
        found.forward_to = feed.forward_to
        yield _Step(
            _differs(entity, "forward_to", target, feed.forward_to),
            lambda: client.update_subscription(feed.topic, found),
        )
    rules = {rule.name: rule for rule in client.list_rules(feed.topic, feed.name)}
    rule = rules.pop(RULE, None)
    sql = getattr(rule.filter, "sql_expression", None) if rule else None
    if sql != feed.sql:
        yield _Step(
            _differs(entity, "rule", sql, feed.sql), lambda: _rule(client, feed, new=rule is None)
        )
    for name in rules:
        yield _Step(
            _differs(entity, f"rule {name}", name, None),
            lambda name=name: client.delete_rule(feed.topic, feed.name, name),  # type: ignore[misc]
        )


def _make(client: ServiceBusAdministrationClient, feed: Feed) -> None:
    client.create_subscription(feed.topic, feed.name, forward_to=feed.forward_to)
    _rule(client, feed, new=False)


def _rule(client: ServiceBusAdministrationClient, feed: Feed, *, new: bool) -> None:
    if new:
        client.create_rule(feed.topic, feed.name, RULE, filter=SqlRuleFilter(feed.sql))
        return
    rule = client.get_rule(feed.topic, feed.name, RULE)
    rule.filter = SqlRuleFilter(feed.sql)
    client.update_rule(feed.topic, feed.name, rule)


def _differs(
    entity: str,
    field: str,
    found: object,
    value: object,
    action: Literal["update", "recreate"] = "update",
) -> Difference:
    return Difference(
        entity=entity,
        action=action,
        field=field,
        found=None if found is None else str(found),
        wanted=None if value is None else str(value),
    )


def _unavailable(cause: AzureError) -> BusUnavailable:
    return BusUnavailable(f"the namespace cannot be administered: {cause}")
