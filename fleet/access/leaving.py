"""Whether an artifact's bytes may leave for somebody: the publish gate is asked again.

What was stored for a tenant's people was decided on when it was stored, by the rules of then. These
are the rules of now, for this very person: people of a tenant get what was published to that
tenant, looked through again; people of the fleet get what the fleet's own audience may see.
"""

from functools import lru_cache
from pathlib import Path

from contracts.access import Identity
from contracts.artifact import ArtifactPointer, Audience
from contracts.decision import Decision, Gate
from fleet.ledger.browse import published_to
from fleet.ledger.errors import UnknownRow
from fleet.ledger.rows import TaskDetail
from fleet.telemetry.redact import this_machine
from policies.gate import PolicyGate
from policies.scan import ScanReport, scan_file


def leaving(
    gate: PolicyGate, identity: Identity, task: TaskDetail, pointer: ArtifactPointer, path: Path
) -> Decision:
    """The decision on letting the bytes at `path`, made by `task`, go to somebody.

    Raises UnknownRow for what a tenant's people may not even know of.
    """
    tenants = identity.tenants
    if tenants is not None and not published_to(pointer, tenants):
        raise UnknownRow("there is no such artifact")
    audience = Audience.INTERNAL if tenants is None else Audience.TENANT
    report = ScanReport(scanned=False)
    if audience is Audience.TENANT:
        report = _scanned(pointer.digest, pointer.media_type, path)
    return gate.decide_values(
        Gate.PUBLISH,
        {
            "lane": task.lane,
            "kind": task.kind,
            "tier": pointer.tier,
            "tenant": pointer.scope.tenant,
            "artifact_tenant": pointer.scope.tenant,
            "audience": audience,
            "taints": list(pointer.taints),
            "media_type": pointer.media_type,
            "scanned": report.scanned,
            "findings": len(report.findings),
            "finding_kinds": sorted({finding.kind.value for finding in report.findings}),
        },
    )


@lru_cache(maxsize=512)
def _scanned(digest: str, media_type: str, path: Path) -> ScanReport:
    """By digest: the same bytes hold the same."""
    return scan_file(path, media_type, places=this_machine())
