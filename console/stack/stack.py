"""The local stack as one thing: started in order, tended while it runs, stopped with the bus last.

A home has one stack at a time. What is started is written to stack.json at once, so that
`fleet down` can stop what a crash of this process left behind. A process that dies is started
again in its place: the ledger and the bus are durable, so that costs time and nothing else.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from console.errors import Refused
from console.site import Site
from console.stack.components import (
    BUS,
    LocalBus,
    asked_ports,
    bus_connection,
    console,
    dispatcher,
    worker,
)
from console.stack.process import Child, Component, stop
from console.stack.record import ProcessMark, StackRecord, forget, read_record, write_secret

START_PATIENCE = 600.0
"""Seconds that a process has to become ready. A new release may have tables of millions of rows to
write anew; what has died is not waited for."""
STOP_PATIENCE = 10.0
"""Seconds that a process has to end, beyond the grace that running work has."""
_LOOK = 0.05
_RESTARTS = 10
"""Restarts of one process, after which the stack gives up: something is wrong for good."""
Say = Callable[[str], None]


class Stack:
    """A stack that this process started. `running_stack` also finds the settings to use it."""

    def __init__(self, site: Site, workers: int, say: Say) -> None:
        self._settings, self._workers, self._say = site.settings, workers, say
        self._home = site.settings.home.absolute()
        self._children: list[Child] = []  # in the order of starting
        self._bus: LocalBus | None = None
        self._http_port, self._console_port = asked_ports(site.settings)
        self._kept = False

    @property
    def record(self) -> StackRecord:
        """What stack.json says of it."""
        return StackRecord(
            processes=tuple(child.mark for child in self._children),
            supervisor=None if self._kept else ProcessMark.of("fleet", os.getpid()),
            http_host=self._settings.http_host,
            http_port=self._http_port,
            console_host=self._settings.console_host,
            console_port=self._console_port,
            bus_port=self._bus.amqp_port if self._bus else None,
            bus_admin_port=self._bus.admin_port if self._bus else None,
            bus_certificate=str(self._bus.certificate) if self._bus else None,
        )

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises Refused where a stack runs on this home already, and Unreachable, with the end of
        the log, for a process that fails or does not become ready; what was started is stopped.
        """
        with _starting(self._home):
            if (there := read_record(self._settings.stack_file)) is not None:
                ids = ", ".join(f"{mark.name} {mark.pid}" for mark in there.alive)
                raise Refused(
                    f"a stack is running in {self._settings.home} already ({ids}); "
                    "stop it with `fleet down`"
                )
            _keep_old_logs(self._home / "logs")
            try:
                self._start()
            except BaseException:
                self.stop()
                raise

    def tend(self) -> None:
        """Start again whatever has died. Call it often; it returns at once.

        Raises Unreachable, with the end of the log, for what dies again and again.
        """
        for child in self._children:
            if not child.due():
                continue
            if child.restarts >= _RESTARTS:
                raise child.failure(f"{child.ending}, after {child.restarts} restarts")
            self._say(f"{child.name} {child.ending}; starting it again")
            child.restart()
            self._write()

    def keep(self) -> None:
        """Leave it running when this process ends; `fleet down` stops it."""
        self._kept = True
        self._write()

    def stop(self) -> None:
        """Stop all of it, the bus last. Stopping twice is harmless; a kept stack is left alone."""
        if self._kept or not self._children:
            return
        stop_in_order([child.mark for child in self._children], self._settings.grace, self._reap)
        self._children = []
        forget(self._settings.stack_file)

    def _start(self) -> None:
        environment = {**os.environ, "FLEET_HOME": str(self._home), "PYTHONUNBUFFERED": "1"}
        pages = environment
        if not self._settings.names_bus:
            bus = LocalBus(data=self._home / "bus")
            told = self._await(child := self._begin(bus.component(environment)))
            self._bus = bus.at(told)
            child.component = self._bus.component(environment)
            environment = environment | self._bus.environment()
            write_secret(self._home, self._bus.connection)
        self._ensure_queues()
        door = self._begin(dispatcher(self._http_port, environment))
        workers = [self._begin(worker(n + 1, environment)) for n in range(self._workers)]
        self._http_port = self._await(door)["http_port"]
        # The pages read in stack.json where the dispatcher is, which `_begin` writes.
        screens = self._begin(console(self._console_port, pages))
        for child in workers:
            self._await(child)
        self._console_port = self._await(screens)["console_port"]
        # Whatever is started again has the address that it had.
        door.component = dispatcher(self._http_port, environment)
        screens.component = console(self._console_port, pages)
        self._write()

    def _begin(self, component: Component) -> Child:
        child = Child(component, self._home)
        self._children.append(child)
        self._write()
        return child

    def _await(self, child: Child) -> dict[str, Any]:
        """What it says of itself once it is ready."""
        until = time.monotonic() + START_PATIENCE
        while not child.ready:
            if not child.running:
                raise child.failure(f"{child.ending} while starting")
            if time.monotonic() > until:
                raise child.failure(f"was not ready after {START_PATIENCE:.0f} s")
            time.sleep(_LOOK)
        return child.told

    def _ensure_queues(self) -> None:
        from fleet.bus.admin import BusAdmin
        from fleet.lanes import load_lanes

        if self._bus is None:
            address, certificate = self._settings.bus_address, self._settings.bus_certificate
        else:
            address, certificate = bus_connection(self._bus.admin_port), self._bus.certificate
        with BusAdmin(address, certificate) as admin:
            admin.ensure_queues(load_lanes(self._settings.lanes_file))

    def _write(self) -> None:
        self.record.write(self._settings.stack_file)

    def _reap(self) -> None:
        for child in self._children:
            child.reap()


def stop_in_order(
    marks: Sequence[ProcessMark], grace: float, reap: Callable[[], None] | None = None
) -> None:
    """Whoever uses the bus first, all together, within the grace that running work has; then the
    bus, so that what they finish is settled."""
    users = [mark for mark in marks if mark.name != BUS]
    stop(users, grace + STOP_PATIENCE, reap)
    stop([mark for mark in marks if mark.name == BUS], STOP_PATIENCE, reap)


@contextlib.contextmanager
def _starting(home: Path) -> Iterator[None]:
    """Only one process at a time starts a stack on this home."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another `fleet` is starting a stack here at this moment") from None
        yield


def _keep_old_logs(logs: Path) -> None:
    """A stack begins new logs; those of the stack before are kept beside them."""
    for log in logs.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))
