"""The task that is measured: 200 bytes of payload, a handler that does nothing."""

from typing import ClassVar

from contracts.outcome import Produced
from contracts.payload import Payload
from workers.stages.handler import StageHandler, Workbench

KIND = "bench.noop"
LANE = "noop"
QUEUE = f"lane-{LANE}"
_PAYLOAD_BYTES = 200


class Noop(Payload):
    """What a task carries."""

    KIND: ClassVar[str] = KIND

    data: str = "x" * (_PAYLOAD_BYTES - len('{"data":""}'))


async def nothing(_: Workbench) -> Produced:
    """The work itself costs nothing, so that what is measured is the fleet."""
    return Produced()


HANDLERS = {(KIND, 1): StageHandler(payload=Noop, run=nothing)}
