"""A task that asks for a pod of its own: handed over once, worked there as anywhere."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.plan import StagePlan
from contracts.scale import Scale
from contracts.states import State
from fleet.bus.receiver import Delivery
from fleet.cluster.apart import start_apart
from fleet.cluster.cluster import open_cluster
from tests.fleet.cluster.api_server import ApiServer, running_api_server
from tests.fleet.cluster.objects import manifest
from tests.workers.conftest import PATIENCE, RUN, Fleet, a_stage
from workers.apart import Apart
from workers.worker import serve


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        template = manifest("PodTemplate", "lane-compute-alone")
        template["metadata"]["name"] = "lane-test-alone"
        running.put("podtemplates", template)
        yield running
        assert running.faults == []


def _alone() -> StagePlan:
    return a_stage("only").model_copy(update={"isolated": True})


def _on_kubernetes(fleet: Fleet, apart: Apart, *, isolation: bool = True) -> None:
    fleet.lane = fleet.lane.model_copy(update={"scale": Scale(isolation=isolation)})
    fleet.site = replace(fleet.site, apart=apart)


async def _take_one(fleet: Fleet) -> None:
    """As a worker of the lane does, once."""
    apart = fleet.site.apart
    assert apart is not None

    async def carry(delivery: Delivery) -> None:
        assert await apart.took(delivery, fleet.lane)

    await fleet.deliver(carry)


async def test_its_job_works_the_one_message_that_was_handed_over(
    fleet: Fleet, server: ApiServer, tmp_path: Path
) -> None:
    """Deferred for it, named by its number; the pod claims, runs, settles, and ends."""
    await fleet.start(_alone())
    with open_cluster(kubeconfig=server.kubeconfig(tmp_path)) as cluster:
        _on_kubernetes(fleet, Apart(cluster))
        await _take_one(fleet)
    ((_, job),) = [(key, one) for key, one in server.objects.items() if key[0] == "jobs"]
    option, number = job["spec"]["template"]["spec"]["containers"][0]["args"]
    before = fleet.task("only")

    fleet.site = replace(fleet.site, apart=None)
    stop = asyncio.Event()
    serving = serve(fleet.site, [fleet.lane], stop, PATIENCE, number=int(number))
    await asyncio.wait_for(serving, PATIENCE)

    assert (option, before.state) == ("--deferred", State.QUEUED)
    assert fleet.reader.run(RUN).state is State.SUCCEEDED
    assert fleet.broker.counts("lane-test")["active"] == 0


async def test_a_crash_between_job_and_deferral_makes_no_second_job(
    fleet: Fleet, server: ApiServer, tmp_path: Path
) -> None:
    """The message comes again when its lock lapses, its job is found, and it is deferred then."""
    await fleet.start(_alone())
    with open_cluster(kubeconfig=server.kubeconfig(tmp_path)) as cluster:
        _on_kubernetes(fleet, Apart(cluster))

        async def dies(delivery: Delivery) -> None:
            task, number = fleet.task("only").task, delivery.sequence_number
            start_apart(cluster, lane="test", task=task, number=number, limit=60)

        await fleet.deliver(dies)
        await fleet.clock.advance(61)
        await _take_one(fleet)

    assert len([one for one in server.asked if one.verb == "create"]) == 2
    assert len([key for key in server.objects if key[0] == "jobs"]) == 1
    assert fleet.broker.counts("lane-test")["deferred"] == 1


async def test_a_lane_that_allows_none_works_it_itself(
    fleet: Fleet, server: ApiServer, tmp_path: Path
) -> None:
    """And so does every lane for a task that does not ask."""
    await fleet.start(_alone())
    with open_cluster(kubeconfig=server.kubeconfig(tmp_path)) as cluster:
        apart = Apart(cluster)
        _on_kubernetes(fleet, apart, isolation=False)

        async def carry(delivery: Delivery) -> None:
            assert not await apart.took(delivery, fleet.lane)

        await fleet.deliver(carry)

    assert server.asked == []
