"""A fleet of real processes to do harm to: bus behind a proxy, dispatcher, workers, victims."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import policies
from console.stack.components import LocalBus, bus_connection
from console.stack.process import Child, Component, kill_group
from contracts.artifact import Audience, Scope
from contracts.fact import JsonObject
from contracts.ids import run_id
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from contracts.states import FINAL, State
from fleet.artifacts.folder import FolderStore
from fleet.bus.admin import BusAdmin
from fleet.lanes import load_lanes
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import LaneLimits, NewRun, TaskRow
from policies.bundle import load_bundle
from policies.facts import AdmitFacts
from policies.gate import PolicyGate
from tests.chaos.handler import BIG, EFFECTS
from tests.chaos.history import Verdict, checked
from tests.chaos.proxy import Proxy, proxied
from tests.chaos.worker import FILE_LIMIT
from workers.faultpoints import VARIABLE

PATIENCE = 90.0
LEASE = 3.0
WIDTH = 6
TASKS = 2 * WIDTH + 2
"""Of one run: a list, two aligned stages of WIDTH partitions, a gathering."""
AT_ONCE = 2
"""Tasks of the lane `children` that may run at the same time, in all workers together."""
_LIMIT = 16 * 1024 * 1024
_LANES = f"""\
[chaos]
kinds = ["chaos.step"]
mode = "thread"
concurrency = 3
timeout = 30
lease = {LEASE}
retry = {{ max_attempts = 20, first_delay = 0.3, factor = 1.5, longest_delay = 2 }}

