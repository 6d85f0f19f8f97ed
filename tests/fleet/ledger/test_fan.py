"""Fan-out and fan-in."""

from sqlalchemy import Connection, event

from contracts.artifact import ArtifactPointer
from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    finished,
    listing,
    one_output,
    promised,
)


async def test_discovered_partitions_fan_out_and_in(ledger: Ledger, reader: LedgerReader) -> None:
    """Each partition goes its own way; the gathering task gets all of them, in order."""
    new = a_run(FAN)
    await ledger.start_run(new)

    seen = await finished(ledger, new.run, listing("b", "a", "c"))

    places = [(envelope.stage, envelope.partition) for envelope in seen]
    assert places[0] == ("list", "")
    assert sorted(places[1:4]) == [("fetch", "a"), ("fetch", "b"), ("fetch", "c")]
    assert sorted(places[4:7]) == [("clean", "a"), ("clean", "b"), ("clean", "c")]
    assert places[7:] == [("gather", "")]
    inputs = seen[-1].body.inputs
    assert [pointer.name for pointer in inputs["clean"]] == [
        "clean-a.csv",
        "clean-b.csv",
        "clean-c.csv",
    ]
    assert [pointer.name for pointer in inputs["list"]] == ["list-all.csv"]
    assert reader.run(new.run).state is State.SUCCEEDED


async def test_an_aligned_partition_gets_its_own_only(ledger: Ledger) -> None:
    """And it does not wait for the others."""
    new = a_run(FAN)
    await ledger.start_run(new)
    [list_] = await promised(ledger)
    await carried_out(ledger, list_, **listing("a", "b")(list_))
    fetch_a, _ = await promised(ledger)

    await carried_out(ledger, fetch_a, **one_output(fetch_a))

    [clean] = await promised(ledger)
    assert (clean.stage, clean.partition) == ("clean", "a")
    assert {name: [p.name for p in pointers] for name, pointers in clean.body.inputs.items()} == {
        "fetch": ["fetch-a.csv"]
    }


async def test_the_partition_reaches_the_payload(ledger: Ledger) -> None:
    """`${partition}` is filled in for each task."""
    new = a_run(FAN)
    await ledger.start_run(new)

    seen = await finished(ledger, new.run, listing("2026-01", "2026-02"))

    assert [e.body.payload for e in seen if e.stage == "fetch"] == [
        {"of": "2026-01"},
        {"of": "2026-02"},
    ]


async def test_nothing_discovered_goes_straight_on(ledger: Ledger, reader: LedgerReader) -> None:
    """A fan-out over no partitions is a fan-in of none."""
    new = a_run(FAN)
    await ledger.start_run(new)

    seen = await finished(ledger, new.run, listing())

    assert [envelope.stage for envelope in seen] == ["list", "gather"]
    assert seen[-1].body.inputs["clean"] == ()
    assert reader.run(new.run).state is State.SUCCEEDED


async def test_every_partition_needs_all_of_a_stage_it_is_not_aligned_with(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Two fan-outs of their own: the second waits for the whole first."""
    new = a_run(
        a_graph(
            a_stage("left", partitions=("a", "b")),
            a_stage("right", needs=("left",), partitions=("x", "y", "z")),
        )
    )
    await ledger.start_run(new)
    first, second = await promised(ledger)

    await carried_out(ledger, first, **one_output(first))
    halfway = await promised(ledger)
    await carried_out(ledger, second, **one_output(second))

    assert halfway == []
    rights = await promised(ledger)
    assert [envelope.partition for envelope in rights] == ["x", "y", "z"]
    assert {len(envelope.body.inputs["left"]) for envelope in rights} == {2}


async def test_two_discoveries_meet_in_one_stage(ledger: Ledger, reader: LedgerReader) -> None:
    """Partitions of one discovery need all of another's, whichever is discovered first."""
    graph = a_graph(
        a_stage("list"),
        a_stage("names"),
        a_stage("look_up", needs=("names",), discovered_by="names"),
        a_stage("fetch", needs=("list", "look_up"), discovered_by="list"),
        a_stage("gather", needs=("fetch", "look_up")),
    )
    for first in ("list", "names"):
        new = a_run(graph)
        await ledger.start_run(new)
        starts = sorted(await promised(ledger), key=lambda e: e.stage != first)
        for envelope in starts:
            found = ("1", "2", "3") if envelope.stage == "list" else ("n", "m")
            await carried_out(ledger, envelope, **one_output(envelope), partitions=found)

        seen = await finished(ledger, new.run)

        stages = [envelope.stage for envelope in seen]
        assert stages == ["look_up"] * 2 + ["fetch"] * 3 + ["gather"]
        assert {len(e.body.inputs["look_up"]) for e in seen if e.stage == "fetch"} == {2}
        assert reader.run(new.run).state is State.SUCCEEDED


async def test_only_what_a_success_made_is_an_input(ledger: Ledger) -> None:
    """Evidence of an attempt that failed is kept, and nobody works on it."""
    new = a_run()
    await ledger.start_run(new)
    [first] = await promised(ledger)
    await carried_out(ledger, first, State.RETRYING, retry_at=NOW, **one_output(first))
    [again] = await promised(ledger)

    recorded = await carried_out(ledger, again, **one_output(again))

    [row] = recorded.outbox
    assert len(row.envelope.body.inputs["first"]) == 1


async def test_a_completion_costs_the_same_however_wide_the_fan_in_is(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Statements of claim and record: as many in a fan-out of 10,000 as in one of 10."""

    async def cost(width: int) -> int:
        graph = a_graph(
            a_stage("list"),
            a_stage("fetch", needs=("list",), discovered_by="list"),
            a_stage("gather", needs=("fetch",)),
        )
        new = a_run(graph)
        await ledger.start_run(new)
        [list_] = await promised(ledger, new.run)
        names = tuple(f"p{number:05}" for number in range(width))
        await carried_out(ledger, list_, partitions=names)
        while (await ledger.sweep(NOW)).queued:
            pass
        envelope, *_ = await promised(ledger, new.run)
        statements = []

        def count(connection: Connection, cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        engine = ledger.engine
        event.listen(engine, "before_cursor_execute", count)
        await carried_out(ledger, envelope, **one_output(envelope))
        event.remove(engine, "before_cursor_execute", count)
        return len(statements)

    assert await cost(10_000) == await cost(10) <= 24


async def test_a_wide_fan_in_closes(ledger: Ledger, reader: LedgerReader) -> None:
    """All of 3,000 partitions at once; the gathering task names the stage, and can read it all."""
    width = 3000
    graph = a_graph(
        a_stage("fetch", partitions=tuple(f"p{number:04}" for number in range(width))),
        a_stage("gather", needs=("fetch",)),
    )
    new = a_run(graph)
    await ledger.start_run(new)

    seen = await finished(ledger, new.run)

    assert len(seen) == width + 1
    assert (seen[-1].body.gathers, seen[-1].body.inputs) == (("fetch",), {})
    outputs = map(ArtifactPointer.model_validate_json, ledger.outputs_of(new.run, "fetch"))
    assert [pointer.name for pointer in outputs] == [f"fetch-p{n:04}.csv" for n in range(width)]
    assert reader.run(new.run).state is State.SUCCEEDED
