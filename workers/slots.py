"""The slots that a task needs: by the limits of its lane here, and of its pipeline as planned."""

from contracts.envelope import Envelope
from contracts.lane import Lane
from contracts.limit import Slot, filled, merged, slot_of


def slots_of(envelope: Envelope, lane: Lane) -> tuple[Slot, ...]:
    """Each with the values of this task filled in; none where nothing is limited."""
    if not lane.limits and not envelope.slots:
        return ()
    values = {
        "tenant": envelope.scope.tenant,
        "audience": envelope.scope.audience.value,
        "requester": envelope.requester,
        "pipeline": envelope.pipeline,
        "stage": envelope.stage,
        "kind": envelope.kind,
        "lane": envelope.lane,
        "partition": envelope.partition,
    }
    return merged(
        (
            *(slot_of(limit, f"lane/{lane.name}", values) for limit in lane.limits),
            *(filled(slot, values) for slot in envelope.slots),
        )
    )
