"""The history checker: what the ledger, the artifacts and the effect log say must be one story.

In the manner of Jepsen: whatever was done to the processes, look only at what they leave. A task is
lost that did not succeed, or whose recorded output no handler ever made; it is doubled when more
than one attempt succeeded or more than one output stands recorded for it.
"""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, create_engine, text

from contracts.states import State, may_move
from fleet.artifacts.folder import FolderStore
from fleet.ledger.reader import LedgerReader
from tests.simulation.invariants import always


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of some runs. `ran` counts handlers, so `ran - tasks` were run again."""

    tasks: int
    ran: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    illegal: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.illegal)


def checked(
    reader: LedgerReader,
    url: str,
    store: FolderStore,
    effects: Path,
    runs: Sequence[str],
    wanted: int,
) -> Verdict:
    """The verdict on `runs`, each of `wanted` tasks."""
    made = Counter[str]()
    if effects.exists():
        made.update(
            line
            for line in effects.read_text(encoding="utf-8").splitlines()
            if json.loads(line)["run"] in runs
        )
    lost: list[str] = []
    doubled: list[str] = []
    illegal: list[str] = []
    tasks = 0
    for run in runs:
        rows = reader.tasks(run)
        tasks += len(rows)
        if len(rows) != wanted:
            lost.append(f"run {run} has {len(rows)} tasks of {wanted}")
        outputs: dict[str, list[str]] = {row.task: [] for row in rows}
        for artifact in reader.artifacts(run):
            if artifact.pointer.name == "mark.json":
                line = store.read(artifact.pointer).decode()
                place = f"{artifact.stage}/{artifact.partition}"
                if made[line] != 1 or json.loads(line)["place"] != place:
                    lost.append(f"{place}: its recorded output is no handler's")
                outputs[artifact.task].append(line)
        for row in rows:
            place = f"{row.stage}/{row.partition}"
            won = [a.state for a in reader.task(row.task).attempts].count(State.SUCCEEDED)
            if row.state is not State.SUCCEEDED or won == 0 or not outputs[row.task]:
                lost.append(f"{place} is {row.state}, {won} attempts succeeded")
            if won > 1 or len(outputs[row.task]) > 1:
                doubled.append(f"{place}: {won} attempts, {len(outputs[row.task])} outputs")
        illegal += [
            f"{event.old} to {event.new}"
            for event in reader.history(run)
            if event.old is not None and event.task and not may_move(event.old, event.new)
        ]
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            always(connection)
    finally:
        engine.dispose()
    return Verdict(
        tasks=tasks,
        ran=made.total(),
        lost=tuple(lost),
        doubled=tuple(doubled),
        illegal=tuple(illegal),
    )


def at_once(url: str, runs: Sequence[str], lane: str) -> int:
    """The most tasks of a lane that ran at the same time, in the order in which moves were made."""
    moves = text(
        "SELECT event.new FROM event JOIN task ON task.task = event.task WHERE task.lane = :lane"
        " AND event.run IN :runs AND event.old IS NOT NULL"
        " AND 'running' IN (event.old, event.new) ORDER BY event.seq"
    ).bindparams(bindparam("runs", expanding=True))
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            told = connection.execute(moves, {"lane": lane, "runs": [*runs]}).scalars().all()
    finally:
        engine.dispose()
    running = itertools.accumulate(1 if new == State.RUNNING else -1 for new in told)
    return max(running, default=0)
