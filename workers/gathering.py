"""Gathering: the inputs that are too many for an envelope become listings in the artifact store.

A listing holds the pointers of what one stage made within one scope, ordered by partition, then
name. It stands among the inputs in place of them: with their taints and their scope for the gates,
its digest for provenance and approvals, one row in the ledger. So a fan-in costs a worker the same
memory however wide it is.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from contracts.artifact import LISTING, ArtifactPointer, Scope, Tier
from contracts.envelope import Envelope
from fleet.artifacts.store import ArtifactStore
from workers.site import Site
from workers.stages.scratch import Scratch


async def gathered(envelope: Envelope, site: Site) -> Envelope:
    """The envelope with all its inputs. Raises OSError, and SQLAlchemyError where the ledger is
    away."""
    if not envelope.body.gathers:
        return envelope
    found = await asyncio.to_thread(_listings, envelope, site)
    body = envelope.body.model_copy(
        update={"inputs": dict(sorted((envelope.body.inputs | found).items())), "gathers": ()}
    )
    return envelope.model_copy(update={"body": body})


def _listings(envelope: Envelope, site: Site) -> dict[str, tuple[ArtifactPointer, ...]]:
    with Scratch(site.scratch) as scratch:
        return {
            stage: listed(
                stage, site.ledger.outputs_of(envelope.run, stage), scratch.path, site.store
            )
            for stage in envelope.body.gathers
        }


def stage_of(listing: ArtifactPointer) -> str:
    """The stage that made what is listed."""
    return listing.name.partition("/")[0]


@dataclass(slots=True)
class _Listing:
    """One that is being written."""

    file: TextIO
    rows: int = 0
    taints: set[str] = field(default_factory=set)


def listed(
    stage: str, pointers: Iterator[str], scratch: Path, store: ArtifactStore
) -> tuple[ArtifactPointer, ...]:
    """Listings of these pointers (JSON), one a scope, in the order of scopes. Raises OSError."""
    listings: dict[tuple[str, str], _Listing] = {}
    with contextlib.ExitStack() as opened:
        for text in pointers:
            pointer = ArtifactPointer.model_validate_json(text)
            scope = pointer.scope.tenant, pointer.scope.audience.value
            if (listing := listings.get(scope)) is None:
                path = scratch / f"{stage}-{'-'.join(scope)}.jsonl"
                file = opened.enter_context(path.open("w", encoding="utf-8", newline="\n"))
                listing = listings[scope] = _Listing(file)
            listing.file.write(f"{text}\n")
            listing.rows += 1
            listing.taints.update(pointer.taints)
    return tuple(_stored(stage, scope, listings[scope], store) for scope in sorted(listings))


def _stored(
    stage: str, scope: tuple[str, str], listing: _Listing, store: ArtifactStore
) -> ArtifactPointer:
    stored = store.put_file(Tier.EVIDENCE, Path(listing.file.name))
    tenant, audience = scope
    return ArtifactPointer(
        name=f"{stage}/{audience}.jsonl",
        digest=stored.digest,
        size=stored.size,
        media_type=LISTING,
        rows=listing.rows,
        tier=Tier.EVIDENCE,
        scope=Scope.model_validate({"tenant": tenant, "audience": audience}),
        taints=tuple(sorted(listing.taints)),
    )
