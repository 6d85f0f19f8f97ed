"""Verify: the same bytes again, or the first difference by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contracts.artifact import Tier
from contracts.outcome import Output, Produced
from contracts.payload import Payload, PayloadRegistry
from fleet.ledger.errors import UnknownRow
from tests.workers.conftest import RUN, Fleet, Step, writes_a_file
from workers.stages.handler import StageHandler, Workbench
from workers.verify import Verification, verify


class Settled(Payload):
    """The test's stage, deterministic."""

    KIND: ClassVar[str] = "test.step"
    DETERMINISTIC: ClassVar[bool] = True

    word: str = "hello"


def writes(bench: Workbench) -> Produced:
    assert isinstance(bench.payload, Settled)
    read = [file.path.read_text() for files in bench.inputs.values() for file in files]
    path = bench.scratch / "out.txt"
    path.write_text("+".join([*read, bench.payload.word]))
    output = Output(name="out.txt", path=path, media_type="text/plain", tier=Tier.SILVER)
    return Produced(outputs=(output,))


def _verified(fleet: Fleet, handler: Any, payload: type[Payload] = Settled) -> Verification:
    return verify(
        RUN,
        reader=fleet.reader,
        store=fleet.site.store,
        registry=PayloadRegistry([payload]),
        handlers={("test.step", 1): StageHandler(payload=payload, run=handler)},
        scratch=fleet.site.scratch,
    )


async def _ran(fleet: Fleet) -> None:
    await fleet.start()
    await fleet.deliver()
    await fleet.deliver()


async def test_a_deterministic_run_is_byte_same(fleet: Fleet) -> None:
    """Every stage again from its recorded inputs; nothing is recorded by it."""
    handlers = {("test.step", 1): StageHandler(payload=Settled, run=writes)}
    fleet.site = replace(fleet.site, registry=PayloadRegistry([Settled]), handlers=handlers)
    await _ran(fleet)

    report = _verified(fleet, writes)

    assert (report.same, report.checked, report.skipped) == (True, 2, 0)
    assert len(fleet.task("second").attempts) == 1


async def test_the_first_difference_is_named(fleet: Fleet) -> None:
    """Which stage, which output, and both digests."""
    await _ran(fleet)

    def otherwise(bench: Workbench) -> Produced:
        path = bench.scratch / "out.txt"
        path.write_text("something else")
        output = Output(name="out.txt", path=path, media_type="text/plain", tier=Tier.SILVER)
        return Produced(outputs=(output,))

    report = _verified(fleet, otherwise)

    assert not report.same
    assert report.first_difference is not None
    assert report.first_difference.stage == "first"
    assert "out.txt" in str(report.first_difference.difference)


async def test_a_stage_that_is_not_deterministic_is_left_out(fleet: Fleet) -> None:
    """And a run with nothing to verify is not called the same."""
    await _ran(fleet)

    report = _verified(fleet, writes_a_file, Step)

    assert (report.same, report.checked, report.skipped) == (False, 0, 2)


async def test_an_unknown_run_is_said_so(fleet: Fleet, tmp_path: Path) -> None:
    """Not an empty report."""
    with pytest.raises(UnknownRow):
        _verified(fleet, writes)
