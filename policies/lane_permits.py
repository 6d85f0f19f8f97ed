"""The permits: one for each lane and gate, written in Cedar from the lane table.

Nothing else permits. A permit holds for the lane's stage kinds and tenants, and each of its
conditions has a plain name, so that a refusal can say which one was not met.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.decision import Gate
from contracts.lane import Lane

_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that a permit asks for. `scope` is the principal, `body` the when-clause."""

    text: str
    """What it asks for: `the lane is mirror`."""
    scope: str = "principal"
    body: str = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePermit:
    """The permit of one lane at one gate."""

    lane: str
    gate: Gate
    reason: str
    conditions: tuple[Condition, ...]

    @property
    def id(self) -> str:
        return f"lane.{self.lane}.{self.gate}"

    @property
    def cedar(self) -> str:
        """The permit itself: all conditions."""
        return self._written(self.id, self.conditions)

    @property
    def probes(self) -> str:
        """One permit a condition, `<id>#<n>` by position: which conditions hold on their own."""
        return "".join(
            self._written(f"{self.id}#{number}", (condition,))
            for number, condition in enumerate(self.conditions)
        )

    def _written(self, name: str, conditions: tuple[Condition, ...]) -> str:
        scope = next((c.scope for c in conditions if c.scope != "principal"), "principal")
        bodies = "\n".join(f"when {{ {c.body} }}" for c in conditions if c.body != "true")
        return (
            f'@id("{name}")\n@reason("{self.reason}")\n'
            f'permit ({scope}, action == Action::"{self.gate}", resource)\n{bodies};\n\n'
        )


def lane_faults(lane: Lane) -> Iterator[str]:
    """What in a lane cannot stand in a rule."""
    for kind in lane.kinds:
        if _KIND.fullmatch(kind) is None:
            yield f"lane {lane.name}: {kind!r} is not a stage kind"
    for tenant in lane.tenants:
        if tenant != _EVERY and _TENANT.fullmatch(tenant) is None:
            yield f"lane {lane.name}: {tenant!r} is not a tenant"
    if not lane.tenants:
        yield f"lane {lane.name}: no tenant; write tenants = ['*'] for every tenant"
    if _EVERY in lane.tenants and len(lane.tenants) > 1:
        yield f"lane {lane.name}: '*' stands alone among tenants"


def lane_permits(lane: Lane) -> tuple[LanePermit, ...]:
    """The lane's permits, in the order of the gates. `lane_faults` has found nothing."""
    kinds = ", ".join(sorted(lane.kinds))
    tenants = "every tenant" if _EVERY in lane.tenants else ", ".join(sorted(lane.tenants))
    quoted_kinds = "[" + ", ".join(f'"{kind}"' for kind in sorted(lane.kinds)) + "]"
    quoted_tenants = "[" + ", ".join(f'Tenant::"{t}"' for t in sorted(lane.tenants)) + "]"
    of_tenant: tuple[Condition, ...] = ()
    if _EVERY not in lane.tenants:
        of_tenant = (
            Condition(
                text=f"the tenant is one of {tenants}", body=f"{quoted_tenants}.contains(resource)"
            ),
        )
    return tuple(
        LanePermit(
            lane=lane.name,
            gate=gate,
            reason=f"Lane {lane.name} {_DOES[gate]} {kinds} for {tenants}.",
            conditions=(
                Condition(
                    text=f"the lane is {lane.name}", scope=f'principal == Lane::"{lane.name}"'
                ),
                Condition(
                    text=f"the stage kind is one of {kinds}",
                    body=f"{quoted_kinds}.containsAll(context.kinds)"
                    if gate is Gate.ADMIT
                    else f"{quoted_kinds}.contains(context.kind)",
                ),
                *of_tenant,
            ),
        )
        for gate in Gate
    )


_DOES = {Gate.ADMIT: "takes on", Gate.EXECUTE: "runs", Gate.PUBLISH: "publishes the results of"}
