"""Draining a worker over HTTP and by the command line's own client, on a real ledger."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from console.errors import Refused
from console.intake import Intake as FleetIntake
from fleet.ledger.ledger import Ledger
from tests.dispatcher.conftest import NOON, Served

WHY = {"requester": "ana", "reason": "its node is patched"}


async def test_a_worker_is_drained_once_and_a_gone_one_not_at_all(
    served: Served, ledger: Ledger
) -> None:
    """The first who asked stands; its next heartbeat tells the worker, and no other."""
    for name in ("pod-a-1", "pod-b-1"):
        await ledger.worker_seen(name, ["mirror"], NOON, {})
    host, port = served.address.removeprefix("http://").split(":")

    def asked() -> list[bool]:
        with FleetIntake(host, int(port)) as intake:
            told = [intake.drain("pod-a", WHY), intake.drain("pod-a", WHY | {"requester": "bob"})]
            with pytest.raises(Refused, match="several"):
                intake.drain("pod-", WHY)
            return [one.changed for one in told]

    assert await asyncio.to_thread(asked) == [True, False]
    assert await ledger.worker_seen("pod-a-1", ["mirror"], NOON, {})
    assert not await ledger.worker_seen("pod-b-1", ["mirror"], NOON, {})
    rows = {row.worker: row for row in served.site.reader.workers()}
    assert rows["pod-a-1"].drained_by == "ana"
    await ledger.sweep(NOON + timedelta(hours=1))
    async with httpx.AsyncClient(base_url=served.address) as client:
        gone = await client.post("/v1/workers/pod-b-1/drain", json=WHY)
        unsaid = await client.post("/v1/workers/pod-b-1/drain", json=WHY | {"reason": ""})
    assert (gone.status_code, unsaid.status_code) == (409, 422)
