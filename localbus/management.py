"""`$cbs` and `$management`: requests over a pair of links, answered one by one.

Requests come in decoded, answers go out encoded; links and sockets are the caller's. A request that
is malformed gets status 400, an unknown operation 501, what the broker refuses its own status.
Source: the operations of azure-servicebus 7.15 (mgmt_handlers), which the service answers alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from localbus import rule_codec
from localbus.amqp.codec import DecodeError
from localbus.amqp.message import Request, render_response
from localbus.amqp.types import Array, Int, Symbol, Timestamp
from localbus.broker.errors import BrokerError, MessageTooLarge, NotAllowed
from localbus.broker.message import read, render
from localbus.broker.namespace import Address
from localbus.broker.properties import InvalidProperties
from localbus.broker.sessions import SessionMailbox
from localbus.broker.topic import Subscription
from localbus.sas import TokenRefused

_NEVER_MS = 253_402_300_800_000
""".NET's DateTime.MaxValue as it travels: a listing of sessions that names no time."""

Answer = tuple[int, Any]
"""A status, and the value of the body."""


class Malformed(ValueError):
    """The request lacks a field or has one of the wrong type."""


def answer_cbs(request: Request, admit: Callable[[str, str], None]) -> bytes:
    """Take a token; `admit` gets it with the resource it is for, and raises TokenRefused."""
    facts = request.application_properties
    if facts.get("operation") != "put-token":
        return _cbs(request, 400, "only put-token is an operation of $cbs")
    token, audience = request.body, facts.get("name")
    if isinstance(token, bytes):
        token = token.decode(errors="replace")
    if not isinstance(token, str) or not isinstance(audience, str):
        return _cbs(request, 400, "a token is text, and so is the resource it is for")
    try:
        admit(token, audience)
    except TokenRefused as refused:
        return _cbs(request, 401, str(refused))
    return _cbs(request, 202, "Accepted")


def _cbs(request: Request, status: int, description: str) -> bytes:
    facts = {"status-code": Int(status), "status-description": description}
    return render_response(request.message_id, facts)


def answer(request: Request, address: Address, now_ms: int) -> bytes:
    """Do what is asked of an entity and encode the answer."""
    name = request.application_properties.get("operation")
    operation = _OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        return _failure(request, 501, "amqp:not-implemented", f"no operation is called {name!r}")
    body = request.body
    if not isinstance(body, dict):
        return _failure(request, 400, "com.microsoft:argument-error", "the body is not a map")
    try:
        status, value = operation(body, address, now_ms)
    except (Malformed, DecodeError, InvalidProperties) as error:
        return _failure(request, 400, "com.microsoft:argument-error", str(error))
    except BrokerError as error:
        return refusal(request, error)
    facts = {"statusCode": Int(status), "statusDescription": "OK" if status == 200 else "NoContent"}
    return render_response(request.message_id, facts, value)


def refusal(request: Request, refused: BrokerError) -> bytes:
    """The answer that says what was refused, and that nothing has changed."""
    return _failure(request, refused.status, refused.condition, str(refused))


def _failure(request: Request, status: int, condition: str, description: str) -> bytes:
    facts = {
        "statusCode": Int(status),
        "statusDescription": description,
        "errorCondition": Symbol(condition),
    }
    return render_response(request.message_id, facts)