[children]
kinds = ["chaos.child"]
mode = "thread"
concurrency = 3
timeout = 30
lease = {LEASE}
limits = [{{ running = {AT_ONCE} }}]
retry = {{ max_attempts = 20, first_delay = 0.3, factor = 1.5, longest_delay = 2 }}
"""


@dataclass
class Rig:
    """The processes, and what can be done to them."""

    home: Path
    bus: Child
    dispatcher: Child
    workers: list[Child]
    proxy: Proxy
    environment: dict[str, str]
    reader: LedgerReader
    _gate: PolicyGate
    _victims: list[Child] = field(default_factory=list)

    def start_run(
        self,
        *,
        big: bool = False,
        width: int = WIDTH,
        stages: int = 2,
        work: float = 0.05,
        fails: int = 0,
        children: bool = False,
    ) -> str:
        """One run: a list, `stages` aligned stages of `width` partitions, a gathering; its id.

        Each handler works for `work` seconds, and fails in so many per cent of its attempts; with
        `children` the partitions' are in the lane of the kind chaos.child. The dispatcher relays
        and sweeps.
        """
        more: JsonObject = {"work": work, "fails": fails}
        return asyncio.run(
            self._start(
                lambda run: _graph(
                    run, big=big, width=width, stages=stages, more=more, children=children
                )
            )
        )

    def cancel(self, run: str) -> None:
        """As an operator does."""
        asyncio.run(self._cancel(run))

    def victim(self, **environment: str) -> Child:
        """One more worker, which something will happen to."""
        started = a_worker("victim", self.environment | environment, self.home)
        self._victims.append(started)
        return started

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Other processes give no signal, so it looks often."""
        end, idle = time.monotonic() + PATIENCE, threading.Event()
        while not condition():
            self._mind()
            assert time.monotonic() < end, f"never came: {what}"
            idle.wait(0.05)

    def ended(self, run: str) -> bool:
        return self.reader.run(run).state in FINAL

    def all_ended(self, runs: list[str]) -> bool:
        return all(map(self.ended, runs))

    def begun(self, run: str) -> bool:
        """Whether a worker holds, or has done, something of the run."""
        return any(task.started is not None for task in self.reader.tasks(run))

    def verdict(self, runs: list[str]) -> Verdict:
        return checked(
            self.reader,
            self.url,
            FolderStore(self.home / "artifacts"),
            self.home / "effects.log",
            runs,
            TASKS,
        )

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'ledger.db'}"

    def lock_ledger(self, seconds: float) -> None:
        """Another process's transaction that does not end for a while."""
        connection = sqlite3.connect(self.home / "ledger.db", isolation_level=None, timeout=30)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            threading.Event().wait(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def fill_disk(self) -> Child:
        """A worker that can store no large file."""
        return self.victim(**{FILE_LIMIT: str(_LIMIT)})

    def at_point(self, plan: str) -> Child:
        """A worker that is hit at a fault point."""
        return self.victim(**{VARIABLE: plan})

    def kill(self, child: Child) -> None:
        """SIGKILL, and start it again."""
        os.kill(child.mark.pid, signal.SIGKILL)
        self.until(lambda: not child.running, "its end")
        child.restart()

    def kill_holder(self, runs: list[str]) -> bool:
        """SIGKILL a worker whose task holds a slot that others wait for; whether it held it still.

        It is started again by whoever waits next.
        """
        held: list[TaskRow] = []

        def waited_for() -> bool:
            held[:] = [
                task
                for run in runs
                for task in self.reader.tasks(run)
                if task.lane == "children" and task.state is State.RUNNING
            ]
            return bool(held) and any(key.waiting for key in self.reader.slots())

        self.until(waited_for, "a slot that is waited for")
        _, pid, _ = str(held[0].worker).rsplit("-", 2)
        os.kill(int(pid), signal.SIGKILL)
        stands = self.reader.task(held[0].task)
        return stands.state is State.RUNNING and stands.worker == held[0].worker

    def end_victims(self) -> None:
        for victim in self._victims:
            kill_group(victim.mark)
            while victim.running:
                time.sleep(0.02)
        self._victims.clear()

    def _mind(self) -> None:
        """What a supervisor does: a process that died by itself is started again."""
        for child in (self.bus, self.dispatcher, *self.workers):
            if child.due():
                child.restart()

    async def _cancel(self, run: str) -> None:
        async with await Ledger.open(self.url) as ledger:
            await ledger.cancel_run(run, "ada@example.com", "not needed", datetime.now(UTC))

    async def _start(self, graph: Callable[[str], RunGraph]) -> str:
        now = datetime.now(UTC)
        run = run_id(now, os.urandom(10))
        scope = Scope(tenant="acme", audience=Audience.TENANT)
        request = RunRequest(pipeline="chaos", scope=scope, requester="chaos@example.com")
        admitted = self._gate.decide(
            AdmitFacts(
                pipeline="chaos",
                tenant=scope.tenant,
                audience=scope.audience,
                requester=request.requester,
                flags=(),
                priority=request.priority,
                kinds=("chaos.step",),
                mutating_kinds=(),
                over=(),
                approvers=(),
            )
        )
        async with await Ledger.open(self.url) as ledger:
            await ledger.start_run(
                NewRun(
                    run=run,
                    request=request,
                    graph=graph(run),
                    admitted=admitted,
                    submitted=now,
                    deadline=now + timedelta(hours=6),
                    lane_limits=dict.fromkeys(("chaos", "children"), LaneLimits(max_attempts=20)),
                )
            )
        return run


def _graph(
    run: str, *, big: bool, width: int, stages: int, more: JsonObject, children: bool
) -> RunGraph:
    def stage(name: str, *needs: str, each: bool = False) -> StagePlan:
        payload = {"stage": name, "run": run, "width": width, "big": big and each} | more
        return StagePlan(
            name=name,
            kind="chaos.child" if children and each else "chaos.step",
            version=1,
            lane="children" if children and each else "chaos",
            needs=needs,
            payload=payload | ({"of": "${partition}"} if each else {}),
            discovered_by="list" if each else None,
        )

    return RunGraph(
        stages=(
            stage("list"),
            *(stage(f"part{n}", f"part{n - 1}" if n else "list", each=True) for n in range(stages)),
            stage("gather", f"part{stages - 1}"),
        )
    )


def a_worker(name: str, environment: dict[str, str], home: Path) -> Child:
    return Child(Component(name=name, module="tests.chaos.worker", environment=environment), home)


@contextlib.contextmanager
def a_rig(home: Path, *, lanes: str = _LANES, workers: int = 2) -> Iterator[Rig]:
    """A running fleet under `home`, ended by its ids when the block ends."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "lanes.toml").write_text(lanes, encoding="utf-8")
    big = home / "big.bin"
    with big.open("wb") as file:
        file.truncate(_LIMIT + 1024 * 1024)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "CHAOS_"))}
    children: list[Child] = []
    with contextlib.ExitStack() as opened:
        opened.callback(_end, children)
        local = LocalBus(data=home / "bus")
        bus = Child(local.component(clean), home)
        children.append(bus)
        _ready(bus)
        local = local.at(bus.told)
        bus.component = local.component(clean)
        proxy = opened.enter_context(proxied(local.amqp_port))
        environment = (
            clean
            | local.environment()
            | {
                "FLEET_HOME": str(home),
                "FLEET_LANES_FILE": str(home / "lanes.toml"),
                "FLEET_SWEEP_EVERY": "0.5",
                "FLEET_RELAY_EVERY": "0.2",
                "FLEET_BUS_CONNECTION": bus_connection(proxy.port),
                EFFECTS: str(home / "effects.log"),
                BIG: str(big),
            }
        )
        table = load_lanes(home / "lanes.toml")
        with BusAdmin(bus_connection(local.admin_port), local.certificate) as admin:
            admin.ensure_queues(table)
        dispatcher = Child(
            Component(
                name="dispatcher",
                module="dispatcher",
                environment=environment | {"FLEET_HTTP_PORT": "0"},
            ),
            home,
        )
        started = [a_worker(f"worker-{n + 1}", environment, home) for n in range(workers)]
        children += [dispatcher, *started]
        for child in (dispatcher, *started):
            _ready(child)
        reader = opened.enter_context(LedgerReader(f"sqlite:///{home / 'ledger.db'}"))
        gate = PolicyGate(load_bundle(Path(policies.__file__).parent / "rules", table))
        rig = Rig(home, bus, dispatcher, started, proxy, environment, reader, gate)
        opened.callback(rig.end_victims)
        yield rig


def _ready(child: Child) -> None:
    end = time.monotonic() + PATIENCE
    while not child.ready:
        assert child.running, str(child.failure("ended"))
        assert time.monotonic() < end, str(child.failure("is not ready"))
        time.sleep(0.05)


def _end(children: list[Child]) -> None:
    for child in children:
        kill_group(child.mark)
    for child in children:
        while child.running:
            time.sleep(0.02)
