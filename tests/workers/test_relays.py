"""What tasks made due goes to the bus beside them; what cannot go stays due in the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.artifact import Scope
from contracts.envelope import Envelope, TaskBody
from fleet.ledger.rows import OutboxRow
from tests.workers.conftest import RUN, Fleet
from workers.executor import work
from workers.relays import _MOST, Relays

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_row(seq: int, queue: str = "lane-test", requester: str = "ada@example.com") -> OutboxRow:
    envelope = Envelope(
        run=RUN,
        task=f"task-{seq}",
        stage="only",
        kind="test.step",
        version=1,
        lane="test",
        attempt=1,
        pipeline="test",
        scope=Scope(tenant="acme"),
        requester=requester,
        created=NOW,
        deadline=NOW + timedelta(days=1),
        body=TaskBody(payload={}),
    )
    return OutboxRow(seq=seq, queue=queue, run=RUN, text=envelope.model_dump_json())


async def test_a_delivery_is_settled_while_the_next_envelope_is_on_its_way(fleet: Fleet) -> None:
    """A bus that takes its time over what comes next holds up nothing of what is done."""
    await fleet.start()
    fleet.broker.fault("send", "delay-reply", delay_s=3)

    async def carried(delivery: Any) -> None:
        await work(delivery, fleet.lane, fleet.site)
        later = fleet.clock.now() + timedelta(seconds=1)
        assert len(await fleet.site.ledger.due_outbox(10, later)) == 1
        assert fleet.broker.counts("lane-test")["active"] == 1  # its own message is gone

    await fleet.deliver(carried)

    assert await fleet.relay() == 0


async def test_one_envelope_that_is_refused_costs_no_other(fleet: Fleet) -> None:
    """Those of many tasks go out together; what is too large for the bus stays behind alone."""
    fleet.broker.create_queue("lane-once", detect_duplicates=True)
    too_large = a_row(2, queue="lane-once", requester="x" * 400_000)

    async with fleet.site.relays.kept():
        fleet.site.relays.put([a_row(1, queue="lane-once"), too_large, a_row(3, queue="lane-once")])

    assert fleet.broker.counts("lane-once")["active"] == 2


async def test_a_queue_that_is_gone_costs_no_other(fleet: Fleet) -> None:
    """Each queue has its own sender, and its own turn."""
    async with fleet.site.relays.kept():
        fleet.site.relays.put([a_row(1, queue="lane-gone"), a_row(2), a_row(3, queue="lane-gone")])

    assert fleet.broker.counts("lane-test")["active"] == 1


async def test_what_a_slow_queue_has_no_room_for_is_left_to_the_dispatcher(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory is bounded: the rows are safe in the ledger, and are relayed from there."""
    async with fleet.site.relays.kept():
        fleet.site.relays.put([a_row(number) for number in range(_MOST)])
        fleet.site.relays.put([a_row(_MOST), a_row(_MOST + 1)])

    assert fleet.broker.counts("lane-test")["active"] == _MOST
    assert "2 envelopes are left to the dispatcher" in caplog.text


async def test_rows_are_not_put_where_nothing_relays_them(fleet: Fleet) -> None:
    """A worker that forgot to would lose no envelope, but each would be late."""
    site = fleet.site
    idle = replace(site, relays=Relays(site.bus, site.ledger, site.clock))

    with pytest.raises(RuntimeError, match="nothing that relays"):
        idle.relays.put([a_row(1)])
