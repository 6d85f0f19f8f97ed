"""The entities of one bus, found by path, and the alarms of their mailboxes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from localbus.broker.entity import MessagingEntity, Site
from localbus.broker.errors import EntityExists, EntityNotFound, NotAllowed
from localbus.broker.mailbox import Mailbox
from localbus.broker.properties import (
    InvalidProperties,
    QueueProperties,
    SubscriptionProperties,
    TopicProperties,
)
from localbus.broker.queue import Queue
from localbus.broker.topic import SEPARATOR, Subscription, Topic
from localbus.store import Entity as Row
from localbus.store import Store

_TRANSFER_SUFFIX = "/$transfer/$deadletterqueue"
_DEAD_LETTER_SUFFIX = "/$deadletterqueue"
_MANAGEMENT_SUFFIX = "/$management"
_FORGET_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Address:
    """What a path means: a mailbox of an entity, or that mailbox's management."""

    entity: MessagingEntity
    mailbox: Mailbox
    management: bool = False

    def belongs_to(self, entity: MessagingEntity) -> bool:
        """Whether this is the entity's, or a subscription's of that topic."""
        mine = self.entity
        return mine is entity or (isinstance(mine, Subscription) and mine.topic is entity)

    @property
    def queue(self) -> Queue:
        """The entity, where messages are received. Raises NotAllowed for a topic."""
        if not isinstance(self.entity, Queue):
            raise NotAllowed(
                f"The messaging entity '{self.entity.name}' is a topic: "
                "messages are received from its subscriptions."
            )
        return self.entity


