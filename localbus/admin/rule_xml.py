"""Rules of subscriptions as the XML of the management API.

Source: the models of azure-servicebus 7.15 (management/_generated), which follow the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from xml.etree.ElementTree import Element

from localbus.broker.properties import InvalidProperties
from localbus.broker.rules import (
    CORRELATION_FIELDS,
    Action,
    ConstantFilter,
    CorrelationFilter,
    Filter,
    Rule,
    SqlFilter,
    read_value,
    write_value,
)
from localbus.broker.sql import InvalidSql, Value

SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_ELEMENTS = {name: name.title().replace("_", "") for name in CORRELATION_FIELDS}


def read_rule(description: Element, name: str, now_ms: int) -> Rule:
    """The rule of a RuleDescription or DefaultRuleDescription. Raises InvalidProperties."""
    try:
        return Rule(
            name=name,
            filter=_read_filter(description.find(_tag("Filter"))),
            action=_read_action(description.find(_tag("Action"))),
            created_ms=now_ms,
        )
    except (InvalidSql, ValueError) as error:
        raise InvalidProperties(f"rule {name}: {error}") from error


def _read_filter(element: Element | None) -> Filter:
    if element is None:
        return ConstantFilter(truth=True)
    match _type(element):
        case "TrueFilter":
            return ConstantFilter(truth=True)
        case "FalseFilter":
            return ConstantFilter(truth=False)
        case "SqlFilter":
            expression = element.findtext(_tag("SqlExpression")) or ""
            return SqlFilter(expression=expression, parameters=_read_pairs(element, "Parameters"))
        case "CorrelationFilter":
            found = {name: element.findtext(_tag(tag)) for name, tag in _ELEMENTS.items()}
            system = {name: text for name, text in found.items() if text is not None}
            return CorrelationFilter(**system, properties=_read_pairs(element, "Properties"))
        case kind:
            raise InvalidProperties(f"no filter is called {kind}")


def _read_action(element: Element | None) -> Action | None:
    if element is None or _type(element) == "EmptyRuleAction":
        return None
    expression = element.findtext(_tag("SqlExpression")) or ""
    return Action(expression=expression, parameters=_read_pairs(element, "Parameters"))


def _read_pairs(element: Element, name: str) -> dict[str, Value]:
    pairs: dict[str, Value] = {}
    for pair in element.iterfind(f"{_tag(name)}/{_tag('KeyValueOfstringanyType')}"):
        value = pair.find(_tag("Value"))
        if value is not None:
            pairs[pair.findtext(_tag("Key")) or ""] = read_value(_type(value), value.text or "")
    return pairs


def _type(element: Element) -> str:
    return element.get(f"{{{INSTANCE}}}type", "").rpartition(":")[2]


def _tag(name: str) -> str:
    return f"{{{SERVICE_BUS}}}{name}"


def render_rule(rule: Rule, created: str) -> str:
    """The RuleDescription."""
    action = '<Action i:type="EmptyRuleAction"/>'
    if rule.action is not None:
        body = _sql(rule.action.expression, rule.action.parameters)
        action = f'<Action i:type="SqlRuleAction">{body}</Action>'
    return (
        f'<RuleDescription xmlns="{SERVICE_BUS}" xmlns:i="{INSTANCE}">{_filter(rule.filter)}'
        f"{action}<CreatedAt>{created}</CreatedAt><Name>{escape(rule.name)}</Name>"
        "</RuleDescription>"
    )


def _filter(found: Filter) -> str:
    match found:
        case ConstantFilter(truth=truth):
            kind, body = (
                ("TrueFilter", _sql("1=1", {})) if truth else ("FalseFilter", _sql("1=0", {}))
            )
        case SqlFilter():
            kind, body = "SqlFilter", _sql(found.expression, found.parameters)
        case CorrelationFilter():
            system = found.system().items()
            tags = "".join(f"<{_ELEMENTS[k]}>{escape(v)}</{_ELEMENTS[k]}>" for k, v in system)
            kind, body = "CorrelationFilter", tags + _pairs("Properties", found.properties)
    return f'<Filter i:type="{kind}">{body}</Filter>'


def _sql(expression: str, parameters: Mapping[str, Value]) -> str:
    return (
        f"<SqlExpression>{escape(expression)}</SqlExpression>"
        f"<CompatibilityLevel>20</CompatibilityLevel>{_pairs('Parameters', parameters)}"
    )


def _pairs(name: str, values: Mapping[str, Value]) -> str:
    pairs = ""
    for key, value in values.items():
        kind, text = write_value(value)
        pairs += (
            f"<KeyValueOfstringanyType><Key>{escape(key)}</Key>"
            f'<Value xmlns:d6p1="{_SCHEMA}" i:type="d6p1:{kind}">{escape(text)}</Value>'
            "</KeyValueOfstringanyType>"
        )
    return f"<{name}>{pairs}</{name}>" if pairs else ""
