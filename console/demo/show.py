"""The demo, from its input to its summary: what `fleet demo` does, without its options.

Nothing here knows more than an operator: requests go over HTTP, what became of them is read from
the ledger and the artifact store, and the right answers are those that the input was made with.
"""

import json
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from console.demo.inputs import DemoInputs, held_against, make_inputs
from console.errors import Refused
from console.intake import Intake
from console.live import Progress
from console.output import say
from console.render.run import runs_line, runs_progress
from console.stack.running import Running
from console.verification import VerifiedRun, verified
from console.watch import watch_runs
from contracts.artifact import ArtifactPointer, Tier
from contracts.fact import Fact
from contracts.request import RunRequest
from contracts.states import State
from fleet.artifacts.manifest import export_run
from fleet.artifacts.store import ArtifactStore
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import RunRow
from fleet.sources import register_sources

_COMPARISON = "comparison.json"
"""The packet in which the report names what is wrong with the legacy export."""
_FOR_PEOPLE = frozenset({Tier.CURATED, Tier.PRESENTED})
_TIMEOUT = 600.0


class DemoSummary(Fact):
    """How it went. The fields of `fleet demo --json`, in this order."""

    runs: int
    tasks: int
    succeeded: int
    failed: int
    """Runs that did not succeed."""
    seconds: float
    """From the first request to the end of the last run."""
    tasks_per_second: float
    artifacts: int
    discrepancies_planted: int
    discrepancies_found: int
    verified: bool
    """Whether one run, run again, gave the same bytes."""

    @property
    def went_well(self) -> bool:
        return (
            self.verified
            and self.succeeded == self.runs
            and self.discrepancies_found == self.discrepancies_planted
        )


class Demo:
    """One showing. `folder` holds its input and what it exports."""

    def __init__(self, folder: Path, clients: int, lines: int) -> None:
        self.folder, self._clients, self._lines = folder, clients, lines
        self.runs: dict[str, str] = {}
        """Run by client."""
        self.verification: VerifiedRun | None = None

    def make_inputs(self, sources_file: Path) -> DemoInputs:
        """Make the input and register its sources."""
        inputs = make_inputs(self.folder / "input", clients=self._clients, lines=self._lines)
        register_sources(sources_file, inputs.sources)
        return inputs

    def show(self, inputs: DemoInputs, running: Running) -> DemoSummary:
        """Submit, follow, collect and verify.

        Raises Refused, Unreachable, WaitedTooLong; a run that fails, or that cannot be verified,
        is part of the summary.
        """
        site = running.site
        began = time.monotonic()
        with site.intake() as intake:
            self._submit(inputs, intake)
        with site.reader() as reader:
            progress = Progress(runs_progress, runs_line)
            with progress.shown(erase=False):
                rows = watch_runs(
                    reader,
                    self.runs.values(),
                    seen=progress.update,
                    tend=running.tend,
                    timeout=_TIMEOUT,
                )
            seconds = time.monotonic() - began
            made = {client: _pointers(reader, run) for client, run in self.runs.items()}
            for row in rows:
                _tell_faults(reader, row)
        store = site.store()
        self._export(made, store)
        say("running one run's deterministic stages again, to compare the bytes")
        try:
            self.verification = verified(site.settings.home, next(iter(self.runs.values())))
        except Refused as cause:
            say(str(cause))  # a run that failed early; the summary says that nothing was verified
        else:
            if not self.verification.same:
                say(self.verification.in_words)
        return self._summary(inputs, rows, made, store, seconds)

    def _submit(self, inputs: DemoInputs, intake: Intake) -> None:
        # The same input asks for new runs each time it is shown, so each showing has its own keys.
        showing = secrets.token_hex(4)
        for fields in inputs.requests:
            request = RunRequest.model_validate({**fields, "key": f"{fields['key']}-{showing}"})
            self.runs[request.scope.tenant] = intake.submit(request).run
        say(f"{len(self.runs)} runs of {request.pipeline} submitted")

    def _export(self, made: dict[str, list[ArtifactPointer]], store: ArtifactStore) -> None:
        """What people open, by client, under readable names."""
        shutil.rmtree(self.exports, ignore_errors=True)
        for client, pointers in made.items():
            wanted = [pointer for pointer in pointers if pointer.tier in _FOR_PEOPLE]
            export_run(wanted, store, self.exports / client)

    @property
    def exports(self) -> Path:
        return self.folder / "artifacts"

    def _summary(
        self,
        inputs: DemoInputs,
        rows: Sequence[RunRow],
        made: dict[str, list[ArtifactPointer]],
        store: ArtifactStore,
        seconds: float,
    ) -> DemoSummary:
        tasks = sum(row.tasks for row in rows)
        succeeded = sum(row.state is State.SUCCEEDED for row in rows)
        return DemoSummary(
            runs=len(rows),
            tasks=tasks,
            succeeded=succeeded,
            failed=len(rows) - succeeded,
            seconds=round(seconds, 2),
            tasks_per_second=round(tasks / seconds, 1),
            artifacts=sum(len(pointers) for pointers in made.values()),
            discrepancies_planted=sum(len(planted) for planted in inputs.planted.values()),
            discrepancies_found=sum(
                _found(inputs, client, pointers, store) for client, pointers in made.items()
            ),
            verified=self.verification is not None and self.verification.same,
        )


def _found(
    inputs: DemoInputs, client: str, pointers: Sequence[ArtifactPointer], store: ArtifactStore
) -> int:
    """How many of the mistakes planted for a client its comparison packet names."""
    packet = next((pointer for pointer in pointers if pointer.name == _COMPARISON), None)
    if packet is None:
        return 0  # the run failed before it could compare
    return len(held_against(json.loads(store.read(packet)), inputs.planted[client]).found)


def _pointers(reader: LedgerReader, run: str) -> list[ArtifactPointer]:
    return [row.pointer for row in reader.artifacts(run)]


def _tell_faults(reader: LedgerReader, row: RunRow) -> None:
    if row.state is State.SUCCEEDED:
        return
    say(f"run {row.run} for {row.tenant} {row.state}")
    for task in reader.tasks(row.run):
        if task.fault is not None:
            say(f"  {task.stage} {task.partition}: {task.fault.code}: {task.fault.message}")
