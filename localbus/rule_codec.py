"""Rules of a subscription as they travel in `$management` requests and answers.

Source: the rule managers of the .NET and JavaScript clients, which send maps and read described
lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localbus.amqp.types import Described, Symbol, Timestamp, Ulong
from localbus.broker.properties import InvalidProperties
from localbus.broker.rules import (
    CORRELATION_FIELDS,
    Action,
    ConstantFilter,
    CorrelationFilter,
    Filter,
    Rule,
    SqlFilter,
    wire_value,
)
from localbus.broker.sql import InvalidSql

_RULE, _NO_ACTION, _ACTION = 0x13700000004, 0x13700000005, 0x13700000006
_SQL, _TRUE, _FALSE, _CORRELATION = 0x1370000006, 0x1370000007, 0x1370000008, 0x1370000009


def read_rule(name: str, description: Mapping[Any, Any], now_ms: int) -> Rule:
    """The rule of an `add-rule` request. Raises InvalidProperties."""
    try:
        action = description.get("sql-rule-action")
        return Rule(
            name=name,
            filter=_read_filter(description),
            action=_read_action(action) if isinstance(action, dict) else None,
            created_ms=now_ms,
        )
    except InvalidSql as error:
        raise InvalidProperties(f"rule {name}: {error}") from error


def _read_filter(description: Mapping[Any, Any]) -> Filter:
    match description:
        case {"sql-filter": {"expression": str(expression), **rest}}:
            return SqlFilter(expression=expression, parameters=_map(rest, "parameters"))
        case {"correlation-filter": dict(asked)}:
            names = {name: asked.get(name.replace("_", "-")) for name in CORRELATION_FIELDS}
            system = {name: value for name, value in names.items() if isinstance(value, str)}
            return CorrelationFilter(**system, properties=_map(asked, "properties"))
        case {"true-filter": _}:
            return ConstantFilter(truth=True)
        case {"false-filter": _}:
            return ConstantFilter(truth=False)
        case _:
            raise InvalidProperties("a rule has a sql-filter or a correlation-filter")


def _read_action(action: dict[Any, Any]) -> Action | None:
    expression = action.get("expression")
    if not isinstance(expression, str) or not expression:
        return None
    return Action(expression=expression, parameters=_map(action, "parameters"))


def _map(values: Mapping[Any, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def render_rule(rule: Rule) -> Described:
    """A rule as `enumerate-rules` shows it."""
    action = rule.action
    shown = Described(Ulong(_NO_ACTION), [])
    if action is not None:
        shown = Described(Ulong(_ACTION), [action.expression, None])
    fields = [_render_filter(rule.filter), shown, rule.name, Timestamp(rule.created_ms)]
    return Described(Ulong(_RULE), fields)


def _render_filter(found: Filter) -> Described:
    match found:
        case SqlFilter(expression=expression):
            return Described(Ulong(_SQL), [expression, None])
        case ConstantFilter(truth=truth):
            return Described(Ulong(_TRUE if truth else _FALSE), [])
        case CorrelationFilter():
            properties = {Symbol(k): wire_value(v) for k, v in found.properties.items()}
            fields = [getattr(found, name) for name in CORRELATION_FIELDS]
            return Described(Ulong(_CORRELATION), [*fields, properties or None])
