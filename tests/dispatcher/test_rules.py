"""Rules that change under a dispatcher: bad ones change nothing, and it says so."""

import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.rules import refreshed
from dispatcher.schedules import Schedules
from fleet.lanes import load_lanes
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from policies.live import LiveGate
from tests.dispatcher.conftest import ON_LOOPBACK, a_request
from tests.policies.cases import RULES
from tests.policies.test_live import BAD, Edit, edit, raised


@pytest.mark.parametrize(("what", "name", "change"), BAD, ids=[what for what, *_ in BAD])
async def test_a_bad_bundle_leaves_the_last_good_one_deciding(
    intake: Intake,
    redrives: Redrives,
    flow: FlowControl,
    schedules: Schedules,
    resender: Resender,
    reader: LedgerReader,
    browser: LedgerBrowser,
    tmp_path: Path,
    what: str,
    name: str,
    change: Edit,
) -> None:
    """Requests are decided as before, and `/v1/policy` says what is wrong with the files."""
    rules = shutil.copytree(RULES, tmp_path / "rules")
    gate = LiveGate(rules, load_lanes())
    live = replace(intake, gate=gate)
    before = await live.accept(a_request())
    edit(rules, name, change)
    raised(rules, gate.generation + 1)

    await refreshed(gate)
    after = await live.accept(a_request())

    decided = [reader.run(accepted.run).admitted for accepted in (before, after)]
    assert decided[0] == decided[1]
    assert decided[1].allowed
    site = HttpSite(
        intake=live,
        redrives=redrives,
        resender=resender,
        flow=flow,
        schedules=schedules,
        pipelines=live.pipelines,
        reader=reader,
        browser=browser,
        tracer=TracerProvider().get_tracer("dispatcher"),
        access=ON_LOOPBACK,
    )
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        said = (await client.get("/v1/policy")).json()
    assert said["generation"] == gate.generation
    assert said["refused"]
