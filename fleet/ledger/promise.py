"""Promising attempts: one outbox row each, holding the envelope as it will travel.

Envelopes are joined from JSON that is already text: pointers as recorded, a stage's files, a task's
payload. A fan-out of 100,000 tasks writes its shared inputs' text once, not 100,000 models; of a
fan-in as wide, the envelope names the stage alone.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, true

from contracts.ids import task_id
from contracts.promised import listed, promised_digest
from fleet.ledger import tables
from fleet.ledger.many import execute_many
from fleet.ledger.moves import IDS, chunks
from fleet.ledger.rows import RELAYED_AT_ONCE, OutboxRow
from fleet.ledger.runs import RunFacts
from fleet.ledger.types import as_json

_o = tables.output.c

_put = insert(tables.outbox)

_take_back = delete(tables.outbox).where(
    tables.outbox.c.task == bindparam("b_task"), tables.outbox.c.attempt == bindparam("b_attempt")
)

_put_rows = select(tables.outbox.c.seq, tables.outbox.c.task, tables.outbox.c.attempt).where(
    tables.outbox.c.task.in_(bindparam("tasks", expanding=True))
)

_of_tasks = select(_o.task, _o.partition, _o.name, _o.pointer).where(
    _o.task.in_(bindparam("tasks", expanding=True)), _o.produced == true()
)

MOST_NAMED = 256
"""Outputs of one stage that an envelope names. Of a wider stage it gives the name alone, and the
worker gathers them: an envelope that grew with the fan-in would be built, parsed and carried whole
by every process on its way."""

_of_stage = (
    select(_o.partition, _o.name, _o.pointer)
    .where(_o.run == bindparam("run"), _o.stage == bindparam("stage"), _o.produced == true())
    .order_by(_o.stage)  # one stage, so nothing is sorted: SQL Server takes no limit without it
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One attempt to promise. `payload` is JSON text."""

    task: str
    run: str
    stage: str
    partition: str
    kind: str
    version: int
    lane: str
    payload: str
    attempt: int
    deadline: datetime
    not_before: datetime | None = None
    traceparent: str | None = None
    again: bool = False
    """A message of this attempt was completed unrun: this one needs another id."""


USUAL = 4
"""The rank of a run of usual priority; what has a lower one is taken ahead of its queue."""


def rank_of(facts: RunFacts) -> int:
    """9 less the run's priority: what goes first has 0."""
    return 9 - int(facts.head["priority"])


PROMISED = (
    tables.task.c.task,
    tables.task.c.run,
    tables.task.c.stage,
    tables.task.c.partition,
    tables.task.c.kind,
    tables.task.c.version,
    tables.task.c.lane,
    tables.task.c.payload,
    tables.task.c.attempt,
    tables.task.c.deadline,
)
"""The columns that `a_promise` reads."""


def a_promise(
    row: Any,
    *,
    not_before: datetime | None = None,
    traceparent: str | None = None,
    again: bool = False,
) -> Promise:
    """The promise of the attempt that a task row, read with PROMISED, stands at."""
    return Promise(
        task=row.task,
        run=row.run,
        stage=row.stage,
        partition=row.partition,
        kind=row.kind,
        version=row.version,
        lane=row.lane,
        payload=row.payload,
        attempt=row.attempt,
        deadline=row.deadline,
        not_before=not_before,
        traceparent=traceparent,
        again=again,
    )


def promise(
    connection: Connection,
    promises: Sequence[Promise],
    facts: Mapping[str, RunFacts],
    now: datetime,
) -> list[OutboxRow]:
    """Write the outbox rows, in the order given. Gives the first RELAYED_AT_ONCE of them."""
    if not promises:
        return []
    inputs = _Inputs(connection, promises, facts)
    texts: dict[tuple[str, int], str] = {}
    for some in chunks(promises):
        rows = []
        for promised in some:
            read, gathers = inputs.of(promised)
            text, digest = _envelope(promised, facts[promised.run], read, gathers, now)
            if len(texts) < RELAYED_AT_ONCE:
                texts[promised.task, promised.attempt] = text
            rows.append(
                {
                    "run": promised.run,
                    "task": promised.task,
                    "attempt": promised.attempt,
                    "queue": f"lane-{promised.lane}",
                    "envelope": text,
                    "digest": digest,
                    "not_before": promised.not_before,
                    "promised": now,
                    "rank": rank_of(facts[promised.run]),
                    "again": promised.again,
                }
            )
        execute_many(connection, _put, rows)
    returned = promises[:RELAYED_AT_ONCE]
    seqs = {
        (row.task, row.attempt): row.seq
        for row in connection.execute(_put_rows, {"tasks": [p.task for p in returned]})
    }
    return [
        OutboxRow(
            seq=seqs[promised.task, promised.attempt],
            queue=f"lane-{promised.lane}",
            run=promised.run,
            text=texts[promised.task, promised.attempt],
            again=promised.again,
            not_before=promised.not_before,
        )
        for promised in returned
    ]


