"""What an attempt is promised to do, as a digest: the ledger keeps it, and a claim must bring it.

Who may send to a lane's queue and knows a task's id can write an envelope for it. It is only taken
up if it says what the ledger promised: the same payload, inputs, files, scope, flags, requester.
Left out is what a second telling of the same promise may change: the attempt, the time, the trace.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from contracts.artifact import ArtifactPointer
from contracts.envelope import Envelope
from contracts.fact import JsonObject

_JSON = json.JSONEncoder(sort_keys=True)
_FILES = TypeAdapter(dict[str, ArtifactPointer])


def digest_of(envelope: Envelope) -> str:
    """SHA-256 in hex of an envelope as it came."""
    scope = envelope.scope
    head: dict[str, Any] = {
        "run": envelope.run,
        "task": envelope.task,
        "stage": envelope.stage,
        "partition": envelope.partition,
        "kind": envelope.kind,
        "version": envelope.version,
        "lane": envelope.lane,
        "pipeline": envelope.pipeline,
        "scope": {"tenant": scope.tenant, "audience": scope.audience.value},
        "requester": envelope.requester,
        "priority": envelope.priority,
        "flags": list(envelope.flags),
        "generation": envelope.generation,
    }
    if envelope.isolated:
        head["isolated"] = True
    if envelope.slots:
        head["slots"] = [slot.model_dump(exclude_defaults=True) for slot in envelope.slots]
    body = envelope.body
    inputs = {
        stage: listed([pointer.model_dump_json(exclude_defaults=True) for pointer in pointers])
        for stage, pointers in body.inputs.items()
    }
    return promised_digest(
        head,
        envelope.deadline,
        payload=body.payload,
        inputs=inputs,
        files=files_text(body.files),
        gathers=list(body.gathers),
    )


def promised_digest(
    head: Mapping[str, Any],
    deadline: datetime,
    *,
    payload: JsonObject,
    inputs: Mapping[str, str],
    files: str,
    gathers: list[str],
) -> str:
    """The digest from parts: `inputs` as `listed` by stage, `files` as `files_text`."""
    whole = [head, deadline.astimezone(UTC).isoformat(), payload, inputs, files, gathers]
    return hashlib.sha256(_JSON.encode(whole).encode()).hexdigest()


def listed(pointers: list[str]) -> str:
    """Pointers, each as its JSON without defaults, as one list."""
    return f"[{','.join(pointers)}]"


def files_text(files: Mapping[str, ArtifactPointer]) -> str:
    """A stage's files as JSON."""
    if not files:
        return "{}"
    dumped = _FILES.dump_python(dict(files), mode="json", exclude_defaults=True)
    return json.dumps(dumped, separators=(",", ":"), ensure_ascii=False)
