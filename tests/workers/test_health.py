"""Health by progress: a lane that has work and receives none is told; one that is idle is well."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from fleet.bus.bus import open_bus
from tests.workers.conftest import Fleet, a_stage
from workers.health import STALE, Health, Watch, probe, write


def a_watch(fleet: Fleet) -> Watch:
    return Watch(
        [fleet.lane],
        reader=fleet.reader,
        bus=fleet.site.bus,
        clock=fleet.clock,
        left_behind=lambda: 2,
        silence=timedelta(seconds=60),
    )


async def test_a_lane_that_receives_none_of_its_work_is_deaf(fleet: Fleet) -> None:
    """Queued in the ledger, held by the bus, room to spare, and nothing taken for too long."""
    watch = a_watch(fleet)
    await fleet.start(a_stage("only"))

    early = await watch.look()
    await fleet.clock.advance(90)
    late = await watch.look()

    assert early == Health(well=True, deaf=(), left_behind=2)
    assert late == Health(well=False, deaf=("test",), left_behind=2)


async def test_a_lane_with_nothing_to_do_is_well(fleet: Fleet) -> None:
    """Silence alone is no illness."""
    watch = a_watch(fleet)

    await fleet.clock.advance(3600)

    assert (await watch.look()).well


async def test_a_lane_whose_places_are_all_taken_is_well(fleet: Fleet) -> None:
    """It takes nothing because it has no room; and what it finished it has just finished."""
    watch = a_watch(fleet)
    await fleet.start(a_stage("only"))

    watch.took("test")
    await fleet.clock.advance(90)
    busy = await watch.look()
    watch.finished("test")
    idle = await watch.look()

    assert busy.well
    assert idle.well


async def test_a_bus_that_cannot_be_asked_ends_no_worker(fleet: Fleet) -> None:
    """Starting the worker again would not bring the bus back."""
    nobody = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=a;SharedAccessKey=b;"
    await fleet.start(a_stage("only"))

    async with open_bus(nobody + "UseDevelopmentEmulator=true;", fleet.site.store) as away:
        watch = Watch(
            [fleet.lane],
            reader=fleet.reader,
            bus=away,
            clock=fleet.clock,
            left_behind=lambda: 0,
            silence=timedelta(seconds=60),
        )
        await fleet.clock.advance(90)
        health = await watch.look()

    assert health.well


def test_the_probe_tells_deaf_silent_and_absent_apart(tmp_path: Path) -> None:
    """A hung process writes nothing any more: its file goes stale."""
    file = tmp_path / "health.json"
    absent = probe(file, 0.0)
    write(file, Health(well=False, deaf=("mirror",), left_behind=0))
    written = file.stat().st_mtime
    deaf = probe(file, written)
    write(file, Health(well=True, deaf=(), left_behind=1))

    written = file.stat().st_mtime
    assert absent == (False, "the worker has not said how it is")
    assert deaf == (False, "lanes that have work and receive none: mirror")
    assert probe(file, written) == (True, "well; 1 handlers left behind")
    assert probe(file, written + STALE + 1)[0] is False


def test_the_probe_is_a_command(tmp_path: Path) -> None:
    """Exit code 1 until the worker has said that it is well."""
    file = tmp_path / "health.json"
    command = [sys.executable, "-m", "workers.health", str(file)]

    before = subprocess.run(command, check=False, capture_output=True).returncode
    write(file, Health(well=True, deaf=(), left_behind=0))
    after = subprocess.run(command, check=False, capture_output=True).returncode

    assert (before, after) == (1, 0)
