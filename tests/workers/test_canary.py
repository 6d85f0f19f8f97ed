"""A canary: a secret planted wherever one could come in is found in no ledger and in no log."""

import logging

import pytest

from contracts.artifact import Tier
from contracts.envelope import WireMessage
from contracts.outcome import FaultKind, Output, Produced
from fleet.bus.message import Outgoing
from tests.workers.conftest import Fleet, a_stage, writes_a_file
from workers.stages.handler import StageFault, Workbench

CANARY = "AbCdEfCaNaRyAbCdEf123456789012345678901234567890"
TOKEN = f"https://x.blob.core.windows.net/c/b?sv=2024-01-01&sig={CANARY}%3D"


# A token whose shape a file's name may have.
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{CANARY}"


async def _recorded(fleet: Fleet) -> bytes:
    """Every byte of the ledger's files; nothing of the bus, which holds what was sent to it."""
    root = fleet.site.scratch.parent
    return b"".join(path.read_bytes() for path in sorted(root.glob("ledger.db*")))


def _raises(bench: Workbench) -> Produced:
    raise RuntimeError(f"could not open {TOKEN}")


def _faults(bench: Workbench) -> Produced:
    raise StageFault(FaultKind.PERMANENT, "source.gone", f"could not open {TOKEN}")


def _reports(bench: Workbench) -> Produced:
    return Produced(facts={"from": TOKEN})


def _names(bench: Workbench) -> Produced:
    path = bench.scratch / "out.txt"
    path.write_text("hello")
    return Produced(
        outputs=(Output(name=JWT, path=path, media_type="text/plain", tier=Tier.SILVER),)
    )


def _discovers(bench: Workbench) -> Produced:
    return Produced(partitions=("2024-01", JWT))


def _names_badly(bench: Workbench) -> Produced:
    path = bench.scratch / "out.txt"
    path.write_text("hello")
    return Produced(
        outputs=(Output(name=TOKEN, path=path, media_type="text/plain", tier=Tier.SILVER),)
    )


@pytest.mark.parametrize("handler", [_raises, _faults], ids=["exception", "fault"])
async def test_a_secret_in_an_error_is_not_recorded(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, handler: object
) -> None:
    """Whether the handler broke, or said so itself."""
    await fleet.start(a_stage("only"))
    fleet.handle(handler)  # type: ignore[arg-type]  # both are handlers

    with caplog.at_level(logging.DEBUG):
        await fleet.deliver()

    task = fleet.task("only")
    assert task.fault is not None
    assert CANARY not in task.model_dump_json()
    assert CANARY.encode() not in await _recorded(fleet)


async def test_a_secret_in_a_header_or_body_is_not_recorded(fleet: Fleet) -> None:
    """Of a message that nobody can take: the reason is recorded, its values are not."""
    message = WireMessage(
        message_id="m1",
        properties={"cloudEvents:specversion": TOKEN, "cloudEvents:leafrun": TOKEN},
        body=f'{{"payload": "{TOKEN}"}}'.encode(),
    )

    await fleet.site.bus.publish("lane-test", [Outgoing(message=message)])
    await fleet.deliver()

    assert len(fleet.reader.dead_letters()) == 1
    assert CANARY.encode() not in await _recorded(fleet)


@pytest.mark.parametrize(
    "handler",
    [_reports, _discovers, _names, _names_badly],
    ids=["facts", "partition", "token as name", "address as name"],
)
async def test_a_secret_that_a_handler_tells_is_not_recorded(fleet: Fleet, handler: object) -> None:
    """As a fact, or as the name of what it made."""
    await fleet.start(a_stage("only"))
    fleet.handle(handler)  # type: ignore[arg-type]  # both are handlers

    await fleet.deliver()

    assert CANARY.encode() not in await _recorded(fleet)


async def test_a_secret_in_a_parameter_is_not_told_again(fleet: Fleet) -> None:
    """The payload is what the run was asked with; no span, event or fault repeats it."""
    await fleet.start(a_stage("only", word=TOKEN))
    fleet.handle(writes_a_file)

    await fleet.deliver()

    task = fleet.task("only")
    assert CANARY not in task.model_dump_json(exclude={"payload", "outputs"})
    told = [str(dict(span.attributes or {})) for span in fleet.spans.get_finished_spans()]
    assert CANARY not in "".join(told)
