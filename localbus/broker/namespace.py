"""The entities of one bus, found by path, and the alarms of their mailboxes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from localbus.broker.errors import EntityExists, EntityNotFound
from localbus.broker.mailbox import Mailbox
from localbus.broker.properties import QueueProperties
from localbus.broker.queue import Queue
from localbus.store import Store

_DEAD_LETTER_SUFFIX = "/$deadletterqueue"
_MANAGEMENT_SUFFIX = "/$management"
_FORGET_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Address:
    """What a path means: a mailbox of a queue, or that mailbox's management."""

    queue: Queue
    mailbox: Mailbox
    management: bool = False


class Namespace:
    """Everything on one bus. The caller commits the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[str, Queue] = {}
        self._position = store.last_position()
        self._alarms: list[tuple[int, int, Mailbox]] = []
        self._forget_at_ms = 0
        mailboxes: dict[int, Mailbox] = {}
        for entity in store.entities():
            queue = Queue(entity, store, self._allot, self._set_alarm)
            self._queues[entity.name.lower()] = queue
            mailboxes.update({mailbox.id: mailbox for mailbox in queue.mailboxes})
        tally: dict[int, tuple[dict[object, int], int]] = {}
        for mailbox_id, state, count, size in store.tally():
            counts, total = tally.get(mailbox_id, ({}, 0))
            tally[mailbox_id] = ({**counts, state: count}, total + size)
        for mailbox_id, (counts, total) in tally.items():
            mailboxes[mailbox_id].recover(counts, total)  # type: ignore[arg-type] # keys are State

    def _allot(self) -> int:
        self._position += 1
        return self._position

    def _set_alarm(self, mailbox: Mailbox, at_ms: int) -> None:
        heapq.heappush(self._alarms, (at_ms, mailbox.id, mailbox))

    # -- entities --------------------------------------------------------------------------

    def queues(self) -> list[Queue]:
        """Every queue, by name."""
        return [self._queues[name] for name in sorted(self._queues)]

    def queue(self, name: str) -> Queue:
        """Raises EntityNotFound."""
        found = self._queues.get(name.lower().strip("/"))
        if found is None:
            raise EntityNotFound(name)
        return found

    def create(self, name: str, properties: QueueProperties, now_ms: int) -> Queue:
        """Raises EntityExists."""
        if name.lower() in self._queues:
            raise EntityExists(name)
        entity = self._store.add_entity(name, properties.as_dict(), now_ms)
        queue = Queue(entity, self._store, self._allot, self._set_alarm)
        self._queues[name.lower()] = queue
        return queue

    def update(self, name: str, properties: QueueProperties, now_ms: int) -> Queue:
        """Raises EntityNotFound, InvalidProperties for what cannot be changed."""
        queue = self.queue(name)
        properties.follow(queue.properties)
        self._store.update_entity(queue.id, properties.as_dict(), now_ms)
        queue.properties, queue.updated_ms = properties, now_ms
        return queue

    def delete(self, name: str) -> Queue:
        """Remove a queue and all it holds; returns it. Raises EntityNotFound."""
        queue = self.queue(name)
        del self._queues[queue.name.lower()]
        gone = {mailbox.id for mailbox in queue.mailboxes}
        for mailbox in queue.mailboxes:
            mailbox.close()
        self._alarms = [alarm for alarm in self._alarms if alarm[1] not in gone]
        heapq.heapify(self._alarms)
        self._store.remove_entity(queue.id, sorted(gone))
        return queue

    def resolve(self, path: str) -> Address:
        """What a link's address means. Raises EntityNotFound."""
        rest, management, dead = _without_authority(path), False, False
        if rest.lower().endswith(_MANAGEMENT_SUFFIX):
            rest, management = rest[: -len(_MANAGEMENT_SUFFIX)], True
        if rest.lower().endswith(_DEAD_LETTER_SUFFIX):
            rest, dead = rest[: -len(_DEAD_LETTER_SUFFIX)], True
        try:
            queue = self.queue(rest)
        except EntityNotFound:
            raise EntityNotFound(path) from None
        return Address(queue, queue.dead if dead else queue.main, management)

    # -- time ------------------------------------------------------------------------------

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
        for queue in self._queues.values():
            queue.settle_reservation()


def _without_authority(path: str) -> str:
    _, separator, rest = path.partition("://")
    if separator:
        return rest.partition("/")[2].strip("/")
    return path.strip("/")
