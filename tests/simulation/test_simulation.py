"""Whatever goes wrong in whatever order, a run ends, and each effect is recorded once."""

from collections.abc import Iterator
from random import Random

import pytest
from sqlalchemy import Engine

from contracts.plan import RunGraph
from contracts.states import State
from tests.simulation.broker import Broker, BrokerFaults
from tests.simulation.ledger import an_engine, emptied
from tests.simulation.loop import virtually
from tests.simulation.planted import PLANTED, WITHIN, found
from tests.simulation.tally import told
from tests.simulation.world import LANE, Story, World, a_step, a_story


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = an_engine()
    yield made
    made.dispose()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(4))
def test_hundreds_of_stories_hold_every_invariant(part: int) -> None:
    """`make simulate` tells 10,000."""
    tally = told(range(part * 75, part * 75 + 75))

    assert tally.broken == []
    assert tally.stories == 75


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    """Settling first, forgetting the epoch, not sweeping: each breaks an invariant soon."""
    one = found(bug)

    assert one is not None, f"{bug}: not found in {WITHIN} seeds"


def test_a_seed_tells_the_same_story_again(engine: Engine) -> None:
    """What a seed found can be looked at as often as needed."""
    stories = [virtually(World(7, a_story(7), emptied(engine)).told()) for _ in range(2)]

    assert stories[0].digest == stories[1].digest
    assert stories[0].faults == stories[1].faults


@pytest.mark.timeout(300)
def test_six_hours_of_work_run_once_though_the_lock_is_lost_every_five_minutes(
    engine: Engine,
) -> None:
    """The lease, not the lock, keeps the task; each redelivery is declined."""
    hours = 6 * 3600.0
    story = Story(
        graph=RunGraph(stages=(a_step("long"),)),
        partitions=(),
        shortest_work=hours,
        longest_work=hours,
        lock_every=300.0,
        lane=LANE.model_copy(update={"timeout": 2 * hours}),
    )

    one = virtually(World(1, story, emptied(engine), horizon=2 * hours).told())

    assert one.state is State.SUCCEEDED
    assert one.virtual_seconds >= hours
    assert one.ran == {"long/": 1}
    assert one.lost_locks >= 20
    assert one.at_once == 1


def test_the_locks_of_the_model_lapse() -> None:
    """A message whose lock ran out is taken again and counted; its first holder cannot settle."""
    import asyncio

    from contracts.envelope import WireMessage
    from fleet.bus.errors import SettleFailed
    from fleet.bus.message import Outgoing

    async def story() -> None:
        broker = Broker(Random(1), BrokerFaults())
        broker.put("q", Outgoing(message=WireMessage(message_id="m", body=b"")))
        broker.put("q", Outgoing(message=WireMessage(message_id="m", body=b"")))
        first = broker.take("q")
        assert first is not None
        lock = first.lock
        assert broker.take("q") is None  # the second was a duplicate

        await asyncio.sleep(31)
        again = broker.take("q")

        assert again is first
        assert again.count == 1
        with pytest.raises(SettleFailed):
            broker.complete("q", first, lock)

    virtually(story())
