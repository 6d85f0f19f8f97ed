"""Intake: the one path from a request to a run, whichever way the request came in.

load, plan, admit, keep the pipeline's files, start the run, hurry its first envelopes along. What
is refused leaves nothing behind; what is denied, or held, leaves a run that says so. The same key
of the same tenant finds the run that is there, however often and from however many dispatchers.

A tenant's allowance is reserved in the transaction that starts the run. Where there is no room, the
gate is asked once more, and told so.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.allowance import Quota
from contracts.approval import APPROVAL_WAITS, run_digest
from contracts.artifact import ArtifactPointer, Scope, Tier
from contracts.decision import Decision, Verdict
from contracts.ids import run_id
from contracts.lane import LaneTable
from contracts.payload import PayloadRegistry
from contracts.plan import RunGraph
from contracts.request import RunAccepted, RunRequest
from dispatcher.admit import admit
from dispatcher.faults import KeyConflict
from dispatcher.pipeline_folder import LoadedPipeline, PipelineFolders
from dispatcher.plan import plan
from dispatcher.relay import Hurry
from dispatcher.secrets_given import refuse_secrets
from fleet.artifacts.store import ArtifactStore
from fleet.clock import Clock
from fleet.ledger.errors import OverAllowance
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import ApprovalAsked, LaneLimits, NewRun
from policies.gate import PolicyGate
from policies.live import LiveGate

DEFAULT_DEADLINE = timedelta(hours=24)
"""From submission, for a request that names no deadline."""
CHANCE_BYTES = 10

_MEDIA_TYPES = {".sql": "application/sql", ".yaml": "application/yaml", ".typ": "text/vnd.typst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Accepts requests. All parts are shared and outlive it."""

    pipelines: PipelineFolders
    registry: PayloadRegistry
    lanes: LaneTable
    gate: PolicyGate | LiveGate
    store: ArtifactStore
    ledger: Ledger
    reader: LedgerReader
    hurry: Hurry
    clock: Clock
    chance: Callable[[int], bytes]
    """So many random bytes, for the ids of runs."""

    async def accept(self, request: RunRequest, traceparent: str | None = None) -> RunAccepted:
        """The run of `request`: a new one, or the one that its key has started already.

        Raises PipelineUnknown, PipelineRefused, RequestRefused, KeyConflict, SecretGiven, or the
        ledger's and the store's errors; then no run was started.
        """
        refuse_secrets(request.model_dump(mode="json"))
        # Files are read, planned with and synced to the store off the loop, which serves others.
        new = await asyncio.to_thread(self._prepared, request, traceparent)
        try:
            started = await self.ledger.start_run(new)
        except OverAllowance as full:
            new = self._over(new, full.over)
            started = await self.ledger.start_run(new)
        if started.created and new.admitted.allowed:
            self.hurry(started.run, started.outbox)
        elif not started.created:
            await self._same_request(request, started.run)
        return RunAccepted(
            run=started.run,
            created=started.created,
            state=started.state,
            submitted=started.submitted,
        )

    async def check(self, request: RunRequest) -> None:
        """Whether a request could be planned. Raises PipelineUnknown, PipelineRefused,
        RequestRefused; starts nothing and keeps nothing."""
        await asyncio.to_thread(self._planned, request)

    def _prepared(self, request: RunRequest, traceparent: str | None) -> NewRun:
        loaded, pointers, graph = self._planned(request)
        gate = self.gate.now
        decision = admit(request, graph, self.registry, gate)
        if decision.verdict is not Verdict.DENY:
            for path, pointer in pointers.items():
                if not self.store.has(pointer.tier, pointer.digest):
                    self.store.put_bytes(pointer.tier, loaded.files[path])
        submitted = self.clock.now()
        run = run_id(submitted, self.chance(CHANCE_BYTES))
        return NewRun(
            run=run,
            request=request,
            graph=graph,
            admitted=decision,
            submitted=submitted,
            deadline=request.deadline
            or max(submitted, request.start_at or submitted) + DEFAULT_DEADLINE,
            traceparent=traceparent,
            lane_limits={
                lane.name: LaneLimits(max_attempts=lane.retry.max_attempts) for lane in self.lanes
            },
            allowance=gate.bundle.limits.allowance(request.scope.tenant),
            asks=_asked(decision, run, request, graph, submitted),
        )

    def _planned(
        self, request: RunRequest
    ) -> tuple[LoadedPipeline, dict[str, ArtifactPointer], RunGraph]:
        loaded = self.pipelines.load(request.pipeline)
        pointers = {
            path: _pointer(path, data, request.scope) for path, data in loaded.files.items()
        }
        graph = plan(
            loaded.located,
            request.parameters,
            pointers,
            tenant=request.scope.tenant,
            registry=self.registry,
            lanes=self.lanes,
        )
        return loaded, pointers, graph

    def _over(self, new: NewRun, over: tuple[Quota, ...]) -> NewRun:
        """The run as the gate decides on it once it knows that there is no room."""
        decision = admit(new.request, new.graph, self.registry, self.gate.now, over=over)
        return new.model_copy(
            update={
                "admitted": decision,
                # What rules allow all the same is not counted.
                "allowance": None,
                "asks": _asked(decision, new.run, new.request, new.graph, new.submitted),
            }
        )

    async def _same_request(self, request: RunRequest, run: str) -> None:
        known = await asyncio.to_thread(self.reader.run, run)
        if _differing(known.request, request):
            raise KeyConflict(request.key or "", run, _differing(known.request, request))


def _asked(
    decision: Decision, run: str, request: RunRequest, graph: RunGraph, now: datetime
) -> ApprovalAsked | None:
    if decision.verdict is not Verdict.HOLD:
        return None
    return ApprovalAsked(
        digest=run_digest(run, request, graph),
        reasons="; ".join(reason.text for reason in decision.reasons),
        expires=now + APPROVAL_WAITS,
    )


def _pointer(path: str, data: bytes, scope: Scope) -> ArtifactPointer:
    suffix = path[path.rindex(".") :]
    media_type = _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(path)[0]
    return ArtifactPointer(
        name=path,
        digest=hashlib.sha256(data).hexdigest(),
        size=len(data),
        media_type=media_type or "application/octet-stream",
        tier=Tier.EVIDENCE,
        scope=scope,
    )


def _differing(old: RunRequest, new: RunRequest) -> list[str]:
    # `start_at` may differ: who asks again for a run in an hour names another time.
    names = RunRequest.model_fields.keys() - {"start_at"}
    return sorted(name for name in names if getattr(old, name) != getattr(new, name))
