"""The admit gate: may this run exist?

The facts are what the request says and what the plan would do; the rules decide. A fact that is
malformed, a flag that nobody knows for one, is denied with its reason, never left out.
"""

from collections.abc import Sequence

from contracts.allowance import Quota
from contracts.decision import Decision, Gate
from contracts.fact import JsonObject
from contracts.payload import PayloadRegistry
from contracts.plan import RunGraph
from contracts.request import RunRequest
from policies.gate import PolicyGate


def admit(
    request: RunRequest,
    graph: RunGraph,
    registry: PayloadRegistry,
    gate: PolicyGate,
    *,
    over: Sequence[Quota] = (),
    approvers: Sequence[str] = (),
) -> Decision:
    """The decision on a planned request. Never raises: what cannot be decided is denied.

    `over`: quotas that the ledger had no room in; none, as long as it was not asked.
    """
    facts = admit_facts(request, graph, registry, over=over, approvers=approvers)
    return gate.decide_values(Gate.ADMIT, facts)


def admit_facts(
    request: RunRequest,
    graph: RunGraph,
    registry: PayloadRegistry,
    *,
    over: Sequence[Quota] = (),
    approvers: Sequence[str] = (),
) -> JsonObject:
    """What the rules read of a planned request: the fields of policies.facts.AdmitFacts."""
    mutating = {s.kind for s in graph.stages if registry.find(s.kind, s.version).MUTATES}
    return {
        "pipeline": request.pipeline,
        "tenant": request.scope.tenant,
        "audience": request.scope.audience.value,
        "requester": request.requester,
        "flags": [*sorted(set(request.flags))],
        "priority": request.priority,
        "kinds": [*sorted({stage.kind for stage in graph.stages})],
        "mutating_kinds": [*sorted(mutating)],
        "over": [quota.value for quota in over],
        "approvers": [*approvers],
    }