def _renew_lock(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    tokens = _list(body, "lock-tokens", UUID)
    for token in tokens:
        address.mailbox.held(token, now_ms)  # all or none
    ends = [Timestamp(address.mailbox.renew(token, now_ms)) for token in tokens]
    return 200, {"expirations": Array(ends, constructor=0x83)}


def _update_disposition(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    queue, mailbox = address.queue, address.mailbox
    tokens = _list(body, "lock-tokens", UUID)
    session_id = _session_id(body)
    if session_id is not None and isinstance(mailbox, SessionMailbox):
        mailbox.session(session_id, now_ms)
    for token in tokens:
        mailbox.held(token, now_ms)  # all or none
    status = body.get("disposition-status")
    for token in tokens:
        match status:
            case "completed":
                queue.complete(mailbox, token, now_ms)
            case "abandoned":
                queue.abandon(mailbox, token, now_ms)
            case "defered":
                queue.defer(mailbox, token, now_ms)
            case "suspended":
                facts = dead_letter_facts(
                    body.get("deadletter-reason"), body.get("deadletter-description")
                )
                queue.dead_letter(mailbox, token, now_ms, facts)
            case _:
                raise Malformed(f"disposition-status {status!r}")
    return 200, None


def dead_letter_facts(reason: Any, description: Any) -> dict[str, Any]:
    """The application properties a dead-lettered message gets; what is not text is left out."""
    facts = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
    return {name: value for name, value in facts.items() if isinstance(value, str)}


def _peek(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    start, count = _integer(body, "from-sequence-number"), _integer(body, "message-count")
    found = address.entity.peek(address.mailbox, start, count, _session_id(body))
    messages = [{"message": render(each, locked_until_ms=None, token=None)} for each in found]
    return (200, {"messages": messages}) if messages else (204, None)


def _receive_by_sequence_number(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    numbers = _longs(body, "sequence-numbers")
    locked = _integer(body, "receiver-settle-mode") == 1
    taken = address.queue.receive_deferred(
        address.mailbox, numbers, now_ms, locked=locked, session_id=_session_id(body)
    )
    messages: list[dict[str, Any]] = []
    for message, lock in taken:
        if lock is None:
            messages.append({"message": render(message, locked_until_ms=None, token=None)})
        else:
            payload = render(message, locked_until_ms=lock.until_ms, token=lock.token)
            messages.append({"message": payload, "lock-token": lock.token})
            message.content = None
    return 200, {"messages": messages}


def _schedule(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    payloads = [_field(entry, "message", bytes) for entry in _list(body, "messages", dict)]
    contents = [read(payload) for payload in payloads]
    numbers = [address.entity.send(content, now_ms) for content in contents]
    return 200, {"sequence-numbers": Array(numbers, constructor=0x81)}


def _cancel(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    for number in _longs(body, "sequence-numbers"):
        address.entity.cancel(int(number))
    return 200, None


def _renew_session(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    until_ms = _sessions(address).renew_session(_field(body, "session-id", str), now_ms)
    return 200, {"expiration": Timestamp(until_ms)}


def _get_state(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    state = _sessions(address).state(_field(body, "session-id", str), now_ms)
    return 200, {"session-state": state}


def _set_state(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    state = body.get("session-state")
    if state is not None and not isinstance(state, bytes):
        raise Malformed("session-state is not binary")
    limit = address.entity.properties.max_message_bytes
    if state is not None and len(state) > limit:
        raise MessageTooLarge(len(state), limit)
    _sessions(address).set_state(_field(body, "session-id", str), state, now_ms)
    return 200, None


def _list_sessions(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    after, skip = _integer(body, "last-updated-time"), max(_integer(body, "skip"), 0)
    found = _sessions(address).sessions(
        None if after >= _NEVER_MS else after, skip=skip, top=_integer(body, "top")
    )
    if not found:
        return 204, None
    return 200, {"skip": Int(skip + len(found)), "sessions-ids": Array(found, constructor=0xA1)}


def _sessions(address: Address) -> SessionMailbox:
    if not isinstance(address.mailbox, SessionMailbox):
        raise NotAllowed(f"The messaging entity '{address.entity.name}' has no sessions.")
    return address.mailbox


def _add_rule(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    description = _field(body, "rule-description", dict)
    rule = rule_codec.read_rule(_field(body, "rule-name", str), description, now_ms)
    _subscription(address).add_rule(rule)
    return 200, None


def _remove_rule(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    _subscription(address).remove_rule(_field(body, "rule-name", str))
    return 200, None


def _list_rules(body: dict[Any, Any], address: Address, now_ms: int) -> Answer:
    skip, top = max(_integer(body, "skip"), 0), max(_integer(body, "top"), 0)
    found = _subscription(address).list_rules()[skip : skip + top]
    if not found:
        return 204, None
    return 200, {"rules": [{"rule-description": rule_codec.render_rule(rule)} for rule in found]}


def _subscription(address: Address) -> Subscription:
    if not isinstance(address.entity, Subscription):
        raise NotAllowed(f"The messaging entity '{address.entity.name}' has no rules.")
    return address.entity


_OPERATIONS: dict[str, Callable[[dict[Any, Any], Address, int], Answer]] = {
    "com.microsoft:renew-lock": _renew_lock,
    "com.microsoft:update-disposition": _update_disposition,
    "com.microsoft:peek-message": _peek,
    "com.microsoft:receive-by-sequence-number": _receive_by_sequence_number,
    "com.microsoft:schedule-message": _schedule,
    "com.microsoft:cancel-scheduled-message": _cancel,
    "com.microsoft:renew-session-lock": _renew_session,
    "com.microsoft:get-session-state": _get_state,
    "com.microsoft:set-session-state": _set_state,
    "com.microsoft:get-message-sessions": _list_sessions,
    "com.microsoft:add-rule": _add_rule,
    "com.microsoft:remove-rule": _remove_rule,
    "com.microsoft:enumerate-rules": _list_rules,
}


def _field(body: dict[Any, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(f"{name} is not a {kind.__name__}")
    return value


def _session_id(body: dict[Any, Any]) -> str | None:
    value = body.get("session-id")
    return value if isinstance(value, str) else None


def _integer(body: dict[Any, Any], name: str) -> int:
    return _long(_field(body, name, int), name)


def _long(number: int, name: str) -> int:
    """A number as the store can hold it: an unsigned one may be larger."""
    if not -(2**63) <= number < 2**63:
        raise Malformed(f"{name} is out of range")
    return int(number)


def _longs(body: dict[Any, Any], name: str) -> list[int]:
    return [_long(number, name) for number in _list(body, name, int)]


def _list(body: dict[Any, Any], name: str, kind: type) -> list[Any]:
    values = _field(body, name, list)
    if not all(isinstance(value, kind) for value in values):
        raise Malformed(f"{name} has an element that is not a {kind.__name__}")
    return list(values)
