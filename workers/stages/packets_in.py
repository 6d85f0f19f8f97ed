"""The packets among a presentation's inputs, in the order they are shown."""

from pydantic import ValidationError

from contracts.outcome import FaultKind
from contracts.stage_payloads import Presentation
from workers.stages.handler import StageFault, Workbench
from workers.stages.packet import SCHEMA, Packet


def packets_of(bench: Workbench, payload: Presentation) -> list[Packet]:
    """The packets to show. Raises StageFault (packet.missing, packet.refused)."""
    packets: list[Packet] = []
    for stage in payload.packets or sorted(bench.inputs):
        items = bench.inputs.get(stage, ())
        if not items:
            raise StageFault(
                FaultKind.PERMANENT, "packet.missing", f"stage {stage} gave nothing to present"
            )
        for item in items:
            try:
                packets.append(Packet.model_validate_json(item.path.read_bytes()))
            except ValidationError:
                raise StageFault(
                    FaultKind.PERMANENT, "packet.refused", f"{stage} gave no {SCHEMA}"
                ) from None
    if not packets:
        raise StageFault(FaultKind.PERMANENT, "packet.missing", "there is no packet to present")
    return packets
