"""What the bus must hold: the queues of the lanes and of the intake, and topics that feed queues.

A lane has a queue. Where upstream systems publish to a topic, a table of the lanes file says which
of it goes where:

    [topics.orders.paid]
    forward_to = "intake"
    sql = "kind = 'paid'"
"""

import tomllib
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from contracts.fact import Fact, StrictFact
from contracts.lane import Lane, LaneTable
from fleet.bus.bus import INTAKE_QUEUE
from fleet.lanes import TOPICS, LanesRefused

DELIVERIES = 20
"""The broker's backstop: after so many deliveries it dead-letters by itself."""
DUPLICATE_WINDOW = timedelta(minutes=10)
_INTAKE_LOCK = timedelta(seconds=30)
_SHORTEST_LOCK, _LONGEST_LOCK = 5.0, 300.0
"""Seconds that Service Bus allows for a lock."""


class Feed(StrictFact):
    """A subscription that forwards what its rule takes. `sql`: a filter in Service Bus's words."""

    topic: str
    name: str
    forward_to: str = INTAKE_QUEUE
    sql: str = "1=1"


class Topology(Fact):
    """Queues by name with the duration of their locks, and what feeds them."""

    queues: dict[str, timedelta]
    feeds: tuple[Feed, ...] = ()


def wanted(lanes: LaneTable, feeds: tuple[Feed, ...] = ()) -> Topology:
    """What these lanes need."""
    locks = {INTAKE_QUEUE: _INTAKE_LOCK} | {lane.queue: _lock(lane) for lane in lanes}
    return Topology(queues=locks, feeds=feeds)


def load_feeds(path: Path, lanes: LaneTable) -> tuple[Feed, ...]:
    """The feeds of a lanes file. Raises LanesRefused."""
    queues = {INTAKE_QUEUE, *(lane.queue for lane in lanes)}
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get(TOPICS, {})
    feeds = []
    for topic, subscriptions in tables.items():
        for name, fields in subscriptions.items():
            try:
                feed = Feed.model_validate({**fields, "topic": topic, "name": name})
            except (ValidationError, TypeError) as cause:
                raise LanesRefused(f"{path.name}: [topics.{topic}.{name}]: {cause}") from None
            if feed.forward_to not in queues:
                there = ", ".join(sorted(queues))
                raise LanesRefused(
                    f"{path.name}: [topics.{topic}.{name}] forward_to: no queue "
                    f"{feed.forward_to!r}; there are: {there}"
                )
            feeds.append(feed)
    return tuple(feeds)


def _lock(lane: Lane) -> timedelta:
    """As long as the lane's lease: what died before its claim comes back as soon as what died
    after it."""
    return timedelta(seconds=min(max(lane.lease, _SHORTEST_LOCK), _LONGEST_LOCK))
