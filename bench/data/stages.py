"""The stages of guarantee_report by their real handlers, each task in a process of its own.

A task is what grows with its rows: the digests of its inputs proven, the handler, its outputs
stored by digest and synced to disk. What else the executor does costs every task the same few
milliseconds and is in the figures of no-op tasks.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.apart import Call, Cost, Limits
from bench.data.claims import CLIENT
from contracts import stage_payloads as kinds
from contracts.outcome import Produced
from contracts.payload import Payload
from fleet.artifacts.folder import FolderStore
from tests.pipelines.harness import PIPELINES, pointer_to, run_stage, workbench
from workers.stages.handler import InputFile, Workbench

HOME = PIPELINES / "guarantee_report"
SQL = "sql/claims_database"
RULES = "rules/claims_database.yaml"
Inputs = dict[str, tuple[InputFile, ...]]


@dataclass(frozen=True, slots=True)
class Task:
    """What one process does."""

    bench: Workbench
    store: Path
    stage: str
    partition: str


def carried_out(task: Task) -> tuple[Produced, tuple[InputFile, ...]]:
    """What the handler produced, and its outputs in the store."""
    store = FolderStore(task.store)
    for items in task.bench.inputs.values():
        for item in items:
            store.local_path(item.pointer)
    produced = run_stage(task.bench)
    assert isinstance(produced, Produced), produced
    kept: list[InputFile] = []
    for output in produced.outputs:
        put = store.put_file(output.tier, output.path)
        pointer = pointer_to(output, put.digest, put.size, task.stage, task.partition, task.bench)
        kept.append(InputFile(pointer=pointer, path=task.store / pointer.key))
    return produced, tuple(kept)


@dataclass(slots=True)
class Passed:
    """What the stages made, and what each cost, by the pipeline's stage names."""

    folder: Path
    sources: Mapping[str, str]
    call: Call
    made: Inputs = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def run(
        self, stage: str, payload: Payload, needs: Inputs | None = None, partition: str = ""
    ) -> Produced:
        """One task; its outputs join those of the stage."""
        bench = workbench(
            payload,
            self.folder / "scratch" / stage / (partition or "_"),
            inputs=needs,
            home=HOME,
            sources=self.sources,
            tenant=CLIENT,
        )
        task = Task(bench, self.folder / "store", stage, partition)
        (produced, kept), cost = self.call(carried_out, task)
        self.costs.setdefault(stage, Cost()).add(cost)
        self.made[stage] = (*self.made.get(stage, ()), *kept)
        shutil.rmtree(bench.scratch)
        return produced


def through_the_fleet(
    folder: Path, sources: Mapping[str, str], limits: Limits, call: Call
) -> Passed:
    """Mirror, normalize, validate and compute, as pipeline.yaml has them."""
    passed = Passed(folder, sources, call)
    months = _mirrored(passed)
    client: kinds.Parameters = {"client": CLIENT}
    given = {"threads": limits.threads, "memory_mb": limits.memory_mb}
    typed = kinds.NormalizeSql(tables={"claims": f"{SQL}/typed.sql"}, parameters=client, **given)
    for month, claims in zip(months, passed.made["claims"], strict=True):
        passed.run("typed", typed, {"claims": (claims,)}, month)
    checked = kinds.ValidateRules(rules=RULES, table="typed", parameters=client, **given)
    passed.run("checked", checked, {"typed": passed.made["typed"]})
    _terms(passed)
    tables = {"lines": "sql/guarantees.sql", "months": "sql/by_month.sql"}
    needs = {stage: passed.made[stage] for stage in ("checked", "terms")}
    passed.run("guarantees", kinds.ComputeSql(tables=tables, **given), needs)
    return passed


def _mirrored(passed: Passed) -> tuple[str, ...]:
    """The months, each copied into one file."""
    keys = kinds.MirrorKeys(
        source="claims", query=f"{SQL}/months.sql", parameters={"client": CLIENT}
    )
    months = passed.run("months", keys).partitions or ()
    for month in months:
        claims = kinds.MirrorSql(
            source="claims",
            query=f"{SQL}/claims.sql",
            parameters={"client": CLIENT, "month": month},
            name="claims.parquet",
        )
        passed.run("claims", claims, partition=month)
    return months


def _terms(passed: Passed) -> None:
    """The contract's few terms, which compute needs."""
    include = ("contract.json", "request.json", "legacy.csv")
    documents = kinds.MirrorFiles(source="documents", folder=CLIENT, include=include)
    passed.run("documents", documents)
    contract = kinds.NormalizeSql(tables={"terms": "sql/terms.sql"})
    passed.run("contract", contract, {"documents": passed.made["documents"]})
    terms = kinds.ValidateRules(
        rules="rules/terms.yaml", table="contract", parameters={"client": CLIENT}
    )
    passed.run("terms", terms, {"contract": passed.made["contract"]})
