"""What the rules read, gate by gate.

A fact that no rule could read does not belong here. Every field is required: a caller who does not
know a fact cannot leave it out and be allowed. Words from a fixed list (tier, audience, flag,
taint, kind of finding) are checked when a model is built, and again by the rules' schema, so that
a misspelt word is refused where it would otherwise match no rule.

Collections may come in any order and with repeats; they are kept sorted and without.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from contracts.allowance import Quota
from contracts.artifact import AI_TAINT, Audience, Tenant, Tier
from contracts.decision import Gate
from contracts.fact import Fact

T = TypeVar("T", bound=str)
Sorted = Annotated[tuple[T, ...], AfterValidator(lambda items: tuple(sorted(set(items))))]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class Flag(StrEnum):
    """Explicit permissions that an operator gives with a request."""

    MUTATE = "mutate"  # handlers of this run may write to a source system


class Taint(StrEnum):
    """What artifacts pass on to all that is derived from them."""

    AI = AI_TAINT


class System(StrEnum):
    """What a source is part of."""

    SQL = "sql"  # a database
    FILES = "files"  # a folder
    GRAPH = "graph"  # OneDrive, SharePoint: all behind Microsoft Graph


class FindingKind(StrEnum):
    """What the scanner finds in a file that must not leave."""

    TOKEN = "token"  # noqa: S105 - a kind of finding, no token
    PRIVATE_KEY = "private_key"
    SIGNED_URL = "signed_url"  # a pre-authenticated address
    CONNECTION_STRING = "connection_string"
    LOCAL_PATH = "local_path"


class GateFacts(Fact):
    """The base of the facts of each gate. An unknown field is refused: it may be a misspelt one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    GATE: ClassVar[Gate]


class AdmitFacts(GateFacts):
    """Whether a run may exist. Decided for every lane that its stages use; all must allow."""

    GATE = Gate.ADMIT

    pipeline: Word
    tenant: Tenant
    audience: Audience
    requester: Word
    flags: Sorted[Flag]
    priority: int = Field(ge=0, le=9, strict=True)
    kinds: Annotated[Sorted[Word], Field(min_length=1)]
    """The kinds of all stages."""
    mutating_kinds: Sorted[Word]
    """Those of `kinds` whose handlers write to a source system."""
    over: Sorted[Quota]
    """Quotas of the tenant that the run would exceed, as the ledger said when it was to reserve."""
    approvers: Sorted[Word]
    """Who approved this very run, by its digest."""

    @model_validator(mode="after")
    def _mutating_kinds_are_kinds(self) -> Self:
        if not set(self.mutating_kinds) <= set(self.kinds):
            raise ValueError("mutating_kinds names a kind that is not among kinds")
        return self


class ExecuteFacts(GateFacts):
    """Whether a worker may run a task's handler now."""

    GATE = Gate.EXECUTE

    lane: Word
    """The lane that the worker took the task from."""
    kind: Word
    stage: Word
    tenant: Tenant
    audience: Audience
    requester: Word
    flags: Sorted[Flag]
    mutates: bool = Field(strict=True)
    """Whether this kind's handler writes to a source system."""
    input_taints: Sorted[Taint]
    input_tenants: Sorted[Tenant]
    input_audiences: Sorted[Audience]
    systems: Sorted[System]
    """That the task's sources are in."""
    high_risk: bool = Field(strict=True)
    """Whether this kind is high-risk work anywhere; a lane can make more so."""
    approvers: Sorted[Word]
    """Who approved this very task, by its digest."""
    working_hours: bool = Field(strict=True)
    """Whether it is within those of the bundle."""


class PublishFacts(GateFacts):
    """Whether what a handler made may be stored as an artifact for its audience."""

    GATE = Gate.PUBLISH

    lane: Word
    kind: Word
    tier: Tier
    tenant: Tenant
    """Of the task."""
    artifact_tenant: Tenant
    audience: Audience
    """Of the artifact: who may see it once it is stored."""
    taints: Sorted[Taint]
    media_type: Word
    scanned: bool = Field(strict=True)
    """Whether the whole file was looked through."""
    findings: int = Field(ge=0, strict=True)
    finding_kinds: Sorted[FindingKind]


AnyFacts = AdmitFacts | ExecuteFacts | PublishFacts

FACTS: dict[Gate, type[AdmitFacts] | type[ExecuteFacts] | type[PublishFacts]] = {
    Gate.ADMIT: AdmitFacts,
    Gate.EXECUTE: ExecuteFacts,
    Gate.PUBLISH: PublishFacts,
}
