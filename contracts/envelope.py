"""The envelope of a task: CloudEvents 1.0 in AMQP binary mode.

The body is the JSON of the typed payload with the pointers it works on; everything a router or an
operator wants to see without opening the body is a CloudEvents attribute in the application
properties. Source: CloudEvents AMQP Protocol Binding 1.0.2, section 3.1.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from contracts.artifact import ArtifactPointer, Audience, Scope
from contracts.fact import Fact, JsonObject
from contracts.ids import message_id
from contracts.limit import Slot

CONTENT_TYPE = "application/json"
SOURCE = "/leaf-fleet/dispatcher"
_ID = re.compile(r"^(.+):([1-9][0-9]{0,8})(?:\.([0-9]{1,18}))?$")
"""A task, its attempt, and which message of that attempt; see `Envelope.message_id`."""
_TYPE = re.compile(r"^leaf\.task\.([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\.v([1-9][0-9]{0,3})$")
_PREFIXES = ("cloudEvents:", "cloudEvents_")
_PREFIX_LENGTH = len(_PREFIXES[0])
_USUAL_PRIORITY = 5
_SLOTS = TypeAdapter(tuple[Slot, ...])


class MalformedEnvelope(ValueError):
    """Not an envelope of ours: dead-lettered with this reason, and recorded."""


_EMPTY: Any = Field(default_factory=dict, json_schema_extra={"default": {}})
"""As `= {}`, which pydantic would copy with care for every message."""


class TaskBody(Fact):
    """The body of a task message."""

    payload: JsonObject
    inputs: dict[str, tuple[ArtifactPointer, ...]] = _EMPTY
    """By stage name; within a stage ordered by partition, then name."""
    files: dict[str, ArtifactPointer] = _EMPTY
    """The pipeline's files, by relative path."""
    gathers: tuple[str, ...] = ()
    """Stages whose outputs are inputs too, and too many to be named here: the worker reads them
    from the ledger, which still has them as they were when this was promised."""


class Envelope(Fact):
    """One attempt at one task, as it travels."""

    run: str
    task: str
    stage: str
    partition: str = ""
    kind: str
    version: int = Field(ge=1)
    lane: str
    attempt: int = Field(ge=1)
    pipeline: str
    scope: Scope
    requester: str
    created: AwareDatetime
    """When this attempt was promised."""
    deadline: AwareDatetime
    priority: int = Field(default=_USUAL_PRIORITY, ge=0, le=9)
    flags: tuple[str, ...] = ()
    generation: int = 0
    """Of the policy bundle that admitted the run."""
    isolated: bool = False
    """The task asks for a pod of its own, where there are pods."""
    traceparent: str | None = None
    slots: tuple[Slot, ...] = ()
    """What the task needs to run, by its pipeline's limits; `{partition}` not yet filled in."""
    again: int | None = None
    """Of an attempt whose first message was completed unrun: tells this message from that one."""
    body: TaskBody

    @property
    def type(self) -> str:
        return f"leaf.task.{self.kind}.v{self.version}"

    @property
    def message_id(self) -> str:
        named = message_id(self.task, self.attempt)
        return named if self.again is None else f"{named}.{self.again}"


class WireMessage(Fact):
    """A message as the bus adapter sends and receives it."""

    message_id: str
    correlation_id: str | None = None
    subject: str | None = None
    content_type: str | None = CONTENT_TYPE
    properties: dict[str, str | int | bool] = {}
    """Application properties."""
    body: bytes


def encoded(envelope: Envelope) -> WireMessage:
    """The message of an envelope. Decoding it gives an equal envelope.

    Nothing is said twice, and what is as usual is left out: an attribute costs its sender 5 us (the
    SDK encodes a message of a batch twice) and its receiver 1 us.
    """
    attributes: dict[str, str | int | bool] = {
        "specversion": "1.0",
        "id": envelope.message_id,
        "source": SOURCE,
        "type": envelope.type,
        "subject": envelope.stage + (f"/{envelope.partition}" if envelope.partition else ""),
        "time": envelope.created.isoformat(),
        "leaflane": envelope.lane,
        "leafpipeline": envelope.pipeline,
        "leaftenant": envelope.scope.tenant,
        "leafrequester": envelope.requester,
        "leafdeadline": envelope.deadline.isoformat(),
        "leafgeneration": envelope.generation,
    }
    if envelope.scope.audience is not Audience.INTERNAL:
        attributes["leafaudience"] = envelope.scope.audience.value
    if envelope.priority != _USUAL_PRIORITY:
        attributes["leafpriority"] = envelope.priority
    if envelope.flags:
        attributes["leafflags"] = ",".join(envelope.flags)
    if envelope.isolated:
        attributes["leafisolated"] = True
    if envelope.slots:
        attributes["leafslots"] = _SLOTS.dump_json(envelope.slots, exclude_defaults=True).decode()
    properties = {f"{_PREFIXES[0]}{name}": value for name, value in attributes.items()}
    if envelope.traceparent:
        # Diagnostic-Id is what the Azure SDKs of other languages read.
        properties |= {"traceparent": envelope.traceparent, "Diagnostic-Id": envelope.traceparent}
    return WireMessage(
        message_id=envelope.message_id,
        correlation_id=envelope.run,
        subject=envelope.kind,
        properties=properties,
        body=envelope.body.model_dump_json(exclude_defaults=True).encode(),
    )