class Namespace:
    """Everything on one bus. The caller commits the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entities: dict[str, MessagingEntity] = {}
        self._position = store.last_position()
        self._alarms: list[tuple[int, int, Mailbox]] = []
        self._touched: dict[int, Mailbox] = {}
        self._forget_at_ms = 0
        self._site = Site(store, self._allot, self._set_alarm, self._touch, self._destination)
        mailboxes: dict[int, Mailbox] = {}
        for row in store.entities():
            entity = self._build(row)
            mailboxes.update({mailbox.id: mailbox for mailbox in entity.mailboxes})
        tally: dict[int, tuple[dict[object, int], int]] = {}
        for mailbox_id, state, count, size in store.tally():
            counts, total = tally.get(mailbox_id, ({}, 0))
            tally[mailbox_id] = ({**counts, state: count}, total + size)
        for mailbox_id, (counts, total) in tally.items():
            mailboxes[mailbox_id].recover(counts, total)  # type: ignore[arg-type] # keys are State

    def _build(self, row: Row) -> MessagingEntity:
        entity: MessagingEntity
        match row.kind:
            case "topic":
                entity = Topic(row, TopicProperties.from_dict(row.properties), self._site)
            case "subscription":
                topic = self.topic(row.name.rpartition(SEPARATOR)[0])
                properties = SubscriptionProperties.from_dict(row.properties)
                entity = Subscription(row, properties, self._site, topic)
                topic.subscriptions[entity.short_name.lower()] = entity
            case _:
                entity = Queue(row, QueueProperties.from_dict(row.properties), self._site)
        self._entities[row.name.lower()] = entity
        return entity

    def _allot(self) -> int:
        self._position += 1
        return self._position

    def _set_alarm(self, mailbox: Mailbox, at_ms: int) -> None:
        heapq.heappush(self._alarms, (at_ms, mailbox.id, mailbox))

    def _touch(self, mailbox: Mailbox) -> None:
        self._touched[mailbox.id] = mailbox

    def _destination(self, name: str) -> MessagingEntity | None:
        found = self._entities.get(name.lower().strip("/"))
        return None if isinstance(found, Subscription) else found

    # -- entities --------------------------------------------------------------------------

    def queues(self) -> list[Queue]:
        """Every queue, by name; subscriptions are none of them."""
        found = [self._entities[name] for name in sorted(self._entities)]
        return [each for each in found if type(each) is Queue]

    def topics(self) -> list[Topic]:
        """Every topic, by name."""
        found = [self._entities[name] for name in sorted(self._entities)]
        return [each for each in found if isinstance(each, Topic)]

    def entity(self, path: str) -> MessagingEntity:
        """A queue, topic or subscription. Raises EntityNotFound."""
        found = self._entities.get(path.lower().strip("/"))
        if found is None:
            raise EntityNotFound(path)
        return found

    def queue(self, name: str) -> Queue:
        """A queue, or a subscription by its path. Raises EntityNotFound."""
        found = self.entity(name)
        if not isinstance(found, Queue):
            raise EntityNotFound(name)
        return found

    def topic(self, name: str) -> Topic:
        """Raises EntityNotFound."""
        found = self.entity(name)
        if not isinstance(found, Topic):
            raise EntityNotFound(name)
        return found

    def subscription(self, topic: str, name: str) -> Subscription:
        """Raises EntityNotFound."""
        found = self.topic(topic).subscriptions.get(name.lower())
        if found is None:
            raise EntityNotFound(f"{topic}{SEPARATOR}{name}")
        return found

    def create(self, name: str, properties: QueueProperties, now_ms: int) -> Queue:
        """Raises EntityExists, InvalidProperties for a forwarding that leads nowhere."""
        created = self._create(name, properties, now_ms, "queue")
        assert isinstance(created, Queue)
        return created

    def create_topic(self, name: str, properties: TopicProperties, now_ms: int) -> Topic:
        """Raises EntityExists."""
        created = self._create(name, properties, now_ms, "topic")
        assert isinstance(created, Topic)
        return created

    def create_subscription(
        self, topic: str, name: str, properties: SubscriptionProperties, now_ms: int
    ) -> Subscription:
        """A subscription, with the rule that takes everything.

        Raises EntityNotFound for the topic, EntityExists, InvalidProperties.
        """
        path = f"{self.topic(topic).name}{SEPARATOR}{name}"
        created = self._create(path, properties, now_ms, "subscription")
        assert isinstance(created, Subscription)
        created.add_default_rule(now_ms)
        return created

    def _create(
        self, name: str, properties: QueueProperties, now_ms: int, kind: str
    ) -> MessagingEntity:
        if name.lower() in self._entities:
            raise EntityExists(name)
        self._check_forwarding(name, properties)
        return self._build(self._store.add_entity(name, properties.as_dict(), now_ms, kind))

    def _check_forwarding(self, name: str, properties: QueueProperties) -> None:
        for to in (properties.forward_to, properties.forward_dead_letters_to):
            if to and to.lower() == name.lower():
                raise InvalidProperties(f"The messaging entity '{name}' would forward to itself.")
            if to and self._destination(to) is None:
                raise InvalidProperties(
                    f"The messaging entity '{to}' to forward to does not exist."
                )

    def update(self, name: str, properties: QueueProperties, now_ms: int) -> Queue:
        """A queue's new settings. Raises EntityNotFound, InvalidProperties."""
        queue = self.queue(name)
        self._update(queue, properties, now_ms)
        queue.set_forwarding()
        return queue

    def update_topic(self, name: str, properties: TopicProperties, now_ms: int) -> Topic:
        """Raises EntityNotFound, InvalidProperties."""
        topic = self.topic(name)
        self._update(topic, properties, now_ms)
        return topic

    def update_subscription(
        self, topic: str, name: str, properties: SubscriptionProperties, now_ms: int
    ) -> Subscription:
        """Raises EntityNotFound, InvalidProperties."""
        subscription = self.subscription(topic, name)
        self._update(subscription, properties, now_ms)
        subscription.set_forwarding()
        return subscription

    def _update(self, entity: MessagingEntity, properties: QueueProperties, now_ms: int) -> None:
        properties.follow(entity.properties)
        self._check_forwarding(entity.name, properties)
        self._store.update_entity(entity.id, properties.as_dict(), now_ms)
        entity.properties, entity.updated_ms = properties, now_ms

    def delete(self, path: str) -> MessagingEntity:
        """Remove an entity and all it holds, a topic with its subscriptions; returns it.

        Raises EntityNotFound.
        """
        entity = self.entity(path)
        if isinstance(entity, Topic):
            for subscription in list(entity.subscriptions.values()):
                self.delete(subscription.name)
        if isinstance(entity, Subscription):
            del entity.topic.subscriptions[entity.short_name.lower()]
        del self._entities[entity.name.lower()]
        gone = {mailbox.id for mailbox in entity.mailboxes}
        for mailbox in entity.mailboxes:
            mailbox.close()
            self._touched.pop(mailbox.id, None)
        self._alarms = [alarm for alarm in self._alarms if alarm[1] not in gone]
        heapq.heapify(self._alarms)
        self._store.remove_entity(entity.id, sorted(gone))
        return entity

    def resolve(self, path: str) -> Address:
        """What a link's address means. Raises EntityNotFound."""
        rest, management = _without_authority(path), False
        if rest.lower().endswith(_MANAGEMENT_SUFFIX):
            rest, management = rest[: -len(_MANAGEMENT_SUFFIX)], True
        name, lower = rest, rest.lower()
        for suffix in (_TRANSFER_SUFFIX, _DEAD_LETTER_SUFFIX):
            if lower.endswith(suffix):
                name = rest[: -len(suffix)]
                break
        try:
            if name is rest:
                entity = self.entity(name)
                return Address(entity, entity.main, management)
            queue = self.queue(name)
        except EntityNotFound:
            raise EntityNotFound(path) from None
        transfer = lower.endswith(_TRANSFER_SUFFIX)
        return Address(queue, queue.transfer_dead if transfer else queue.dead, management)

    # -- time ------------------------------------------------------------------------------

    def take_touched(self) -> list[Mailbox]:
        """The mailboxes that got something by the way of another one, since the last call."""
        touched = list(self._touched.values())
        self._touched.clear()
        return touched

    def next_alarm_ms(self) -> int | None:
        return self._alarms[0][0] if self._alarms else None

    def tick(self, now_ms: int) -> list[Mailbox]:
        """Do what is due; returns the mailboxes where something may have become available."""
        changed = []
        while self._alarms and self._alarms[0][0] <= now_ms:
            at_ms, _, mailbox = heapq.heappop(self._alarms)
            if mailbox.alarm_ms == at_ms:  # not overtaken by an earlier alarm
                mailbox.tick(now_ms)
                changed.append(mailbox)
        if now_ms >= self._forget_at_ms:
            self._store.forget(now_ms)
            self._forget_at_ms = now_ms + _FORGET_EVERY_MS
        return changed

    def stop(self) -> None:
        """Before a graceful close of the store."""
        for entity in self._entities.values():
            entity.settle_reservation()


def _without_authority(path: str) -> str:
    _, separator, rest = path.partition("://")
    if separator:
        return rest.partition("/")[2].strip("/")
    return path.strip("/")
