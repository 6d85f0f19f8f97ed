"""Artifacts: immutable bytes named by their digest, and the pointers that travel in their place."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.fact import Fact, JsonObject

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
ArtifactName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._=-]{0,119}(/[A-Za-z0-9][A-Za-z0-9._=-]{0,119}){0,3}$"
    ),
]

AI_TAINT = "ai"
"""Carried by what an agent wrote and by everything derived from it."""


class Tier(StrEnum):
    """How far an artifact has come."""

    BRONZE = "bronze"  # as the source gave it
    SILVER = "silver"  # typed, one schema
    CURATED = "curated"  # scoped, ready to present
    PRESENTED = "presented"  # what a person or a browser opens
    EVIDENCE = "evidence"  # why something is as it is: rejected rows, code, requests


class Audience(StrEnum):
    """Who may see what a task makes."""

    INTERNAL = "internal"  # the fleet and its operators
    TENANT = "tenant"  # people of the tenant, in person or by browser


class Scope(Fact):
    """Whose data this is, and who may see it."""

    tenant: Tenant
    audience: Audience = Audience.INTERNAL


class Provenance(Fact):
    """Where an artifact came from: enough to make it again."""

    run: str
    stage: str
    partition: str = ""
    attempt: int = Field(ge=1)
    code: str
    """Version of the fleet and digest of the stage's own files."""
    parameters: JsonObject = {}
    inputs: tuple[Sha256, ...] = ()
    """Digests of everything read, sorted."""


class ArtifactPointer(Fact):
    """What travels instead of the bytes."""

    name: ArtifactName
    digest: Sha256
    size: int = Field(ge=0)
    """In bytes."""
    media_type: str
    rows: int | None = Field(default=None, ge=0)
    """For tables."""
    tier: Tier
    scope: Scope
    taints: tuple[str, ...] = ()
    """Sorted, without repeats."""
    provenance: Provenance | None = None
    """Absent where nothing was derived: requests and a pipeline's own files."""

    @property
    def uri(self) -> str:
        """Names the tier and digest, never a machine: `artifact:bronze/ab/abcd...`."""
        return f"artifact:{self.key}"

    @property
    def key(self) -> str:
        """The store's key: `<tier>/<aa>/<sha256>`."""
        return f"{self.tier}/{self.digest[:2]}/{self.digest}"

    @model_validator(mode="after")
    def _taints_are_sorted(self) -> Self:
        if list(self.taints) != sorted(set(self.taints)):
            raise ValueError("taints must be sorted and without repeats")
        return self


def inherited_taints(inputs: Iterable[ArtifactPointer], own: Iterable[str] = ()) -> tuple[str, ...]:
    """The taints of something made from `inputs`: all of theirs and its own."""
    return tuple(sorted({taint for pointer in inputs for taint in pointer.taints} | set(own)))


LISTING = "application/vnd.leaf.listing+jsonl"
"""The media type of a listing: a line for each artifact that a wide stage made, its pointer."""


def is_listing(pointer: ArtifactPointer) -> bool:
    """Whether this stands for what it lists. What a handler made has a provenance, and does not."""
    return pointer.media_type == LISTING and pointer.provenance is None
