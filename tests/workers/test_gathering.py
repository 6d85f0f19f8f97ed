"""A fan-in too wide for an envelope: every input is read, and no process holds them all."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.artifact import ArtifactPointer, Audience, Provenance, Scope, Tier, is_listing
from contracts.lane import Mode
from contracts.outcome import Output, Produced
from contracts.payload import PayloadRegistry
from contracts.plan import StagePlan
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from fleet.ledger import promise
from tests.workers.conftest import RUN, Fleet, a_stage
from tests.workers.test_verify import Settled
from workers.gathering import listed
from workers.input_files import ShelvedFiles, unlisted
from workers.stages.handler import InputFile, StageHandler, Workbench
from workers.verify import verify

PARTS = ("a", "b", "c", "d")


def reads_all(bench: Workbench) -> Produced:
    """Writes what its inputs say, in their order; a part writes its own word."""
    assert isinstance(bench.payload, Settled)
    words = [file.path.read_text() for files in bench.inputs.values() for file in files]
    path = bench.scratch / "out.txt"
    path.write_text("+".join(words) or bench.payload.word)
    output = Output(name="out.txt", path=path, media_type="text/plain", tier=Tier.SILVER)
    return Produced(outputs=(output,), facts={"read": len(words)})


HANDLERS = {("test.step", 1): StageHandler(payload=Settled, run=reads_all)}


async def _ran(fleet: Fleet) -> None:
    fleet.lane = fleet.lane.model_copy(update={"mode": Mode.PROCESS})
    registry = PayloadRegistry([Settled])
    fleet.site = replace(fleet.site, registry=registry, handlers=HANDLERS)
    part = StagePlan(
        name="part",
        kind="test.step",
        version=1,
        lane="test",
        payload={"word": "${partition}"},
        partitions=PARTS,
    )
    await fleet.start(part, a_stage("whole", "part"))
    for _ in range(len(PARTS) + 1):
        await fleet.deliver()


async def test_a_stage_too_wide_to_be_named_is_read_whole(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a handler in a process of its own, in order; the ledger keeps one listing as its input."""
    monkeypatch.setattr(promise, "MOST_NAMED", 3)

    await _ran(fleet)

    whole = fleet.task("whole")
    assert whole.state is State.SUCCEEDED, whole.fault
    (output,) = whole.outputs
    assert fleet.site.store.read(output) == b"a+b+c+d"
    (listing,) = whole.inputs
    assert is_listing(listing)
    assert listing.rows == len(PARTS)
    assert output.provenance is not None
    assert output.provenance.inputs == (listing.digest,)
    assert not list(fleet.site.scratch.iterdir())


async def test_what_was_gathered_is_verified(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the listing, long after the envelope is gone."""
    monkeypatch.setattr(promise, "MOST_NAMED", 3)
    await _ran(fleet)

    report = verify(
        RUN,
        reader=fleet.reader,
        store=fleet.site.store,
        registry=fleet.site.registry,
        handlers=HANDLERS,
        scratch=fleet.site.scratch,
    )

    assert (report.same, report.checked) == (True, len(PARTS) + 1)


async def test_as_many_as_may_be_named_are_named(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A narrower stage's outputs stand in the ledger one by one."""
    monkeypatch.setattr(promise, "MOST_NAMED", 4)

    await _ran(fleet)

    whole = fleet.task("whole")
    assert [p.provenance.partition for p in whole.inputs if p.provenance] == list(PARTS)
    assert whole.facts == {"read": len(PARTS)}


def a_pointer(store: FolderStore, partition: str, audience: Audience, *taints: str) -> str:
    stored = store.put_bytes(Tier.SILVER, partition.encode())
    return ArtifactPointer(
        name="rows.csv",
        digest=stored.digest,
        size=stored.size,
        media_type="text/csv",
        tier=Tier.SILVER,
        scope=Scope(tenant="acme", audience=audience),
        taints=taints,
        provenance=Provenance(run=RUN, stage="part", partition=partition, attempt=1, code="1"),
    ).model_dump_json(exclude_defaults=True)


def test_a_listing_has_the_scope_and_taints_of_what_it_lists(tmp_path: Path) -> None:
    """So the gates see of it what they would see of each; two audiences are two listings."""
    store = FolderStore(tmp_path / "artifacts")
    texts = [
        a_pointer(store, "a", Audience.TENANT),
        a_pointer(store, "b", Audience.INTERNAL),
        a_pointer(store, "c", Audience.TENANT, "ai"),
    ]

    internal, tenant = listed("part", iter(texts), tmp_path, store)

    assert [(p.scope.audience, p.rows, p.taints) for p in (internal, tenant)] == [
        (Audience.INTERNAL, 1, ()),
        (Audience.TENANT, 2, ("ai",)),
    ]
    assert [
        pointer.provenance.partition
        for pointer in unlisted([internal, tenant], store)
        if pointer.provenance
    ] == ["b", "a", "c"]


def test_shelved_files_are_a_sequence(tmp_path: Path) -> None:
    """Counted, picked, cut, gone through twice and sent to another process."""
    store = FolderStore(tmp_path / "artifacts")

    def files() -> Iterator[InputFile]:
        for partition in PARTS:
            text = a_pointer(store, partition, Audience.TENANT)
            pointer = ArtifactPointer.model_validate_json(text)
            yield InputFile(pointer=pointer, path=tmp_path / f"{partition}\t\n")

    shelved = ShelvedFiles.written(tmp_path / "shelf", files())

    assert list(pickle.loads(pickle.dumps(shelved))) == list(shelved) == list(files())
    assert (len(shelved), shelved[2], shelved[-1]) == (4, list(files())[2], list(files())[3])
    assert shelved[1:3] == tuple(files())[1:3]
    with pytest.raises(IndexError):
        shelved[4]
