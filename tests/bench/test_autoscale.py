"""The model of a scaling lane: what it must never do, and what it must show."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.autoscale.limits import need, premium
from bench.autoscale.loads import (
    STATED,
    TEN,
    THOUSAND,
    assumed,
    ledger_tasks,
    service_times,
)
from bench.autoscale.model import Cluster, Lane, World
from bench.autoscale.plot import Panel, drawn
from fleet.lanes import load_lanes

_LANE = Lane(name="test", service=[2.0], concurrency=2, drain=10, least=0, most=10, messages=10)


def _wave(messages: int, at: float = 60.0) -> list[float]:
    return [at] * messages


@pytest.mark.parametrize("seed", range(20))
def test_every_message_is_worked_once_whatever_scales(seed: int) -> None:
    """With pods that come and go under it, and attempts that outlast the drain."""
    chance = random.Random(seed)
    lane = replace(
        _LANE,
        service=[chance.uniform(0.1, 40) for _ in range(20)],
        drain=chance.uniform(0, 20),
        messages=chance.randint(1, 20),
    )
    arrivals = sorted(chance.uniform(0, 3000) for _ in range(300))

    told = World(lane, Cluster(stabilize=30, cooldown=30), seed).run(arrivals, 4000)

    assert len(told.waits) == len(arrivals)
    assert min(told.waits) >= 0


def test_one_seed_tells_one_story() -> None:
    """The figures on the page can be had again."""
    first, second = (World(_LANE, Cluster(), 7).run(_wave(200), 1200) for _ in range(2))

    assert first == second


def test_an_idle_lane_without_a_minimum_costs_no_pod() -> None:
    """And one with a minimum has it always."""
    assert World(_LANE, Cluster(), 1).run([], 3600).pod_hours == 0
    assert World(replace(_LANE, least=2), Cluster(), 1).run([], 3600).pod_hours == pytest.approx(2)


def test_the_first_message_waits_for_the_poll_and_the_pod() -> None:
    """Ten seconds at most for KEDA, then the pod's start; less with a minimum of one."""
    cold = World(_LANE, Cluster(), 1).run([61.0], 300).waits[0]
    warm = World(replace(_LANE, least=1), Cluster(), 1).run([61.0], 300).waits[0]

    assert 8 <= cold <= 10 + 8
    assert warm == 0


def test_a_lane_never_has_more_pods_than_its_maximum_and_grows_in_steps() -> None:
    """Doubling, or four more, each 15 seconds; and down again when the wave is over."""
    told = World(_LANE, Cluster(warm=4), 1).run(_wave(2000), 3600)
    wanted = [pods for _, _, pods, _ in told.line]

    assert max(wanted) == _LANE.most
    grown = [after - before for before, after in pairwise(wanted)]
    assert max(grown) <= 8
    assert wanted[-1] == 0


def test_nodes_that_have_to_come_are_what_a_wave_waits_for() -> None:
    """Against the same wave with the nodes there: the finding that the page rests on."""
    needs_nodes = Cluster(warm=1, pods_per_node=1)
    cold = World(_LANE, needs_nodes, 1).run(_wave(100), 1800)
    ready = World(_LANE, replace(needs_nodes, warm=10), 1).run(_wave(100), 1800)
    polled = World(_LANE, replace(needs_nodes, poll=2), 1).run(_wave(100), 1800)

    gained = cold.wait(0.95) - ready.wait(0.95)
    assert gained > 3 * abs(cold.wait(0.95) - polled.wait(0.95))


def test_ten_times_fits_one_namespace_and_a_thousand_times_does_not() -> None:
    """By the arithmetic on the page."""
    times, concurrency = service_times(), {lane.name: lane.concurrency for lane in load_lanes()}
    stated, ten, thousand = (
        need(one, times, concurrency, ledger_tasks()) for one in (STATED, TEN, THOUSAND)
    )

    assert (stated.shards, stated.units) == (1, 0)
    assert (ten.shards, ten.units) == (1, 0)
    assert ten.tasks == pytest.approx(10 * stated.tasks)
    assert thousand.shards > 1
    assert thousand.units >= 1
    assert thousand.together[1] > 1, "more than a namespace without partitions has"


@pytest.mark.parametrize(
    ("operations", "told"),
    [(10, (1, 1)), (1025, (2, 1)), (16_384, (16, 1)), (16_385, (32, 2)), (65_536, (64, 4))],
)
def test_partitions_come_when_one_has_all_its_units(
    operations: float, told: tuple[int, int]
) -> None:
    """Messages of 4 KiB at 4 MB/s a unit; 16 units a partition, four partitions at most."""
    assert premium(operations) == told
    with pytest.raises(ValueError, match="more than one namespace"):
        premium(65_537)


def test_a_plot_is_the_same_bytes_each_time() -> None:
    """It is committed: a new run must not change it without a reason."""
    panel = Panel(title="t", times=[0, 60], lines=[("a", [0, 3])], mark=2)

    assert drawn("h", [panel]) == drawn("h", [panel])
    assert drawn("h", [panel]).startswith("<svg")


def test_the_lanes_file_says_the_service_times_that_were_measured() -> None:
    """messageCount comes from it: a time of long ago would scale a lane wrongly."""
    for lane in load_lanes():
        if lane.name in assumed():
            continue
        times = service_times()[lane.name]
        assert lane.scale.service == pytest.approx(sum(times) / len(times), rel=0.05), lane.name


def test_what_was_not_measured_is_called_so() -> None:
    """The page says it beside the lane."""
    assert set(assumed()) == {"agent"}
