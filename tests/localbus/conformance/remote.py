"""A namespace that is not ours, with the face of `RunningBus`: an Azure one, or a running localbus.

    LOCALBUS_CONFORMANCE_CONNECTION   connection string for AMQP; the tests run against it
    LOCALBUS_CONFORMANCE_ADMIN        for the management API, when that is another address
    LOCALBUS_CONFORMANCE_CERTIFICATE  path of a certificate to trust
    LOCALBUS_CONFORMANCE_CONTROL      host:port of a localbus' control API, to move its clock

The namespace must be empty: whatever the tests leave in it is deleted after each of them. Without a
control API time is waited for, so that a run takes as long as the locks it waits for.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.servicebus import ServiceBusClient, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient, SqlRuleFilter

from localbus.clock import DrivenClock
from localbus.testing import RunningBus

_CONNECTION = "LOCALBUS_CONFORMANCE_CONNECTION"
_Result = TypeVar("_Result")
_NAMES = {
    "lock_duration_ms": "lock_duration",
    "default_ttl_ms": "default_message_time_to_live",
    "duplicate_window_ms": "duplicate_detection_history_time_window",
    "auto_delete_on_idle_ms": "auto_delete_on_idle",
    "detect_duplicates": "requires_duplicate_detection",
    "dead_letter_on_expiry": "dead_lettering_on_message_expiration",
    "max_message_kilobytes": "max_message_size_in_kilobytes",
    "dead_letter_on_filter_errors": "dead_lettering_on_filter_evaluation_exceptions",
    "forward_dead_letters_to": "forward_dead_lettered_messages_to",
}
"""Properties of localbus under the names the management client has for them."""


def is_remote() -> bool:
    """Whether the tests are to run against a namespace that is there already."""
    return bool(os.environ.get(_CONNECTION))


class NamespaceNotEmpty(Exception):
    """The tests delete what they find, so that they begin only where there is nothing."""


class RemoteClock(DrivenClock):
    """Time that passes by itself; moved when the other side has a control API."""

    def __init__(self, control: str | None) -> None:
        super().__init__()
        self._control = control

    def advance(self, seconds: float) -> None:
        if self._control is None:
            time.sleep(seconds)  # the only place that does: nobody can move the service's clock
        else:
            self._ask("clock", {"advance_s": seconds})

    def reset(self) -> None:
        if self._control is not None:
            self._ask("reset", {"clock": True})

    def _ask(self, what: str, body: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection(self._control or "", timeout=30)
        try:
            headers = {"content-type": "application/json"}
            connection.request("POST", f"/$control/{what}", json.dumps(body), headers)
            assert connection.getresponse().status == 200
        finally:
            connection.close()


class RemoteBus(RunningBus):
    """See the module. What only a bus in this process can do skips the test."""

    def __init__(self) -> None:
        self.clock = RemoteClock(os.environ.get("LOCALBUS_CONFORMANCE_CONTROL"))
        self.certificate = os.environ.get("LOCALBUS_CONFORMANCE_CERTIFICATE", "")
        self.admin = ServiceBusAdministrationClient.from_connection_string(
            self.admin_connection_string, connection_verify=self.certificate or True
        )

    @property
    def connection_string(self) -> str:
        return os.environ[_CONNECTION]

    @property
    def admin_connection_string(self) -> str:
        return os.environ.get("LOCALBUS_CONFORMANCE_ADMIN") or self.connection_string

    def create_queue(self, name: str, **properties: Any) -> None:
        self.admin.create_queue(name, **dict(_translated(properties)))

    def ensure_queue(self, name: str, **properties: Any) -> None:
        try:
            self.create_queue(name, **properties)
        except ResourceExistsError:
            return

    def create_topic(self, name: str, **properties: Any) -> None:
        self.admin.create_topic(name, **dict(_translated(properties)))

    def create_subscription(
        self, topic: str, name: str, *, sql: str | None = None, **properties: Any
    ) -> None:
        self.admin.create_subscription(topic, name, **dict(_translated(properties)))
        if sql is not None:
            rule = self.admin.get_rule(topic, name, "$Default")
            rule.filter = SqlRuleFilter(sql)
            self.admin.update_rule(topic, name, rule)

    def delete_queue(self, name: str) -> None:
        self.admin.delete_queue(name)

    def counts(self, name: str) -> dict[str, int]:
        """By peeking, since the management API counts the deferred as active."""
        with ServiceBusClient.from_connection_string(self.connection_string) as client:
            counts = dict.fromkeys(("active", "deferred", "scheduled"), 0)
            try:
                for state in _peeked(client, name, None):
                    counts[state] += 1
                dead = sum(1 for _ in _peeked(client, name, ServiceBusSubQueue.DEAD_LETTER))
            except ServiceBusError:  # with sessions or forwarding it has no plain receiver
                return self._counted(name)
        return {**counts, "dead_letter": dead}

    def _counted(self, name: str) -> dict[str, int]:
        topic, separator, subscription = name.partition("/Subscriptions/")
        if separator:
            of_topic = self.admin.get_subscription_runtime_properties(topic, subscription)
            active, dead, scheduled = (
                of_topic.active_message_count,
                of_topic.dead_letter_message_count,
                0,
            )
        else:
            found = self.admin.get_queue_runtime_properties(name)
            active, dead = found.active_message_count, found.dead_letter_message_count
            scheduled = found.scheduled_message_count or 0
        return {
            "active": active or 0,
            "deferred": 0,
            "scheduled": scheduled,
            "dead_letter": dead or 0,
        }

    def drop_connections(self) -> None:
        pytest.skip("only a bus in this process drops its connections")

    def call(self, do: Callable[[], _Result]) -> _Result:
        pytest.skip("needs a bus in this process")

    def empty(self) -> None:
        """Delete every entity, and have the machine's time again."""
        for topic in self.admin.list_topics():
            self.admin.delete_topic(topic.name)
        for queue in self.admin.list_queues():
            self.admin.delete_queue(queue.name)
        self.clock.reset()


def _translated(properties: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in properties.items():
        known = _NAMES.get(name, name)
        yield known, timedelta(milliseconds=value) if name.endswith("_ms") else value


def _peeked(
    client: ServiceBusClient, name: str, sub_queue: ServiceBusSubQueue | None
) -> Iterator[str]:
    topic, separator, subscription = name.partition("/Subscriptions/")
    if separator:
        made = client.get_subscription_receiver(topic, subscription, sub_queue=sub_queue)
    else:
        made = client.get_queue_receiver(name, sub_queue=sub_queue)
    with made as receiver:
        following = 1
        while page := receiver.peek_messages(250, sequence_number=following):
            for message in page:
                yield message.state.name.lower()
                following = (message.sequence_number or 0) + 1


@contextmanager
def remote_bus(queues: list[str]) -> Iterator[RemoteBus]:
    """The namespace for one test. Raises NamespaceNotEmpty."""
    bus = RemoteBus()
    with bus.admin:
        found = [queue.name for queue in bus.admin.list_queues()]
        found += [topic.name for topic in bus.admin.list_topics()]
        if found:
            raise NamespaceNotEmpty(f"it has {', '.join(found[:5])}; give the tests one of its own")
        try:
            for name in queues:
                bus.create_queue(name)
            yield bus
        finally:
            bus.empty()