def take_back(connection: Connection, attempts: Iterable[tuple[str, int]]) -> None:
    """Forget promises, given as (task, attempt), that were taken up or are of no use any more."""
    rows = [{"b_task": task, "b_attempt": attempt} for task, attempt in attempts]
    for some in chunks(rows):
        execute_many(connection, _take_back, some)


def _envelope(
    promised: Promise, facts: RunFacts, inputs: dict[str, str], gathers: list[str], now: datetime
) -> tuple[str, str]:
    """The envelope as JSON, and its digest."""
    kin = facts.kin[promised.stage]
    head = facts.head | {
        "task": promised.task,
        "stage": promised.stage,
        "partition": promised.partition,
        "kind": promised.kind,
        "version": promised.version,
        "lane": promised.lane,
    }
    head |= ({"isolated": True} if kin.stage.isolated else {}) | kin.slots
    files = kin.files
    digest = promised_digest(
        head,
        promised.deadline,
        payload=json.loads(promised.payload),
        inputs=inputs,
        files=files,
        gathers=gathers,
    )
    told = as_json(
        head
        | {
            "attempt": promised.attempt,
            "deadline": promised.deadline.isoformat(),
            "created": now.isoformat(),
            "traceparent": promised.traceparent or facts.traceparent,
        }
    )
    texts = ",".join(f"{as_json(need)}:{inputs[need]}" for need in sorted(inputs))
    body = f'{{"payload":{promised.payload},"inputs":{{{texts}}},"files":{files}'
    body += f',"gathers":{as_json(gathers)}}}' if gathers else "}"
    return f'{told[:-1]},"body":{body}}}', digest


class _Inputs:
    """The outputs that each promised task reads, as JSON text.

    Parents that are one task are read together by their ids; a stage of many partitions is read
    once, whoever needs it, and not at all where it is too wide.
    """

    def __init__(
        self, connection: Connection, promises: Sequence[Promise], facts: Mapping[str, RunFacts]
    ) -> None:
        self._connection = connection
        self._facts = facts
        parents = dict.fromkeys(
            parent for promised in promises for _, parent in self._narrow(promised)
        )
        found: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for some in chunks(list(parents), IDS):
            for row in connection.execute(_of_tasks, {"tasks": some}):
                found[row.task].append((row.partition, row.name, row.pointer))
        self._of_task = {task: _listed(rows) for task, rows in found.items()}
        self._of_stage: dict[tuple[str, str], str | None] = {}

    def of(self, promised: Promise) -> tuple[dict[str, str], list[str]]:
        """Lists by stage; and the stages that are too wide to be listed."""
        lists = {need: self._of_task.get(task, "[]") for need, task in self._narrow(promised)}
        gathers = []
        for need in self._facts[promised.run].kin[promised.stage].wide:
            if (listed := self._wide(promised.run, need)) is None:
                gathers.append(need)
            else:
                lists[need] = listed
        return lists, sorted(gathers)

    def _narrow(self, promised: Promise) -> Iterable[tuple[str, str]]:
        for need, aligned in self._facts[promised.run].kin[promised.stage].narrow:
            yield need, task_id(promised.run, need, promised.partition if aligned else "")

    def _wide(self, run: str, stage: str) -> str | None:
        if (run, stage) not in self._of_stage:
            asked = {"run": run, "stage": stage, "limit": MOST_NAMED + 1}
            rows = self._connection.execute(_of_stage, asked).all()
            listed = _listed([tuple(row) for row in rows]) if len(rows) <= MOST_NAMED else None
            self._of_stage[run, stage] = listed
        return self._of_stage[run, stage]


def _listed(rows: list[Any]) -> str:
    """Pointers ordered by partition, then name."""
    return listed([pointer for *_, pointer in sorted(rows)])
