"""Messages that could not be taken, sent again: edited by an operator, or parked and now known.

Sent, noted, and only then dropped where they lay: a crash between any two sends one again, under
the same message id, and an idempotency key or the ledger's claim makes the second one harmless.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field, JsonValue

from contracts.envelope import MalformedEnvelope, WireMessage, decoded
from contracts.fact import Fact, JsonObject, StrictFact
from contracts.ids import run_id
from contracts.request import Requester
from dispatcher.faults import MessageGone
from dispatcher.intake_queue import read_request
from dispatcher.payload_edit import EditRefused, difference, edited
from dispatcher.secrets_given import refuse_secrets
from fleet.bus.bus import INTAKE_QUEUE, Bus
from fleet.bus.message import Outgoing
from fleet.clock import Clock
from fleet.ledger.errors import UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.messages import MessageTakenUp
from fleet.ledger.rows import AsideMessage
from fleet.ledger.take_up import ACTOR
from fleet.telemetry.redact import redacted_json

CHANCE_BYTES = 10
_AT_ONCE = 20
"""Parked messages taken up in one step."""


class ResendAsked(StrictFact):
    """Send a message again, edited. What is not set stays as it was."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)
    set: dict[str, JsonValue] = Field(default={}, max_length=100)
    """New values in the JSON body by path: `{"scope.tenant": "acme"}`."""
    unset: tuple[str, ...] = Field(default=(), max_length=100)
    """Paths to leave out of the body."""
    body: JsonObject | None = None
    """A whole new body, before `set` and `unset`: where the old one is no JSON object."""
    properties: dict[str, str | int | bool] = Field(default={}, max_length=100)
    """Application properties to set: `{"cloudEvents:specversion": "1.0"}`."""
    dry_run: bool = False


class ResendAnswer(Fact):
    """How the message differs from the one that was not taken."""

    queue: str
    sequence_number: int
    dry_run: bool
    became: str
    """Its new message id."""
    edit: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resender:
    """Sends messages again. All parts are shared and outlive it."""

    ledger: Ledger
    bus: Bus
    clock: Clock
    chance: Callable[[int], bytes]

    async def resend(self, queue: str, sequence_number: int, asked: ResendAsked) -> ResendAnswer:
        """Send one again, as edited.

        Raises SecretGiven, UnknownRow, MessageGone, BusUnavailable; EditRefused where the edited
        message could not be taken either. Then nothing was sent.
        """
        refuse_secrets(asked.model_dump(mode="json"))
        noted = await self.ledger.aside(queue, sequence_number)
        if noted is None:
            raise UnknownRow(f"no message {queue}/{sequence_number} stands as a dead letter")
        dead = noted.disposition == "dead"
        async with self.bus.set_aside(queue, sequence_number, dead=dead) as held:
            if held is None:
                raise MessageGone(queue, sequence_number)
            old = await self._whole(held.message)
            message = _edited(old, asked)
            if message == old and dead:
                raise EditRefused([("set", "nothing is changed: it would not be taken again")])
            _check(queue, message)
            answer = ResendAnswer(
                queue=queue,
                sequence_number=sequence_number,
                dry_run=asked.dry_run,
                became=_again(held.message, sequence_number),
                edit=tuple(_without_secrets(difference(_told(old), _told(message)))),
            )
            if not asked.dry_run:
                await self._send(noted, message, asked.requester, asked.reason, answer.edit)
                await held.drop()
        return answer

    async def take_up_parked(self) -> bool:
        """Send parked messages again whose kind a live worker knows; whether there may be more."""
        parked = await self.ledger.parked_messages(_AT_ONCE)
        for noted in parked:
            reason = f"a worker that knows {noted.kind}.v{noted.version} is there"
            place = (noted.queue, noted.sequence_number)
            async with self.bus.set_aside(*place, dead=False) as held:
                message = None if held is None else held.message
                await self._send(noted, message, ACTOR, reason, ())
                if held is not None:
                    await held.drop()
        return len(parked) == _AT_ONCE

    async def _whole(self, message: WireMessage) -> WireMessage:
        """With its body, if that lies in the store and can be had; it then goes in by itself."""
        try:
            whole = await self.bus.whole(message)
        except MalformedEnvelope:  # perhaps why it was not taken: then that is what is edited
            return message
        if whole.body == message.body:
            return message
        kept = {
            name: value
            for name, value in whole.properties.items()
            if not name.endswith((":dataref", "_dataref", "leafdatasize"))
        }
        return whole.model_copy(update={"properties": kept})

    async def _send(
        self,
        noted: AsideMessage,
        message: WireMessage | None,
        actor: str,
        reason: str,
        edit: tuple[JsonObject, ...],
    ) -> None:
        became = None
        if message is not None:
            became = _again(message, noted.sequence_number)
            again = message.model_copy(update={"message_id": became})
            await self.bus.publish(noted.queue, [Outgoing(message=again)])
        now = self.clock.now()
        await self.ledger.message_taken_up(
            MessageTakenUp(
                queue=noted.queue,
                sequence_number=noted.sequence_number,
                became=became,
                job=run_id(now, self.chance(CHANCE_BYTES)),
                actor=actor,
                reason=reason,
                edit=edit,
                now=now,
            )
        )


def _again(message: WireMessage, sequence_number: int) -> str:
    """Always the same for the same message, and another than its own: the bus drops duplicates."""
    return f"{message.message_id[:100]}:again:{sequence_number}"


def _edited(message: WireMessage, asked: ResendAsked) -> WireMessage:
    """Raises EditRefused."""
    body = message.body
    if asked.body is not None or asked.set or asked.unset:
        old = _json(body) if asked.body is None else asked.body
        if not isinstance(old, dict):
            raise EditRefused([("body", "the body is no JSON object: give a whole new one")])
        new = edited(old, asked.set, asked.unset)
        if new != _json(body):
            body = json.dumps(new, ensure_ascii=False).encode()
    properties = {**message.properties, **asked.properties}
    return message.model_copy(update={"body": body, "properties": properties})


def _check(queue: str, message: WireMessage) -> None:
    """Hold the message to what its queue takes. Raises EditRefused."""
    try:
        if queue == INTAKE_QUEUE:
            read_request(message)
        elif (lane := decoded(message).lane) != queue.removeprefix("lane-"):
            raise EditRefused([("cloudEvents:leaflane", f"{lane!r} is another lane than {queue}")])
    except MalformedEnvelope as cause:
        raise EditRefused([("message", f"it would not be taken: {cause}")]) from None


def _without_secrets(patch: list[JsonObject]) -> Iterator[JsonObject]:
    """What the message was may be why it was not taken, and is recorded nowhere else."""
    for change in patch:
        yield {name: redacted_json(value) for name, value in change.items()}


def _told(message: WireMessage) -> JsonObject:
    """What a difference compares."""
    return {"body": _json(message.body), "properties": dict(message.properties)}


def _json(body: bytes) -> Any:
    """The value of a JSON body; any other body as text, or as base64."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        try:
            return body.decode()
        except UnicodeDecodeError:
            return base64.b64encode(body).decode()