def attributes_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """CloudEvents attributes by bare name, from either prefix that the binding allows."""
    return {
        name[_PREFIX_LENGTH:]: value
        for name, value in properties.items()
        if name[:_PREFIX_LENGTH] in _PREFIXES
    }


def type_of(attributes: Mapping[str, Any]) -> tuple[str, int]:
    """Kind and major version. Raises MalformedEnvelope."""
    named = str(attributes.get("type", ""))
    if (match := _TYPE.match(named)) is None:
        raise MalformedEnvelope(
            f"cloudEvents:type is {named[:80]!r}, not leaf.task.<kind>.v<major>"
        )
    return match[1], int(match[2])


def attempt_of(attributes: Mapping[str, Any]) -> tuple[str, int, int | None]:
    """Task, attempt, and `again`, by the id. Raises MalformedEnvelope."""
    if (match := _ID.match(str(attributes.get("id", "")))) is None:
        raise MalformedEnvelope("cloudEvents:id is missing, or not <task>:<attempt>")
    return match[1], int(match[2]), None if match[3] is None else int(match[3])


def decoded(message: WireMessage) -> Envelope:
    """The envelope of a message. Raises MalformedEnvelope with a plain reason."""
    attributes = attributes_of(message.properties)
    if attributes.get("specversion") != "1.0":
        raise MalformedEnvelope(
            "not a CloudEvents 1.0 message: cloudEvents:specversion is missing or unknown"
        )
    kind, version = type_of(attributes)
    task, attempt, again = attempt_of(attributes)
    flags = str(attributes.get("leafflags", ""))
    try:
        stage, _, partition = str(attributes["subject"]).partition("/")
        return Envelope(
            run=_run_of(message, attributes),
            task=task,
            stage=stage,
            partition=partition,
            kind=kind,
            version=version,
            lane=attributes["leaflane"],
            attempt=attempt,
            pipeline=attributes["leafpipeline"],
            scope=_scope(attributes),
            requester=attributes["leafrequester"],
            created=attributes["time"],
            deadline=attributes["leafdeadline"],
            priority=attributes.get("leafpriority", _USUAL_PRIORITY),
            flags=tuple(flags.split(",")) if flags else (),
            generation=attributes.get("leafgeneration", 0),
            isolated=attributes.get("leafisolated", False),
            slots=_slots(attributes.get("leafslots")),
            again=again,
            traceparent=message.properties.get("traceparent")
            or message.properties.get("Diagnostic-Id"),
            body=TaskBody.model_validate_json(message.body),
        )
    except KeyError as missing:
        raise MalformedEnvelope(f"the attribute cloudEvents:{missing.args[0]} is missing") from None
    except ValidationError as faults:
        raise MalformedEnvelope(_plain(faults)) from None


def _run_of(message: WireMessage, attributes: Mapping[str, Any]) -> Any:
    """Kept messages of before name it in an attribute. Raises MalformedEnvelope."""
    run = message.correlation_id or attributes.get("leafrun")
    if not run:
        raise MalformedEnvelope("the run is missing: there is no correlation-id")
    return run


def _scope(attributes: Mapping[str, Any]) -> Scope:
    audience = attributes.get("leafaudience", Audience.INTERNAL)
    return Scope(tenant=attributes["leaftenant"], audience=audience)


def _slots(told: Any) -> tuple[Slot, ...]:
    return () if told is None else _SLOTS.validate_json(str(told))


def _plain(faults: ValidationError) -> str:
    """Where and why, without the values: a hostile value does not reach a log."""
    found = faults.errors(include_url=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in found):
        return "the body is not JSON"
    parts = [
        f"{'.'.join(str(step) for step in fault['loc']) or 'message'}: {fault['msg']}"
        for fault in found
    ]
    return "; ".join(parts[:5])
