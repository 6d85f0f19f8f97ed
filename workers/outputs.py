"""What a handler made becomes artifacts: scanned where it leaves, decided on, stored by digest.

Nothing is stored before all of an attempt's outputs are allowed: a denied one denies the attempt.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from contracts.artifact import (
    ArtifactName,
    ArtifactPointer,
    Audience,
    Provenance,
    Scope,
    Tier,
    inherited_taints,
)
from contracts.decision import Decision, Gate
from contracts.envelope import Envelope
from contracts.fact import JsonObject
from contracts.outcome import Output
from fleet.artifacts.errors import ArtifactRefused
from fleet.telemetry.redact import redacted, secret_places, this_machine
from policies.scan import ScanReport, scan_file
from workers.site import Site

_NAME: TypeAdapter[str] = TypeAdapter(ArtifactName)
_LEAVING = frozenset({Tier.CURATED, Tier.PRESENTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What the publish gate said of an attempt's outputs; `pointers` only where all may go."""

    decisions: tuple[Decision, ...]
    pointers: tuple[ArtifactPointer, ...] = ()

    @property
    def denied(self) -> Decision | None:
        return next((d for d in self.decisions if not d.allowed), None)


def release(
    outputs: Sequence[Output], envelope: Envelope, site: Site, partitions: Sequence[str] = ()
) -> Released:
    """Gate every output, then store every output. Blocking: it reads and writes files.

    Raises ArtifactRefused for a name that cannot be recorded, or that holds a secret, those of the
    `partitions` that were discovered included; before anything is stored.
    """
    if any(secret_places("\n".join(partitions))):
        raise ArtifactRefused("a partition", "its name holds a secret")
    if not outputs:
        return Released(decisions=())
    for output in outputs:
        _check_name(output)
    decisions = tuple(
        site.gate.decide_values(Gate.PUBLISH, _facts(output, envelope)) for output in outputs
    )
    if any(not decision.allowed for decision in decisions):
        return Released(decisions=decisions)
    provenance = _provenance(envelope, site.code_version)
    return Released(
        decisions=decisions,
        pointers=tuple(_stored(output, envelope, provenance, site) for output in outputs),
    )


def inputs_of(envelope: Envelope) -> tuple[ArtifactPointer, ...]:
    """Every input pointer, in the order of the envelope."""
    return tuple(pointer for group in envelope.body.inputs.values() for pointer in group)


def _check_name(output: Output) -> None:
    try:
        _NAME.validate_python(output.name)
    except ValidationError:
        raise ArtifactRefused("an output", "its name is not one of an artifact") from None
    if redacted(output.name) != output.name:
        raise ArtifactRefused("an output", "its name holds a secret")


def _audience(output: Output, envelope: Envelope) -> Audience:
    return envelope.scope.audience if output.tier in _LEAVING else Audience.INTERNAL


def _facts(output: Output, envelope: Envelope) -> JsonObject:
    report = ScanReport(scanned=False, findings=())
    if output.tier in _LEAVING:
        report = scan_file(output.path, output.media_type, places=this_machine())
    return {
        "lane": envelope.lane,
        "kind": envelope.kind,
        "tier": output.tier,
        "tenant": envelope.scope.tenant,
        "artifact_tenant": envelope.scope.tenant,
        "audience": _audience(output, envelope),
        "taints": list(inherited_taints(inputs_of(envelope), output.taints)),
        "media_type": output.media_type,
        "scanned": report.scanned,
        "findings": len(report.findings),
        "finding_kinds": [*sorted({finding.kind.value for finding in report.findings})],
    }


def _stored(
    output: Output, envelope: Envelope, provenance: Provenance, site: Site
) -> ArtifactPointer:
    stored = site.store.put_file(output.tier, output.path)
    return ArtifactPointer(
        name=output.name,
        digest=stored.digest,
        size=stored.size,
        media_type=output.media_type,
        rows=output.rows,
        tier=output.tier,
        scope=Scope(tenant=envelope.scope.tenant, audience=_audience(output, envelope)),
        taints=inherited_taints(inputs_of(envelope), output.taints),
        provenance=provenance,
    )


def _provenance(envelope: Envelope, code_version: str) -> Provenance:
    files = "".join(f"{n}={p.digest}\n" for n, p in sorted(envelope.body.files.items()))
    return Provenance(
        run=envelope.run,
        stage=envelope.stage,
        partition=envelope.partition,
        attempt=envelope.attempt,
        code=f"{code_version}+{hashlib.sha256(files.encode()).hexdigest()[:16]}",
        parameters=envelope.body.payload,
        inputs=tuple(sorted({pointer.digest for pointer in inputs_of(envelope)})),
    )
