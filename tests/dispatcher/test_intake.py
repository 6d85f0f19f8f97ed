"""Intake: from a request to a run, once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.states import State
from dispatcher.faults import KeyConflict, PipelineRefused, PipelineUnknown, RequestRefused
from dispatcher.intake import DEFAULT_DEADLINE, Intake
from fleet.artifacts.folder import FolderStore
from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import NOON, Hurried, a_request
from tests.dispatcher.pipelines import FILES


async def test_a_request_starts_a_run(
    intake: Intake, reader: LedgerReader, hurried: Hurried
) -> None:
    """The run is in the ledger with its stages and decision, and is hurried along."""
    accepted = await intake.accept(a_request(), "00-" + "a" * 32 + "-" + "b" * 16 + "-01")

    run = reader.run(accepted.run)
    assert (accepted.created, accepted.state) == (True, "running")
    assert [stage.stage for stage in run.stages] == ["months", "claims", "typed", "totals", "book"]
    assert run.admitted.allowed
    assert run.trace_id == "a" * 32
    assert run.deadline == NOON + DEFAULT_DEADLINE
    assert hurried == [accepted.run]


async def test_first_envelopes_name_files_that_the_store_holds(
    intake: Intake, ledger: Ledger, store: FolderStore
) -> None:
    """A worker can read what its payload names as soon as it has the envelope."""
    await intake.accept(a_request())

    rows = await ledger.due_outbox(10, NOON + timedelta(seconds=1))

    assert [row.envelope.stage for row in rows] == ["months"]
    pointer = rows[0].envelope.body.files["sql/months.sql"]
    assert store.read(pointer).decode() == FILES["sql/months.sql"]


async def test_the_same_key_finds_the_same_run(intake: Intake, hurried: Hurried) -> None:
    """However often it is asked for, also at the same time: one run."""
    request = a_request(key="k-1")

    answers = await asyncio.gather(*(intake.accept(request) for _ in range(8)))
    later = await intake.accept(request)

    assert {answer.run for answer in (*answers, later)} == {answers[0].run}
    assert sum(answer.created for answer in answers) == 1
    assert not later.created
    assert len(hurried) == 1


async def test_the_same_key_of_another_tenant_is_another_run(intake: Intake) -> None:
    """Tenants cannot find, or get in the way of, one another's runs."""
    one = await intake.accept(a_request(key="k-1"))
    other = await intake.accept(a_request(key="k-1", scope={"tenant": "other"}))

    assert other.created
    assert other.run != one.run


async def test_without_a_key_each_request_is_a_new_run(intake: Intake) -> None:
    """Nothing is taken for a repetition that does not say so."""
    runs = {(await intake.accept(a_request())).run for _ in range(3)}

    assert len(runs) == 3


async def test_a_key_that_was_used_for_something_else_is_refused(intake: Intake) -> None:
    """Another request under a used key is a mistake; the message says what differs."""
    first = await intake.accept(a_request(key="k-1"))

    with pytest.raises(KeyConflict, match="a different parameters, priority") as conflict:
        await intake.accept(a_request(key="k-1", parameters={"client": "C-2"}, priority=7))

    assert conflict.value.run == first.run


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"pipeline": "nothing"}, PipelineUnknown),
        ({"parameters": {}}, RequestRefused),
        ({"parameters": {"client": "C-1", "colour": "red"}}, RequestRefused),
    ],
)
async def test_what_is_refused_leaves_nothing(
    intake: Intake,
    reader: LedgerReader,
    tmp_path: Path,
    changes: dict[str, object],
    refusal: type[FleetError],
) -> None:
    """No run, no artifact: the requester corrects the request and asks again."""
    with pytest.raises(refusal):
        await intake.accept(a_request(**changes))

    assert list(reader.runs()) == []
    assert [file for file in (tmp_path / "artifacts").rglob("*") if file.is_file()] == []


async def test_a_faulty_pipeline_is_refused_at_submit(intake: Intake, folder: Path) -> None:
    """With the line to look at."""
    (folder / "sql" / "claims.sql").unlink()

    with pytest.raises(PipelineRefused, match=r"line 19: .*no file 'sql/claims\.sql'"):
        await intake.accept(a_request())


async def test_a_denied_request_is_a_run_that_says_so(
    intake: Intake, reader: LedgerReader, hurried: Hurried
) -> None:
    """The decision is recorded with its reasons, and nothing is carried out."""
    accepted = await intake.accept(a_request(flags=("no_such_flag",)))

    run = reader.run(accepted.run)
    assert accepted.state == State.DENIED
    assert run.tasks == 0
    assert run.admitted.reasons
    assert list(reader.tasks(accepted.run)) == []
    assert hurried == []
