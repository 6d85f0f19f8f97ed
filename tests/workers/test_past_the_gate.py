"""No way past the publish gate: a handler makes files, and only the executor stores or sends."""

import ast
import dataclasses
from pathlib import Path

import workers.stages
from contracts.artifact import Tier
from contracts.outcome import Output, Produced
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from tests.workers.conftest import RUN, Fleet, a_stage
from workers.stages.handler import Workbench

STAGES = Path(workers.stages.__file__).parent
LEADS_OUT = ("fleet.artifacts", "fleet.bus", "fleet.ledger", "fleet.relay", "azure", "localbus")
"""What stores, sends or records."""
SECRET = '{"link": "https://x.blob.core.windows.net/c/b?sv=2024-01-01&sig=AbCdEf1%2F2"}'


def stored(fleet: Fleet) -> list[str]:
    """The contents of every artifact there is."""
    root = fleet.site.scratch.parent / "artifacts"
    return sorted(path.read_text() for path in root.rglob("*") if path.is_file())


def a_page(bench: Workbench, name: str, text: str) -> Output:
    path = bench.scratch / name
    path.write_text(text)
    return Output(name=name, path=path, media_type="application/json", tier=Tier.PRESENTED)


def test_a_workbench_holds_nothing_that_stores_or_sends() -> None:
    """A handler is handed values and paths: no store, no bus, no ledger, no gate."""
    held = {field.name for field in dataclasses.fields(Workbench)}

    assert held == {"payload", "inputs", "files", "sources", "scope", "folder", "signals"}


def test_no_stage_reaches_for_a_store_a_bus_or_a_ledger() -> None:
    """No module of the stages imports one, anywhere in it."""
    found = [
        (path.name, name)
        for path in sorted(STAGES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if name.startswith(LEADS_OUT)
    ]

    assert found == []


async def test_files_that_are_not_declared_are_not_stored(fleet: Fleet) -> None:
    """They are gone with the scratch folder."""
    await fleet.start(a_stage("only"))

    def forgets(bench: Workbench) -> Produced:
        a_page(bench, "hidden.json", SECRET)
        return Produced(outputs=(a_page(bench, "shown.json", "{}"),))

    fleet.handle(forgets)
    await fleet.deliver()

    assert fleet.task("only").state is State.SUCCEEDED
    assert stored(fleet) == ["{}"]
    assert not list(fleet.site.scratch.iterdir())


async def test_a_file_put_past_the_gate_belongs_to_nobody(fleet: Fleet) -> None:
    """A handler that opens the store by itself: its file is no artifact of any run, and no export
    and no later task can come by it."""
    await fleet.start()
    root = fleet.site.scratch.parent / "artifacts"

    def goes_past(bench: Workbench) -> Produced:
        FolderStore(root).put_bytes(Tier.PRESENTED, SECRET.encode())
        return Produced(outputs=(a_page(bench, "shown.json", "{}"),))

    fleet.handle(goes_past)
    await fleet.deliver()
    handed_on: list[str] = []

    def looks(bench: Workbench) -> Produced:
        handed_on.extend(one.path.read_text() for group in bench.inputs.values() for one in group)
        return Produced()

    fleet.handle(looks)
    await fleet.deliver()

    assert SECRET in stored(fleet)  # a handler shares its worker's account: it can write a file
    assert [row.pointer.name for row in fleet.reader.artifacts(RUN)] == ["shown.json"]
    assert handed_on == ["{}"]


async def test_one_denied_output_keeps_all_of_them_back(fleet: Fleet) -> None:
    """Nothing is stored before everything is allowed, and no child is queued."""
    await fleet.start()

    def leaks(bench: Workbench) -> Produced:
        pages = (a_page(bench, "good.json", "{}"), a_page(bench, "bad.json", SECRET))
        return Produced(outputs=pages)

    fleet.handle(leaks)
    await fleet.deliver()

    assert fleet.task("first").state is State.DENIED
    assert stored(fleet) == []
    assert fleet.task("second").state is State.CANCELLED
    verdicts = [(d.decision.gate, d.decision.verdict) for d in fleet.task("first").decisions]
    assert verdicts == [("execute", "allow"), ("publish", "allow"), ("publish", "deny")]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
