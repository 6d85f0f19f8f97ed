"""Rules of a subscription: which messages it takes, and what they are changed to.

A rule has a filter (by correlation, SQL, all or none) and may have an action. `RuleMessage` is a
message as rules see it; an action changes it and says what the bare message is then.
Source: Azure Service Bus documentation, topic filters and actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from localbus.amqp import message as amqp_message
from localbus.amqp.types import Timestamp
from localbus.broker.durations import parse_duration
from localbus.broker.properties import InvalidProperties
from localbus.broker.sql import (
    SYSTEM_PROPERTIES,
    EvaluationError,
    InvalidSql,
    Node,
    Statement,
    Value,
    equal,
    parse_action,
    parse_filter,
)

DEFAULT_RULE = "$Default"
_SHARED_NAME = "RuleName"
_FIELDS = 13
_NAME_LENGTH = 50
_SESSION = SYSTEM_PROPERTIES["sessionid"]


class RuleMessage:
    """The properties of a message, read from its bare bytes. Raises DecodeError when they are
    none, which no message that was taken is."""

    def __init__(self, bare: bytes) -> None:
        self._bare = bare
        self._system: list[Any] = [None] * _FIELDS
        self._user: dict[Any, Any] = {}
        for section in amqp_message.sections(bare):
            if section.code == amqp_message.PROPERTIES:
                self._system = [*section.value, *self._system[len(section.value) :]]
            elif section.code == amqp_message.APPLICATION_PROPERTIES:
                self._user = dict(section.value)

    def system(self, index: int) -> Value:
        return _value(self._system[index])

    def user(self, name: str) -> Value:
        return _value(self._user.get(name))

    def has_user(self, name: str) -> bool:
        return name in self._user

    @property
    def session_id(self) -> str | None:
        session_id = self._system[_SESSION]
        return session_id if isinstance(session_id, str) and session_id else None

    def bare(self) -> bytes:
        """The bare message with the properties as they are now."""
        return amqp_message.with_properties(self._bare, self._system, self._user)

    def changed(self, rule: Rule) -> RuleMessage:
        """A copy after the rule's action, which names the rule. Raises EvaluationError."""
        copy = RuleMessage.__new__(RuleMessage)
        copy._bare, copy._system, copy._user = self._bare, list(self._system), dict(self._user)
        assert rule.action is not None
        for statement in rule.action.statements:
            copy._carry_out(statement)
        copy._user[_SHARED_NAME] = rule.name
        return copy

    def _carry_out(self, statement: Statement) -> None:
        target = statement.target
        if statement.value is None:
            if target.index is None:
                self._user.pop(target.name, None)
            else:
                self._system[target.index] = None
            return
        value = statement.value(self)
        if target.index is not None:
            if value is not None and not isinstance(value, str):
                raise EvaluationError(f"sys.{target.name} is text")
            self._system[target.index] = value
        else:
            self._user[target.name] = wire_value(value)


def _value(value: Any) -> Value:
    if isinstance(value, Timestamp):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return None  # a time that no calendar has: nothing can be said of it
    if value is None or isinstance(value, bool | int | float | str | bytes | UUID):
        return value
    return None  # a list or map: no expression can say anything of it


def wire_value(value: Value) -> Any:
    """A value as it travels in AMQP."""
    if isinstance(value, datetime):
        return Timestamp(int(_with_zone(value).timestamp() * 1000))
    if isinstance(value, timedelta):
        return int(value / timedelta(milliseconds=1))
    return value


