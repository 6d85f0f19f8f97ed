"""The client for upstream systems, and the operations that others look with, over a socket."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from contracts.access import Identity, Role
from contracts.artifact import Tier
from contracts.states import State
from dispatcher.access import Access
from dispatcher.client import Damaged, FleetClient, Refused, StillOpen, Unavailable
from fleet.access.source import Credentials, Identified
from fleet.clock import SystemClock
from tests.dispatcher.conftest import Served, a_request

_T = TypeVar("_T")


async def with_client(served: Served, use: Callable[[FleetClient], _T]) -> _T:
    """What `use` makes of a client, in a thread: the client waits, and the server is here."""

    def used() -> _T:
        with FleetClient(served.address, patience=0.1) as fleet:
            return use(fleet)

    return await asyncio.to_thread(used)


async def test_a_run_is_asked_for_once(served: Served) -> None:
    """A request without a key gets one, so that a lost answer can be asked for again."""
    accepted = await with_client(served, lambda fleet: fleet.submit(a_request(key=None)))

    detail = served.site.reader.run(accepted.run)
    assert accepted.created
    assert detail.request.key is not None


async def test_an_ended_run_is_waited_for_and_its_results_fetched(
    served: Served, tmp_path: Path
) -> None:
    """Progress is told, and every file arrives as it was recorded."""
    seen: list[State] = []

    def fetched(fleet: FleetClient) -> list[Path]:
        fleet.wait(served.run, timeout=5, seen=lambda run: seen.append(run.state))
        return [fleet.fetch(one, tmp_path / "out") for one in fleet.artifacts(served.run)]

    files = await with_client(served, fetched)

    assert seen == [State.SUCCEEDED]
    made = served.site.reader.artifacts(served.run)
    digests = {row.pointer.digest for row in made}
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} <= digests
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(
        {row.pointer.name for row in made}
    )


async def test_one_tier_alone(served: Served) -> None:
    curated = await with_client(
        served, lambda fleet: list(fleet.artifacts(served.run, tier=Tier.CURATED))
    )

    assert [one.stage for one in curated] == ["packet"]


async def test_a_run_that_goes_on_is_said_to(served: Served) -> None:
    """Waiting ends in time, and the run is left alone."""

    def waited(fleet: FleetClient) -> None:
        fleet.wait(fleet.submit(a_request()).run, timeout=0.05, every=0.1)

    with pytest.raises(StillOpen, match="goes on"):
        await with_client(served, waited)


async def test_a_refusal_says_why(served: Served) -> None:
    """The problem comes along whole, for a program to look at."""
    with pytest.raises(Refused) as refused:
        await with_client(served, lambda fleet: fleet.submit(a_request(pipeline="none_such")))

    assert refused.value.status == 404
    assert refused.value.problem["type"] == "urn:leaf-fleet:pipeline-unknown"


async def test_bytes_that_changed_are_not_kept(served: Served, tmp_path: Path) -> None:
    """What does not have the digest of its pointer leaves no file."""

    def fetched(fleet: FleetClient) -> None:
        one = next(fleet.artifacts(served.run))
        other = one.pointer.model_copy(update={"digest": "0" * 64})
        fleet.fetch(one.model_copy(update={"pointer": other}), tmp_path / "out")

    with pytest.raises(Damaged):
        await with_client(served, fetched)

    assert list((tmp_path / "out").iterdir()) == []


def test_nobody_there_is_unavailable() -> None:
    with FleetClient("http://127.0.0.1:9", patience=0.1) as fleet, pytest.raises(Unavailable):
        fleet.run("x")


async def test_a_long_list_comes_a_page_at_a_time(served: Served) -> None:
    """`Link` leads through all of it, and ends."""
    path: str | None = f"/v1/runs/{served.run}/tasks?limit=1"
    stages = []
    async with httpx.AsyncClient(base_url=served.address) as client:
        while path is not None:
            answer = await client.get(path)
            stages += [row["stage"] for row in answer.json()]
            path = answer.links.get("next", {}).get("url")

    assert stages == ["mirror", "packet", "typed", "typed"]


async def test_everything_recorded_can_be_looked_at(served: Served) -> None:
    """A task with its attempts and decisions, the history, the trace, lanes, workers, acts."""
    [first, *_] = (await served.ask(f"/v1/runs/{served.run}/tasks")).json()
    task = (await served.ask(f"/v1/tasks/{first['task']}")).json()
    history = (await served.ask(f"/v1/runs/{served.run}/history")).json()
    spans = (await served.ask(f"/v1/traces/{task['trace_id']}")).json()

    assert task["attempts"][0]["state"] == "succeeded"
    assert task["decisions"][0]["decision"]["reasons"][0]["text"] == "this is why"
    assert {move["new"] for move in history} >= {"queued", "running", "succeeded"}
    assert {span["task"] for span in spans} >= {first["task"]}
    for path in ("/v1/lanes", "/v1/workers", "/v1/audit"):
        assert (await served.ask(path)).status_code == 200


class _OfAcme:
    """Whoever asks is kept to one tenant."""

    def identified(self, given: Credentials, now: object) -> Identified:
        identity = Identity(name="eve", roles=(Role.VIEWER,), tenants=("acme",), source="test")
        return Identified(identity=identity, binding="eve")


async def test_a_tenants_people_get_what_was_published_to_them(served: Served) -> None:
    """What is internal is neither listed nor given, not even that it exists."""
    [one, *_] = (await served.ask(f"/v1/runs/{served.run}/artifacts")).json()
    site = replace(served.site, access=Access(identities=_OfAcme(), clock=SystemClock()))
    served.app.state.site = site

    listed = await served.ask(f"/v1/runs/{served.run}/artifacts")
    given = await served.ask(one["bytes"])

    assert (listed.status_code, listed.json()) == (200, [])
    assert given.status_code == 404
