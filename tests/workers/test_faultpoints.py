"""Fault points: nothing without a plan, exactly one strike with one."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.workers.conftest import Fleet
from workers.faultpoints import POINTS, FaultPlanRefused, passed, planned
from workers.relays import Relays


async def test_a_delivery_passes_every_point_in_its_order(fleet: Fleet) -> None:
    """The list is the order of the story, but for what is relayed beside it."""
    seen: list[str] = []
    await fleet.start()
    site = fleet.site

    relays = Relays(site.bus, site.ledger, site.clock, seen.append)
    fleet.site = replace(site, point=seen.append, relays=relays)
    await fleet.deliver()

    assert seen.index("relayed") > seen.index("recorded")
    assert [p for p in seen if p != "relayed"] == [p for p in POINTS if p != "relayed"]


def test_without_a_plan_nothing_strikes() -> None:
    """Absent and empty are the same."""
    assert planned(None) is passed
    assert planned("") is passed


@pytest.mark.parametrize("plan", ["recorded", "nowhere:kill", "recorded:slap", "recorded:kill:x"])
def test_a_plan_that_means_nothing_is_refused(plan: str) -> None:
    """With the words that are known, rather than a test that tests nothing."""
    with pytest.raises(FaultPlanRefused, match="claimed"):
        planned(plan)


def test_a_plan_strikes_once_at_its_count() -> None:
    """The second passage of the point, and no other, ends the process."""
    code = (
        "from workers.faultpoints import planned; point = planned('handled:kill:2')\n"
        "for name in ('handled', 'stored', 'handled'):\n"
        "    print(name, flush=True); point(name)\n"
        "print('alive')"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )

    assert ended.returncode == -9
    assert ended.stdout.split() == ["handled", "stored", "handled"]
