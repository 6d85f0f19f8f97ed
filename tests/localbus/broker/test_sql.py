"""The SQL of rules: what it says of a message, and what it refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localbus.broker.sql import EvaluationError, InvalidSql, Value, parse_action, parse_filter

USER: dict[str, Value] = {
    "colour": "red",
    "size": 7,
    "price": 2.5,
    "urgent": True,
    "odd name": "x",
    "note": "50% off_now",
    "empty": None,
}


class Message:
    """A message with a label and some properties."""

    def system(self, index: int) -> Value:
        return {3: "news", 10: "s1"}.get(index)

    def user(self, name: str) -> Value:
        return USER.get(name)

    def has_user(self, name: str) -> bool:
        return name in USER


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("colour = 'red'", True),
        ("colour = 'Red'", False),
        ("colour <> 'red' OR size = 7", True),
        ("user.colour = 'red' AND sys.Label = 'news'", True),
        ("sys.SessionId = 's1'", True),
        ("size + 1 * 2 = 9 AND (size + 1) * 2 = 16", True),
        ("-size = -7 AND - -size = 7", True),
        ("size / 2 = 3 AND -7 / 2 = -3 AND -7 % 2 = -1", True),
        ("price * 2 = 5 AND price >= 2.5 AND price < 1e1", True),
        ("size > 7", False),
        ("missing = 1", None),
        ("NOT missing = 1", None),
        ("missing = 1 OR urgent = TRUE", True),
        ("missing = 1 AND urgent = TRUE", None),
        ("missing = 1 AND urgent = FALSE", False),
        ("missing IS NULL AND empty IS NULL AND colour IS NOT NULL", True),
        ("EXISTS(empty) AND NOT EXISTS(missing) AND EXISTS(sys.Label)", True),
        ("colour IN ('blue', 'red')", True),
        ("colour NOT IN ('blue', 'red')", False),
        ("colour IN ('blue', missing)", None),
        ("missing IN (1)", None),
        ("colour LIKE 'r%'", True),
        ("colour LIKE '_e_'", True),
        ("colour LIKE '%e'", False),
        ("colour LIKE 'red%red'", False),
        ("colour NOT LIKE '%x%'", True),
        ("note LIKE '50!% %!_now' ESCAPE '!'", True),
        ("note LIKE '50!%' ESCAPE '!'", False),
        ("missing LIKE 'a'", None),
        ("[odd name] = 'x' AND \"odd name\" = 'x'", True),
        ("property('odd name') = 'x' AND p('colour') = 'red'", True),
        ("newid() <> newid()", True),
        ("colour = 'it''s'", False),
        ("urgent", True),
        ("urgent = 1", False),
        ("colour = 1", False),
        ("size = @n AND colour = @C", True),
        ("'a' + 'b' = 'ab'", True),
        ("1=1", True),
        ("1=0", False),
    ],
)
def test_a_filter_is_true_false_or_unknown(text: str, truth: bool | None) -> None:
    """Comparison, logic of three values, LIKE, IN, IS NULL, EXISTS and arithmetic."""
    assert parse_filter(text, {"@n": 7, "@c": "red"})(Message()) is truth


@pytest.mark.parametrize(
    "text",
    [
        "colour > 1",
        "colour + 1 = 2",
        "size / 0 = 1",
        "size LIKE '7'",
        "size AND urgent",
        "size",
        "colour LIKE 'a!' ESCAPE '!'",
        "urgent > urgent",
        "property(1) = 1",
    ],
)
def test_what_makes_no_sense_for_a_message_is_an_error(text: str) -> None:
    """Types that do not go together are an error of the evaluation, not false."""
    with pytest.raises(EvaluationError):
        parse_filter(text)(Message())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "colour =",
        "= 1",
        "colour = 'red",
        "(size = 7",
        "size = 7)",
        "size NOT 7",
        "a IN ()",
        "other.colour = 1",
        "sys.Colour = 1",
        "size = @unknown",
        "IS NULL",
        "a LIKE",
        "f(x) = 1",
        "x" * 1025,
        "(" * 40 + "1=1" + ")" * 40,
        "a = 1; b = 2",
        "a # b",
        "SET a = 1",
        "n = 9223372036854775808",
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    """A text that cannot be read is refused when it is given, not when a message comes."""
    with pytest.raises(InvalidSql):
        parse_filter(text)


def test_an_action_is_read_statement_by_statement() -> None:
    """SET and REMOVE, with or without semicolons, in the order they stand."""
    found = parse_action("SET colour = 'blue'; SET sys.Label = colour + '!' REMOVE size;")

    assert [(each.target.name, each.value is None) for each in found] == [
        ("colour", False),
        ("Label", False),
        ("size", True),
    ]
    assert found[1].value is not None
    assert found[1].value(Message()) == "red!"


@pytest.mark.parametrize(
    "text", ["", "SET a", "REMOVE", "a = 1", "SET a = 1 = 2", "SET a = 1;" * 33, "SET 'a' = 1"]
)
def test_what_is_no_action_is_refused(text: str) -> None:
    """As for filters."""
    with pytest.raises(InvalidSql):
        parse_action(text)


WORDS = st.sampled_from(
    [
        "colour",
        "size",
        "missing",
        "'a'",
        "'%'",
        "1",
        "2.5",
        "TRUE",
        "@n",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "LIKE",
        "IN",
        "IS",
        "NULL",
        "EXISTS",
        "ESCAPE",
        "=",
        "<",
        "+",
        "-",
        "/",
        ",",
        "sys.",
    ]
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=40) | st.lists(st.characters(), max_size=60))
def test_no_text_does_harm(words: list[Any]) -> None:
    """Whatever the text, it is refused, or gives true, false or unknown, or an error in words."""
    try:
        node = parse_filter(" ".join(words), {"n": 3})
        assert node(Message()) in {True, False, None}
    except (InvalidSql, EvaluationError) as error:
        shown = str(error)
    else:
        shown = "no error"
    assert shown


@pytest.mark.parametrize("part", ["(", "NOT ", "-", "a + ", "a AND ", "a IN (1) OR ", "a = "])
def test_long_texts_need_no_deep_stack(part: str) -> None:
    """A text as long as is allowed is read and evaluated without recursion along it."""
    text = part * ((1024 - 1) // len(part)) + "a"
    with contextlib.suppress(InvalidSql, EvaluationError):
        parse_filter(text)(Message())