def _with_zone(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationFilter:
    """Takes messages whose named properties have these values, all of them."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)

    def system(self) -> dict[str, str]:
        """What is asked of system properties, by this class's names."""
        values = {name: getattr(self, name) for name in CORRELATION_FIELDS}
        return {name: value for name, value in values.items() if value is not None}

    def matches(self, message: RuleMessage) -> bool | None:
        for name, value in self.system().items():
            if message.system(SYSTEM_PROPERTIES[name.replace("_", "")]) != value:
                return False
        return all(
            message.has_user(name) and equal(message.user(name), _comparable(value))
            for name, value in self.properties.items()
        )


CORRELATION_FIELDS = (
    *("correlation_id", "message_id", "to", "reply_to", "label"),
    *("session_id", "reply_to_session_id", "content_type"),
)


def _comparable(value: Value) -> Value:
    return _with_zone(value) if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFilter:
    """Takes messages for which the expression is true. Raises InvalidSql."""

    expression: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    _node: Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parameters = {name: _comparable(value) for name, value in self.parameters.items()}
        object.__setattr__(self, "_node", parse_filter(self.expression, parameters))

    def matches(self, message: RuleMessage) -> bool | None:
        return self._node(message) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantFilter:
    """Takes every message, or none."""

    truth: bool

    def matches(self, message: RuleMessage) -> bool | None:
        return self.truth


Filter = CorrelationFilter | SqlFilter | ConstantFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Changes to a message that was taken. Raises InvalidSql."""

    expression: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    statements: tuple[Statement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parameters = {name: _comparable(value) for name, value in self.parameters.items()}
        object.__setattr__(self, "statements", parse_action(self.expression, parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule by name. Raises InvalidProperties for a name that is empty or too long."""

    name: str
    filter: Filter
    action: Action | None = None
    created_ms: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= _NAME_LENGTH:
            raise InvalidProperties(f"a rule's name has 1 to {_NAME_LENGTH} characters")

    def as_dict(self) -> dict[str, Any]:
        """As it is stored; `from_dict` reads it."""
        action = self.action
        return {
            "filter": _filter_dict(self.filter),
            "action": None
            if action is None
            else {"expression": action.expression, "parameters": _written(action.parameters)},
        }

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any], created_ms: int) -> Rule:
        """Raises InvalidProperties."""
        try:
            found, action = _filter(values["filter"]), values.get("action")
            if action is not None:
                action = Action(
                    expression=action["expression"], parameters=_read(action.get("parameters"))
                )
        except (InvalidSql, KeyError, TypeError, ValueError) as error:
            raise InvalidProperties(f"rule {name}: {error}") from error
        return cls(name=name, filter=found, action=action, created_ms=created_ms)


def default_rule(now_ms: int) -> Rule:
    """The rule that a subscription is born with: every message."""
    return Rule(name=DEFAULT_RULE, filter=ConstantFilter(truth=True), created_ms=now_ms)


def _filter_dict(found: Filter) -> dict[str, Any]:
    match found:
        case ConstantFilter(truth=truth):
            return {"kind": "true" if truth else "false"}
        case SqlFilter():
            parameters = _written(found.parameters)
            return {"kind": "sql", "expression": found.expression, "parameters": parameters}
        case CorrelationFilter():
            return {
                "kind": "correlation",
                **found.system(),
                "properties": _written(found.properties),
            }


def _filter(values: Mapping[str, Any]) -> Filter:
    match values["kind"]:
        case "true" | "false" as kind:
            return ConstantFilter(truth=kind == "true")
        case "sql":
            parameters = _read(values.get("parameters"))
            return SqlFilter(expression=values["expression"], parameters=parameters)
        case "correlation":
            system = {name: values[name] for name in CORRELATION_FIELDS if name in values}
            return CorrelationFilter(**system, properties=_read(values.get("properties")))
        case kind:
            raise ValueError(f"no filter is called {kind!r}")


# -- values, as the XML of the admin API names their types -----------------------------------


def _written(values: Mapping[str, Value]) -> dict[str, list[str]]:
    return {name: list(write_value(value)) for name, value in values.items()}


def _read(values: Mapping[str, Any] | None) -> dict[str, Value]:
    return {name: read_value(*value) for name, value in (values or {}).items()}


def write_value(value: Value) -> tuple[str, str]:
    """The name of a value's type in XML schema, and its text."""
    match value:
        case bool():
            return "boolean", str(value).lower()
        case int():
            return "int" if -(1 << 31) <= value < 1 << 31 else "long", str(value)
        case float():
            return "double", repr(value)
        case datetime():
            return "dateTime", value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return "duration", f"PT{value / timedelta(seconds=1)}S"
        case _:
            return "string", str(value)


def read_value(kind: str, text: str) -> Value:
    """The value of a text of an XML schema type. Raises ValueError."""
    match kind:
        case "boolean":
            return text.strip().lower() in {"true", "1"}
        case "int" | "long" | "short" | "byte" | "unsignedInt" | "unsignedLong":
            return int(text)
        case "double" | "float" | "decimal":
            return float(text)
        case "dateTime":
            return datetime.fromisoformat(text)
        case "duration":
            return timedelta(milliseconds=parse_duration(text))
        case _:
            return text
