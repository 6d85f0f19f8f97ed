"""The SQL of subscription rules: predicates over a message's properties, and SET and REMOVE.

Text is parsed once, into nodes that are evaluated for each message. A user property that is not
there is unknown, and logic has three values: true, false and unknown (None). Bounded in length,
depth and the time of an evaluation: no recursion follows the length of a text.
Source: Azure Service Bus documentation, subscription rule SQL filter syntax and SQL action syntax.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

MAX_LENGTH = 1024
MAX_STATEMENTS = 32
_MAX_DEPTH = 32
_MAX_TEXT = 64 << 10
_MIN, _MAX = -(1 << 63), (1 << 63) - 1

Value = None | bool | int | float | str | bytes | datetime | timedelta | UUID

SYSTEM_PROPERTIES = {
    "messageid": 0,
    "to": 2,
    "label": 3,
    "subject": 3,
    "replyto": 4,
    "correlationid": 5,
    "contenttype": 6,
    "sessionid": 10,
    "replytosessionid": 12,
}
"""What `sys.` can name, and the place of it in the properties section."""


class InvalidSql(ValueError):
    """The text is no filter or action. Says where."""


class EvaluationError(Exception):
    """The text makes no sense for this message: a sum of text and number, a division by zero."""


class Scope(Protocol):
    """The properties of one message."""

    def system(self, index: int) -> Value: ...

    def user(self, name: str) -> Value: ...

    def has_user(self, name: str) -> bool: ...


Node = Callable[[Scope], Value]


@dataclass(frozen=True, slots=True)
class Property:
    """A property by name: of the system when `index` is its place, else of the user."""

    name: str
    index: int | None = None

    def __call__(self, scope: Scope) -> Value:
        return scope.user(self.name) if self.index is None else scope.system(self.index)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of an action: SET when there is a value, else REMOVE."""

    target: Property
    value: Node | None


def parse_filter(text: str, parameters: Mapping[str, Value] | None = None) -> Node:
    """The predicate; called with a message's properties it gives true, false or None.

    Raises InvalidSql. The node raises EvaluationError.
    """
    parser = _Parser(text, parameters or {})
    node = parser.predicate()
    parser.expect_end()
    return lambda scope: _truth(node(scope))


