"""Approvals: what exactly is approved, and by whom.

An approval is of the digest of a task, or of a run that is held before it has any: of everything
that says what it would do, and to what. It dies with the digest, so that nobody approves one thing
and another is done.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from datetime import timedelta

from contracts.envelope import Envelope
from contracts.plan import RunGraph
from contracts.request import RunRequest

APPROVAL_WAITS = timedelta(days=3)
"""How long an approval is asked for; the run's deadline may end it sooner."""
NEEDED = 2
"""People, none of them the requester. The rules that hold ask for as many."""


def task_digest(envelope: Envelope) -> str:
    """SHA-256 over what the task does: stage, payload, files, inputs, scope, flags, requester.

    The same for every attempt; other inputs, files, flags or parameters give another.
    """
    body = envelope.body
    whole = {
        "task": envelope.task,
        "kind": envelope.kind,
        "version": envelope.version,
        "scope": envelope.scope.model_dump(mode="json"),
        "requester": envelope.requester,
        "flags": sorted(envelope.flags),
        "payload": body.payload,
        "files": {name: pointer.digest for name, pointer in body.files.items()},
        "inputs": {name: [p.digest for p in group] for name, group in body.inputs.items()},
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_digest(run: str, request: RunRequest, graph: RunGraph) -> str:
    """SHA-256 over which run does what: the request, and the plan with its files by digest."""
    text = json.dumps(
        [
            run,
            request.model_dump(mode="json"),
            graph.model_dump(mode="json", exclude_defaults=True),
        ],
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()


def person(name: str) -> str:
    """A person's name as it is compared: case, width and outer spaces make nobody else."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def others(approvers: Iterable[str], requester: str) -> frozenset[str]:
    """The people among `approvers`, each once, without the requester."""
    return frozenset(map(person, approvers)) - {person(requester)}
