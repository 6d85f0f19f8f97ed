"""The intake queue: requests as CloudEvents, sent by any system in any language.

CloudEvents 1.0 in AMQP binary mode: type `leaf.run.request.v1`, the body a RunRequest as JSON. The
event's id is the idempotency key unless the body names one, so a request delivered twice starts one
run. What can never be accepted is noted in the ledger with the reason, and dead-lettered (dropped,
if it holds a secret); what cannot be accepted now comes back. Settled last: a crash brings the
message again, harmlessly.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import SpanKind, Tracer
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from contracts.envelope import MalformedEnvelope, WireMessage, attributes_of
from contracts.request import REQUEST_TYPE, RunAccepted, RunRequest
from dispatcher.faults import KeyConflict, PipelineRefused, PipelineUnknown, RequestRefused
from dispatcher.intake import Intake
from dispatcher.problems import field_name
from dispatcher.secrets_given import SecretGiven
from dispatcher.traces import intake_span, note_run
from fleet.bus.bus import INTAKE_QUEUE, Bus
from fleet.bus.errors import SettleFailed
from fleet.bus.receiver import Delivery, Room
from fleet.bus.refusal import refuse, told_of
from fleet.clock import Clock
from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import DeadLetter
from fleet.telemetry import names
from fleet.telemetry.context import traceparent_of
from fleet.telemetry.redact import redacted

PLACES = 16
"""Requests worked on at the same time."""
LONGEST_PAUSE = 30.0
"""Seconds; well under the time that the bus locks a delivery."""

_PERMANENT = (PipelineUnknown, PipelineRefused, RequestRefused, KeyConflict, SecretGiven)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeQueue:
    """Takes requests from the queue until told to stop."""

    intake: Intake
    bus: Bus
    ledger: Ledger
    clock: Clock
    tracer: Tracer
    first_pause: float = 0.5
    """Seconds before a request that could not be taken is handed back; doubled each time."""
    _room: Room = field(default_factory=lambda: Room(PLACES))

    async def run(self, stop: asyncio.Event) -> None:
        """Take requests until `stop`; those at hand are finished and settled first."""
        async with asyncio.TaskGroup() as group:
            async for delivery in self.bus.deliveries(INTAKE_QUEUE, self._room, stop):
                group.create_task(self._take(delivery, stop))

    async def _take(self, delivery: Delivery, stop: asyncio.Event) -> None:
        try:
            await self._carry(delivery, stop)
        except SettleFailed as cause:
            _log.info("%s; it comes again and finds its run", cause)
        finally:
            self._room.give_back()

    async def _carry(self, delivery: Delivery, stop: asyncio.Event) -> None:
        """One delivery, from parsing to settlement."""
        try:
            message = await self.bus.whole(delivery.message)
            await self._accepted(read_request(message), message)
        except MalformedEnvelope as cause:
            await self._refuse(delivery, "malformed", str(cause))
        except _PERMANENT as cause:
            await self._refuse(delivery, "refused", str(cause))
        except (FleetError, SQLAlchemyError, OSError) as cause:
            _log.warning("request %s not taken now: %s", delivery.message.message_id[:80], cause)
            # Handed back at once, it would use up the broker's count of deliveries in a moment,
            # and a short outage would dead-letter requests that are right.
            pause = min(self.first_pause * 2 ** min(delivery.count - 1, 20), LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            await delivery.abandon()
        else:
            await delivery.complete()

    async def _accepted(self, request: RunRequest, message: WireMessage) -> RunAccepted:
        told = message.properties.get("traceparent") or message.properties.get("Diagnostic-Id")
        with intake_span(
            self.tracer,
            names.span_name("process", INTAKE_QUEUE),
            SpanKind.CONSUMER,
            str(told) if told else None,
            names.messaging("process", INTAKE_QUEUE) | {names.MESSAGE_ID: message.message_id},
        ) as span:
            accepted = await self.intake.accept(request, traceparent_of(span))
            note_run(span, accepted)
            return accepted

    async def _refuse(self, delivery: Delivery, reason: str, description: str) -> None:
        _log.warning("request %s %s: %s", delivery.message.message_id[:80], reason, description)
        await self.ledger.dead_letter(
            DeadLetter(
                queue=INTAKE_QUEUE,
                message_id=delivery.message.message_id[:128],
                sequence_number=delivery.sequence_number,
                disposition="dead",
                reason=reason,
                description=told_of(delivery.message, description),
                size=len(delivery.message.body),
                at=self.clock.now(),
            )
        )
        await refuse(delivery, reason, description)


def read_request(message: WireMessage) -> RunRequest:
    """The request that a message holds, keyed. Raises MalformedEnvelope with a plain reason."""
    attributes = attributes_of(message.properties)
    if attributes.get("specversion") != "1.0":
        raise MalformedEnvelope(
            "not a CloudEvents 1.0 message: cloudEvents:specversion is missing or unknown"
        )
    if attributes.get("type") != REQUEST_TYPE:
        told = redacted(str(attributes.get("type", "")))[:80]
        raise MalformedEnvelope(f"cloudEvents:type is {told!r}, not {REQUEST_TYPE}")
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        raise MalformedEnvelope("the body is not JSON") from None
    if not isinstance(body, dict):
        raise MalformedEnvelope("the body is not a JSON object")
    try:
        return RunRequest.model_validate(_keyed(body, attributes))
    except ValidationError as cause:
        raise MalformedEnvelope(plain_faults(cause)) from None


def plain_faults(cause: ValidationError) -> str:
    """Where and why, without the values: a hostile value does not reach a log."""
    faults = cause.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{field_name(fault['loc']) or 'the request'}: {fault['msg']}" for fault in faults[:5]
    )


def _keyed(body: dict[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("key") is not None:
        return body
    if not attributes.get("id"):
        raise MalformedEnvelope("cloudEvents:id is missing, and the body names no key")
    return {**body, "key": attributes["id"]}
