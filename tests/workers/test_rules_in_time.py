"""Rules that change under a worker: bad ones change nothing, and newer ones are waited for."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.lane import LaneTable
from contracts.states import State
from policies.live import LiveGate
from tests.policies.cases import RULES
from tests.policies.test_live import BAD, a_remark, edit, raised
from tests.workers.conftest import PATIENCE, Fleet, a_stage
from workers.rules_in_time import gate_of
from workers.worker import rules_seen


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return shutil.copytree(RULES, tmp_path / "rules")


def live(fleet: Fleet, rules: Path) -> LiveGate:
    gate = LiveGate(rules, LaneTable([fleet.lane]))
    fleet.site = replace(fleet.site, gate=gate)
    return gate


async def test_bad_bundles_leave_the_last_good_one_deciding(fleet: Fleet, rules: Path) -> None:
    """Each of six; the heartbeat says what is wrong, and tasks are decided as before."""
    gate = live(fleet, rules)
    good = gate.bundle.digest
    faults = []
    for number, (_, name, change) in enumerate(BAD):
        text = (rules / name).read_text()
        edit(rules, name, change)
        raised(rules, gate.generation + number + 1)
        said = await rules_seen(fleet.site)
        faults.append(said["refused"])
        assert said["bundle"] == good[:12]
        (rules / name).write_text(text)
    edit(rules, *BAD[0][1:])

    await fleet.start(a_stage("only"))
    await fleet.deliver()

    assert len(faults) == 6
    assert all(faults)
    task = fleet.task("only")
    assert task.state is State.SUCCEEDED
    assert {one.decision.bundle for one in task.decisions} == {good}


async def test_a_worker_that_is_behind_looks_again_before_it_decides(
    fleet: Fleet, rules: Path
) -> None:
    """Files as new as the run's rules are taken up at once; older ones do not decide."""
    gate = live(fleet, rules)
    old = gate.generation
    fleet.site = replace(fleet.site, rules_patience=0)
    assert await gate_of(old + 1, fleet.site) is None

    edit(rules, "guardrails/agent.cedar", a_remark)
    raised(rules, old + 1)
    newer = await gate_of(old + 1, fleet.site)

    assert newer is not None
    assert newer.generation == old + 1


class Watched(LiveGate):
    """One that tells when it has looked for changed rules."""

    def __init__(self, rules: Path, lanes: LaneTable, looked: asyncio.Event) -> None:
        super().__init__(rules, lanes)
        self._loop, self._looked = asyncio.get_running_loop(), looked

    def refresh(self) -> bool:
        changed = super().refresh()
        self._loop.call_soon_threadsafe(self._looked.set)
        return changed


async def test_a_worker_that_is_behind_waits_for_newer_rules(fleet: Fleet, rules: Path) -> None:
    """It has looked, found nothing new, and decides by what comes later."""
    looked = asyncio.Event()
    gate = Watched(rules, LaneTable([fleet.lane]), looked)
    fleet.site = replace(fleet.site, gate=gate, rules_patience=PATIENCE)
    waited = asyncio.create_task(gate_of(gate.generation + 1, fleet.site))
    await asyncio.wait_for(looked.wait(), PATIENCE)
    before = waited.done()

    edit(rules, "guardrails/agent.cedar", a_remark)
    raised(rules, gate.generation + 1)
    newer = await asyncio.wait_for(waited, 2 * PATIENCE)

    assert not before
    assert newer is not None
    assert newer is gate.now
    assert newer.generation == gate.generation