def parse_action(text: str, parameters: Mapping[str, Value] | None = None) -> tuple[Statement, ...]:
    """The statements of an action, in order. Raises InvalidSql."""
    parser = _Parser(text, parameters or {})
    statements: list[Statement] = []
    while not parser.at_end():
        if len(statements) == MAX_STATEMENTS:
            raise InvalidSql(f"an action has at most {MAX_STATEMENTS} statements")
        statements.append(parser.statement())
    if not statements:
        raise InvalidSql("an action has at least one statement")
    return tuple(statements)


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>'(?:[^']|'')*')
    | (?P<delimited>\[(?:[^\]]|\]\])+\]|"(?:[^"]|"")+")
    | (?P<parameter>@[^\W\d]\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign><>|!=|<=|>=|[-=<>+*/%().,;])
    )""",
    re.VERBOSE,
)
_RESERVED = frozenset(
    {"AND", "OR", "NOT", "LIKE", "IN", "IS", "NULL", "EXISTS", "ESCAPE"}
    | {"TRUE", "FALSE", "SET", "REMOVE"}
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise InvalidSql(f"above {MAX_LENGTH} characters")
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidSql(f"cannot read from character {position + 1} on")
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    found.append(_Token("end", "the end", end))
    return found


class _Parser:
    def __init__(self, text: str, parameters: Mapping[str, Value]) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._parameters = {name.removeprefix("@").lower(): v for name, v in parameters.items()}

    # -- tokens ----------------------------------------------------------------------------

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def at_end(self) -> bool:
        return self._token.kind == "end"

    def expect_end(self) -> None:
        if not self.at_end():
            raise self._unexpected()

    def _unexpected(self) -> InvalidSql:
        return InvalidSql(f"{self._token.text} is unexpected at character {self._token.at + 1}")

    def _word(self, *words: str) -> bool:
        """Take a keyword, if it is the next."""
        if self._token.kind == "word" and self._token.text.upper() in words:
            self._next += 1
            return True
        return False

    def _sign(self, *signs: str) -> str:
        """Take one of the signs, if it is the next, and return it."""
        if self._token.kind == "sign" and self._token.text in signs:
            self._next += 1
            return self._tokens[self._next - 1].text
        return ""

    def _expect_sign(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._unexpected()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InvalidSql(f"nested above {_MAX_DEPTH} levels")

    # -- predicates ------------------------------------------------------------------------

    def predicate(self) -> Node:
        terms = [self._conjunction()]
        while self._word("OR"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else _any(terms)

    def _conjunction(self) -> Node:
        terms = [self._negation()]
        while self._word("AND"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else _all(terms)

    def _negation(self) -> Node:
        negative = False
        while self._word("NOT"):
            negative = not negative
        node = self._comparison()
        return _not(node) if negative else node

    def _comparison(self) -> Node:
        left = self._sum()
        if sign := self._sign("=", "<>", "!=", "<", "<=", ">", ">="):
            return _compare(sign, left, self._sum())
        if self._word("IS"):
            negative = self._word("NOT")
            if not self._word("NULL"):
                raise self._unexpected()
            return _not(_is_null(left)) if negative else _is_null(left)
        negative = self._word("NOT")
        if self._word("IN"):
            node = _in(left, self._list())
        elif self._word("LIKE"):
            pattern = self._sum()
            escape = self._sum() if self._word("ESCAPE") else None
            node = _like(left, pattern, escape)
        elif negative:
            raise self._unexpected()
        else:
            return left
        return _not(node) if negative else node

    def _list(self) -> list[Node]:
        self._expect_sign("(")
        items = [self._sum()]
        while self._sign(","):
            items.append(self._sum())
        self._expect_sign(")")
        return items

    # -- expressions -----------------------------------------------------------------------

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._signed, "*", "/", "%")

    def _chain(self, operand: Callable[[], Node], *signs: str) -> Node:
        first, rest = operand(), list[tuple[str, Node]]()
        while sign := self._sign(*signs):
            rest.append((sign, operand()))
        return _arithmetic(first, rest) if rest else first

    def _signed(self) -> Node:
        negative, signed = False, False
        while sign := self._sign("+", "-"):
            signed = True
            negative ^= sign == "-"
        node = self._primary()
        return _arithmetic(_constant(-1 if negative else 1), [("*", node)]) if signed else node

    def _primary(self) -> Node:
        token = self._token
        if self._sign("("):
            self._deeper()
            node = self.predicate()
            self._expect_sign(")")
            self._depth -= 1
            return node
        if (constant := self._constant()) is not None:
            return constant
        if self._word("EXISTS"):
            self._expect_sign("(")
            wanted = self._property()
            self._expect_sign(")")
            return _exists(wanted)
        if token.kind == "word" and self._tokens[self._next + 1].text == "(":
            return self._function(token.text.lower())
        return self._property()

    def _constant(self) -> Node | None:
        token = self._token
        value: Value
        match token.kind, token.text.upper():
            case "number", _:
                value = int(token.text) if token.text.isdecimal() else float(token.text)
            case "text", _:
                value = token.text[1:-1].replace("''", "'")
            case "parameter", _:
                name = token.text[1:].lower()
                if name not in self._parameters:
                    raise InvalidSql(f"the parameter {token.text} has no value")
                value = self._parameters[name]
            case "word", "TRUE" | "FALSE" as word:
                value = word == "TRUE"
            case _:
                return None
        if isinstance(value, int) and not _MIN <= value <= _MAX:
            raise InvalidSql(f"{token.text} is above 64 bit")
        self._next += 1
        return _constant(value)

    def _function(self, name: str) -> Node:
        if name not in {"newid", "property", "p"}:
            raise self._unexpected()
        self._next += 2
        node = _new_id if name == "newid" else _user_property(self._sum())
        self._expect_sign(")")
        return node

    def _property(self) -> Property:
        first = self._name()
        if not self._sign("."):
            return Property(first)
        scope, name = first.lower(), self._name()
        if scope == "user":
            return Property(name)
        if scope != "sys":
            raise InvalidSql(f"{first} is no scope: there are sys and user")
        index = SYSTEM_PROPERTIES.get(name.lower())
        if index is None:
            raise InvalidSql(f"no system property is called {name}")
        return Property(name, index)

    def _name(self) -> str:
        token = self._token
        if token.kind == "delimited":
            self._next += 1
            last = token.text[-1]
            return token.text[1:-1].replace(last * 2, last)
        if token.kind != "word" or token.text.upper() in _RESERVED:
            raise self._unexpected()
        self._next += 1
        return token.text

    # -- actions ---------------------------------------------------------------------------

    def statement(self) -> Statement:
        if self._word("SET"):
            target = self._property()
            self._expect_sign("=")
            statement = Statement(target, self._sum())
        elif self._word("REMOVE"):
            statement = Statement(self._property(), None)
        else:
            raise self._unexpected()
        self._sign(";")
        return statement


# -- nodes -----------------------------------------------------------------------------------


def _constant(value: Value) -> Node:
    return lambda scope: value


def _new_id(_scope: Scope) -> Value:
    return str(uuid4())


def _truth(value: Value) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise EvaluationError(f"{value!r} is neither true nor false")


def _all(terms: Sequence[Node]) -> Node:
    def evaluate(scope: Scope) -> Value:
        unknown = False
        for term in terms:
            truth = _truth(term(scope))
            if truth is False:
                return False
            unknown |= truth is None
        return None if unknown else True

    return evaluate


def _any(terms: Sequence[Node]) -> Node:
    def evaluate(scope: Scope) -> Value:
        unknown = False
        for term in terms:
            truth = _truth(term(scope))
            if truth is True:
                return True
            unknown |= truth is None
        return None if unknown else False

    return evaluate


def _not(node: Node) -> Node:
    def evaluate(scope: Scope) -> Value:
        truth = _truth(node(scope))
        return None if truth is None else not truth

    return evaluate


def _is_null(node: Node) -> Node:
    return lambda scope: node(scope) is None


def _exists(wanted: Property) -> Node:
    if wanted.index is None:
        return lambda scope: scope.has_user(wanted.name)
    return lambda scope: wanted(scope) is not None


def _user_property(name: Node) -> Node:
    def evaluate(scope: Scope) -> Value:
        value = name(scope)
        if not isinstance(value, str):
            raise EvaluationError("a property's name is text")
        return scope.user(value)

    return evaluate


def equal(one: Value, other: Value) -> bool:
    """Equality without surprises: numbers by value, truth with truth only, ids as text too."""
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    if isinstance(one, UUID) and isinstance(other, str):
        return str(one) == other.lower()
    if isinstance(one, str) and isinstance(other, UUID):
        return one.lower() == str(other)
    return one == other


_ORDERED: tuple[tuple[type, ...], ...] = ((int, float), (str,), (datetime,), (timedelta,), (bytes,))


def _compare(sign: str, left: Node, right: Node) -> Node:
    def evaluate(scope: Scope) -> Value:
        one, other = left(scope), right(scope)
        if one is None or other is None:
            return None
        if sign == "=":
            return equal(one, other)
        if sign in {"<>", "!="}:
            return not equal(one, other)
        order = _order(one, other)
        if order is None:  # a NaN
            return False
        return order < 0 if sign == "<" else order > 0 if sign == ">" else _or_equal(sign, order)

    return evaluate


def _or_equal(sign: str, order: int) -> bool:
    return order <= 0 if sign == "<=" else order >= 0


def _order(one: Value, other: Value) -> int | None:
    if not isinstance(one, bool) and not isinstance(other, bool):
        for kind in _ORDERED:
            if isinstance(one, kind) and isinstance(other, kind):
                try:
                    smaller, larger = one < other, one > other  # type: ignore[operator] # same kind
                except TypeError:  # times with and without a zone
                    break
                return -1 if smaller else 1 if larger else 0 if one == other else None
    raise EvaluationError(f"{one!r} and {other!r} have no order")


def _in(left: Node, items: Sequence[Node]) -> Node:
    def evaluate(scope: Scope) -> Value:
        value = left(scope)
        if value is None:
            return None
        unknown = False
        for item in items:
            other = item(scope)
            if other is None:
                unknown = True
            elif equal(value, other):
                return True
        return None if unknown else False

    return evaluate


def _like(left: Node, pattern: Node, escape: Node | None) -> Node:
    def evaluate(scope: Scope) -> Value:
        value, wanted = left(scope), pattern(scope)
        mark = escape(scope) if escape is not None else ""
        if value is None or wanted is None or mark is None:
            return None
        if not isinstance(value, str) or not isinstance(wanted, str):
            raise EvaluationError("LIKE compares text")
        if not isinstance(mark, str) or len(mark) > 1:
            raise EvaluationError("ESCAPE is followed by one character")
        if len(value) > _MAX_TEXT or len(wanted) > MAX_LENGTH:
            raise EvaluationError("the text is too long for LIKE")
        return _matches(value, _segments(wanted, mark))

    return evaluate


def _segments(pattern: str, escape: str) -> list[re.Pattern[str]]:
    """What must be found one after another, with anything between: the pattern, cut at each %."""
    segments, literal = [""], False
    for character in pattern:
        if literal:
            segments[-1] += re.escape(character)
            literal = False
        elif character == escape:
            literal = True
        elif character == "%":
            segments.append("")
        else:
            segments[-1] += "." if character == "_" else re.escape(character)
    if literal:
        raise EvaluationError("a LIKE pattern ends with its escape character")
    return [re.compile(segment, re.DOTALL) for segment in segments]


def _matches(text: str, segments: list[re.Pattern[str]]) -> bool:
    # Each segment has one length, so the first place it fits is the best: nothing is tried twice,
    # where one regular expression of the whole pattern could go back over a text again and again.
    if len(segments) == 1:
        return segments[0].fullmatch(text) is not None
    first = segments[0].match(text)
    if first is None:
        return False
    position = first.end()
    for segment in segments[1:-1]:
        found = segment.search(text, position)
        if found is None:
            return False
        position = found.end()
    last = segments[-1]
    if not last.pattern:
        return True
    length = len(text) - _length(last)
    return length >= position and last.match(text, length) is not None


def _length(segment: re.Pattern[str]) -> int:
    return len(re.sub(r"\\(.)", r"\1", segment.pattern, flags=re.DOTALL))


def _arithmetic(first: Node, rest: Sequence[tuple[str, Node]]) -> Node:
    def evaluate(scope: Scope) -> Value:
        value = first(scope)
        for sign, node in rest:
            value = _calculate(sign, value, node(scope))
        return value

    return evaluate


def _calculate(sign: str, one: Value, other: Value) -> Value:
    if one is None or other is None:
        return None
    if sign == "+" and isinstance(one, str) and isinstance(other, str):
        if len(one) + len(other) > _MAX_TEXT:
            raise EvaluationError("the text is too long")
        return one + other
    if not _is_number(one) or not _is_number(other):
        raise EvaluationError(f"{one!r} {sign} {other!r} cannot be calculated")
    assert isinstance(one, int | float)
    assert isinstance(other, int | float)
    try:
        result = _apply(sign, one, other)
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        raise EvaluationError(f"{one!r} {sign} {other!r}: {error}") from None
    if isinstance(result, int) and not _MIN <= result <= _MAX:
        raise EvaluationError(f"{one!r} {sign} {other!r} is above 64 bit")
    return result


def _apply(sign: str, one: int | float, other: int | float) -> int | float:
    match sign:
        case "+":
            return one + other
        case "-":
            return one - other
        case "*":
            return one * other
    if isinstance(one, float) or isinstance(other, float):
        return one / other if sign == "/" else math.fmod(one, other)
    quotient = abs(one) // abs(other)  # whole numbers are cut towards zero, as in .NET
    quotient = quotient if (one < 0) == (other < 0) else -quotient
    return quotient if sign == "/" else one - other * quotient


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
