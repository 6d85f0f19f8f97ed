"""What the execute gate reads of a task, gathered where it is all known: in the worker.

Unchecked: an envelope's word may not be one that rules know, and the gate then says so.
"""

from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from contracts.envelope import Envelope
from contracts.fact import JsonObject
from contracts.lane import Lane
from contracts.payload import marked_values
from fleet.sources import read_sources, system_of
from workers.outputs import inputs_of
from workers.site import Site


def execute_facts(
    envelope: Envelope, lane: Lane, site: Site, approvers: Sequence[str] = ()
) -> JsonObject:
    """The fields of policies.facts.ExecuteFacts. Blocking: it may read the list of sources."""
    inputs = inputs_of(envelope)
    model = site.registry.find(envelope.kind, envelope.version)
    hours = site.gate.bundle.limits.working_hours
    return {
        "lane": lane.name,
        "kind": envelope.kind,
        "stage": envelope.stage,
        "tenant": envelope.scope.tenant,
        "audience": envelope.scope.audience,
        "requester": envelope.requester,
        "flags": list(envelope.flags),
        "mutates": model.MUTATES,
        "input_taints": [taint for pointer in inputs for taint in pointer.taints],
        "input_tenants": [pointer.scope.tenant for pointer in inputs],
        "input_audiences": [pointer.scope.audience for pointer in inputs],
        "systems": _systems(marked_values(model, envelope.body.payload, "source"), site),
        "high_risk": model.HIGH_RISK,
        "approvers": [*approvers],
        "working_hours": hours.open_at(site.clock.now()),
    }


def _systems(sources: Iterable[str], site: Site) -> list[JsonValue]:
    """Of the sources that are registered here; one that is not cannot be reached at all."""
    names = list(sources)
    table = read_sources(site.sources_file) if names else {}
    return [*sorted({system_of(table[name]) for name in names if name in table})]
