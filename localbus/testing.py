"""A bus for tests, in one line.

    with running_bus(tmp_path, queues=["orders"]) as bus:
        client = ServiceBusClient.from_connection_string(bus.connection_string)

The bus listens on free loopback ports, runs on a thread of its own, keeps its messages under the
given folder, and has a clock that the test drives: `bus.clock.advance(60)` ends locks, brings
scheduled messages and expires the old, before it returns. What goes wrong in production can be
made to go wrong here: `bus.fault("settle", "lose-lock", entity="orders")`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from localbus.broker.errors import EntityExists
from localbus.broker.message import State
from localbus.broker.properties import QueueProperties, SubscriptionProperties, TopicProperties
from localbus.broker.rules import DEFAULT_RULE, SqlFilter
from localbus.broker.rules import Rule as SubscriptionRule
from localbus.clock import DrivenClock
from localbus.faults import Fault, Faults, Moment, Rule
from localbus.sas import SasKeys
from localbus.server import Server, ServerOptions, serve
from localbus.store import Durability

_Result = TypeVar("_Result")
_START_S = 30.0


class RunningBus:
    """A bus that runs on another thread. Call its methods from any thread but that one."""

    def __init__(
        self,
        server: Server,
        clock: DrivenClock,
        loop: asyncio.AbstractEventLoop,
        keys: SasKeys | None = None,
    ) -> None:
        self.clock = clock
        self._server = server
        self._loop = loop
        self._key = ("RootManageSharedAccessKey", "local")
        if keys is not None:
            self._key = next(iter(keys.keys.items()))
        listening = server.listening
        self.amqp_port = listening.amqp_port
        self.admin_port = listening.admin_port
        self.admin_http_port = listening.admin_http_port
        self.certificate = listening.certificate
        """Path to the admin API's certificate: pass it as `connection_verify`."""
        clock.on_jump(self._settle)

    @property
    def connection_string(self) -> str:
        """For ServiceBusClient, sync and aio."""
        return self._connection_string(self.amqp_port)

    @property
    def admin_connection_string(self) -> str:
        """For ServiceBusAdministrationClient, with `connection_verify=bus.certificate`."""
        return self._connection_string(self.admin_port)

    def _connection_string(self, port: int) -> str:
        [name, key] = self._key
        return (
            f"Endpoint=sb://{self._server.listening.host}:{port};"
            f"SharedAccessKeyName={name};SharedAccessKey={key};UseDevelopmentEmulator=true;"
        )

    def create_queue(self, name: str, **properties: Any) -> None:
        """Create a queue; the properties are those of `QueueProperties`. Raises EntityExists."""
        self.call(lambda: self._create(name, QueueProperties(**properties)))

    def ensure_queue(self, name: str, **properties: Any) -> None:
        """As `create_queue`, but a queue that is there is left as it is."""
        with suppress(EntityExists):
            self.create_queue(name, **properties)

    def create_topic(self, name: str, **properties: Any) -> None:
        """Create a topic; the properties are those of `TopicProperties`. Raises EntityExists."""
        settings = TopicProperties(**properties)
        bus = self._server.bus
        self.call(lambda: bus.namespace.create_topic(name, settings, bus.clock.now_ms()))

    def create_subscription(
        self, topic: str, name: str, *, sql: str | None = None, **properties: Any
    ) -> None:
        """Create a subscription, which takes everything, or what the SQL filter says; the
        properties are those of `SubscriptionProperties`. Raises EntityNotFound, EntityExists."""
        settings = SubscriptionProperties(**properties)
        bus = self._server.bus

        def create() -> None:
            made = bus.namespace.create_subscription(topic, name, settings, bus.clock.now_ms())
            if sql is not None:
                only = SubscriptionRule(name=DEFAULT_RULE, filter=SqlFilter(expression=sql))
                made.update_rule(only)

        self.call(create)

    def delete_queue(self, name: str) -> None:
        """Remove a queue and all it holds. Raises EntityNotFound."""
        self.call(lambda: self._server.delete_queue(name))

    def drop_connections(self) -> None:
        """Cut every client's connection without a goodbye, as a failing network does."""
        self.call(self._server.drop_connections)

    def detach_receivers(self) -> int:
        """Close every receiver's link, as the service does after ten idle minutes; how many."""
        return self.call(self._server.detach_receivers)

    def fault(self, moment: str, fault: str, **rule: Any) -> int:
        """Let something go wrong: `bus.fault("send", "throttle", times=2)`; returns the rule's id.

        The words and the rest of the rule are those of `localbus.faults`. Raises ValueError.
        """
        made = Rule(moment=Moment(moment), fault=Fault(fault), **rule)
        return self.call(lambda: self._faults().add(made, self.clock.now_ms()))

    def struck(self, rule_id: int) -> int:
        """How often a rule has struck."""
        return self.call(lambda: self._faults().struck(rule_id))

    def heal(self, seed: int = 0) -> None:
        """Lift every fault, and begin the draw anew from `seed`."""
        self.call(lambda: self._faults().reset(seed))

    def _faults(self) -> Faults:
        bus = self._server.bus
        if bus.faults is None:
            bus.faults = Faults()
        return bus.faults

    def counts(self, name: str) -> dict[str, int]:
        """Messages of a queue or subscription (`topic/Subscriptions/name`) by state: active (the
        locked among them), deferred, scheduled, dead_letter."""

        def read() -> dict[str, int]:
            queue = self._server.bus.namespace.queue(name)
            main = {state.name.lower(): queue.main.counts[state] for state in State}
            return {**main, "dead_letter": sum(queue.dead.counts.values())}

        return self.call(read)

    def call(self, do: Callable[[], _Result]) -> _Result:
        """Run `do` on the bus's thread, commit, and return its result."""

        async def run() -> _Result:
            result = do()
            await self._server.bus.committed()
            return result

        return _run_on(self._loop, run())

    def _create(self, name: str, properties: QueueProperties) -> None:
        bus = self._server.bus
        bus.namespace.create(name, properties, bus.clock.now_ms())

    def _settle(self) -> None:
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                return  # moved over HTTP: the control API waits for what became due
        self.call(lambda: None)


@contextmanager
def running_bus(
    folder: Path | None = None, queues: Iterable[str] = (), **options: Any
) -> Iterator[RunningBus]:
    """A bus for the length of the block, its data under `folder`; `options` are ServerOptions'.

    Run again with the same folder it finds what it kept.
    """
    clock = DrivenClock()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="localbus", daemon=True)
    thread.start()
    defaults = {"port": 0, "admin_port": 0, "admin_http_port": 0, "durability": Durability.NONE}
    data = None if folder is None else folder / "localbus"
    settings = ServerOptions(**{**defaults, "data": data, **options})
    try:
        serving = serve(settings, clock)
        server = _run_on(loop, serving.__aenter__())
        try:
            bus = RunningBus(server, clock, loop, settings.sas_keys)
            for name in queues:
                bus.ensure_queue(name)
            yield bus
        finally:
            _run_on(loop, serving.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()


def _run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(_START_S)
