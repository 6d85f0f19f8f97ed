"""The contracts as documents: a JSON Schema for each, and one AsyncAPI 3 description of the bus.

Pure: a dictionary of file names and texts. `python -m contracts` writes them to contracts/schemas/.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from contracts.artifact import ArtifactPointer
from contracts.decision import Decision
from contracts.envelope import CONTENT_TYPE, TaskBody
from contracts.lane import LaneTable
from contracts.outcome import Fault
from contracts.payload import Payload, PayloadRegistry
from contracts.pipeline import Pipeline
from contracts.plan import RunGraph
from contracts.request import REQUEST_TYPE, RunAccepted, RunRequest
from contracts.states import FINAL, MOVES, State

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MODELS: dict[str, type[BaseModel]] = {
    "artifact-pointer": ArtifactPointer,
    "decision": Decision,
    "fault": Fault,
    "pipeline": Pipeline,
    "run-accepted": RunAccepted,
    "run-graph": RunGraph,
    "run-request": RunRequest,
    "task-body": TaskBody,
}

_ATTRIBUTES = {
    "subject": "string",
    "leaflane": "string",
    "leafpipeline": "string",
    "leaftenant": "string",
    "leafaudience": "string",
    "leafrequester": "string",
    "leafdeadline": "string",
    "leafpriority": "integer",
    "leafflags": "string",
    "leafgeneration": "integer",
    "leafisolated": "boolean",
    "leafslots": "string",
}
"""The CloudEvents attributes of a task message beyond those of all messages, and JSON types."""

_SAID_ELSEWHERE = {
    "leafrun": "string",
    "leaftask": "string",
    "leafstage": "string",
    "leafpartition": "string",
    "leafattempt": "integer",
    "leafagain": "integer",
}
"""No longer sent: id, subject and correlation-id say the same."""


def schemas(registry: PayloadRegistry) -> dict[str, dict[str, Any]]:
    """Every contract's JSON Schema by name; payloads are named `payload.<kind>.v<major>`."""
    found = {name: model.model_json_schema() for name, model in _MODELS.items()}
    found["state"] = TypeAdapter(State).json_schema()
    found |= {payload_name(p): p.model_json_schema() for p in registry}
    return {name: {"$schema": DIALECT, **found[name]} for name in sorted(found)}


def payload_name(payload: type[Payload]) -> str:
    return f"payload.{payload.KIND}.v{payload.VERSION}"


def asyncapi(registry: PayloadRegistry, lanes: LaneTable) -> dict[str, Any]:
    """The bus in AsyncAPI 3.0: a channel a queue, a message a payload version."""
    messages: dict[str, Any] = {"run-request": _request_message()}
    channels: dict[str, Any] = {
        "intake": _channel("intake", "Requests for runs, from any language.", ["run-request"])
    }
    operations: dict[str, Any] = {
        "request-run": _operation("send", "intake", ["run-request"], "Ask for a run.")
    }
    for lane in lanes:
        names = []
        for payload in (p for p in registry if p.KIND in lane.kinds):
            name = payload_name(payload)
            messages[name] = _task_message(payload)
            names.append(name)
        channels[lane.queue] = _channel(lane.queue, f"Tasks of lane {lane.name}.", names)
        operations[f"work-{lane.name}"] = _operation(
            "receive", lane.queue, names, f"Carry out a task of lane {lane.name}."
        )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leaf Fleet on the bus",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over AMQP 1.0, binary content mode.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents(registry: PayloadRegistry, lanes: LaneTable) -> dict[str, str]:
    """Texts by file name, the same bytes for the same contracts."""
    texts = {f"{name}.json": _text(schema) for name, schema in schemas(registry).items()}
    return texts | {"asyncapi.json": _text(asyncapi(registry, lanes))}


def states_page() -> str:
    """The states and their moves in Markdown, drawn from the one table."""
    drawn = [f"    {old} --> {new}" for old in State for new in State if new in MOVES[old]]
    rows = [
        f"| `{state}` | {'closed' if state in FINAL else 'open'} | "
        f"{', '.join(f'`{new}`' for new in State if new in MOVES[state]) or 'nothing'} |"
        for state in State
    ]
    return "\n".join(
        [
            "# States of a task",
            "",
            "Made from `contracts/states.py` by `python -m fleet.schemas`. A closed task can be",
            "opened again only by an operator's redrive, and what succeeded never is.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> waiting",
            *drawn,
            "```",
            "",
            "| state | | may become |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _channel(queue: str, about: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "address": queue,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _operation(action: str, channel: str, names: Iterable[str], about: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": about,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _request_message() -> dict[str, Any]:
    return {
        "name": REQUEST_TYPE,
        "contentType": CONTENT_TYPE,
        "headers": _headers(REQUEST_TYPE),
        "payload": {"$ref": "./run-request.json"},
    }


def _task_message(payload: type[Payload]) -> dict[str, Any]:
    body = {
        "allOf": [
            {"$ref": "./task-body.json"},
            {
                "type": "object",
                "properties": {"payload": {"$ref": f"./{payload_name(payload)}.json"}},
            },
        ]
    }
    return {
        "name": f"leaf.task.{payload.KIND}.v{payload.VERSION}",
        "summary": (payload.__doc__ or "").strip().split("\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": _headers(
            f"leaf.task.{payload.KIND}.v{payload.VERSION}", _ATTRIBUTES, _SAID_ELSEWHERE
        ),
        "payload": body,
    }


def _headers(
    type_: str, extensions: Mapping[str, str] = {}, deprecated: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Application properties. `cloudEvents_` is read as well as `cloudEvents:`."""
    properties: dict[str, Any] = {
        "cloudEvents:specversion": {"const": "1.0"},
        "cloudEvents:type": {"const": type_},
        "cloudEvents:id": {"type": "string"},
        "cloudEvents:source": {"type": "string"},
        "cloudEvents:time": {"type": "string", "format": "date-time"},
        "traceparent": {"type": "string"},
    }
    properties |= {f"cloudEvents:{name}": {"type": kind} for name, kind in extensions.items()}
    properties |= {
        f"cloudEvents:{name}": {"type": kind, "deprecated": True}
        for name, kind in deprecated.items()
    }
    required = ["cloudEvents:id", "cloudEvents:source", "cloudEvents:specversion"]
    return {
        "type": "object",
        "properties": properties,
        "required": [*required, "cloudEvents:type"],
    }
