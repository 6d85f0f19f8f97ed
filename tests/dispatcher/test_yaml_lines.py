"""YAML with lines: what is read, where it stands, and what is refused."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from dispatcher.yaml_lines import MAX_CHARACTERS, MAX_VALUES, YamlRefused, read_yaml

_TEXT = """\
name: x
flow: {source: ${source}, text: "a ${b} c", code: 007, month: 2024-01}
items:
  - {a: 1}
  - [yes, true, null, 2.5, 12:30]
long: |
  select ${x}
last: -3
"""


def test_values_are_read_as_people_mean_them() -> None:
    """Codes keep their zeros, `yes` and times are text, references stand anywhere."""
    assert read_yaml(_TEXT).plain() == {
        "name": "x",
        "flow": {"source": "${source}", "text": "a ${b} c", "code": "007", "month": "2024-01"},
        "items": [{"a": 1}, ["yes", True, None, 2.5, "12:30"]],
        "long": "select ${x}\n",
        "last": -3,
    }


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("flow", "code"), 2),
        (("items",), 3),
        (("items", 1), 5),
        (("items", 1, 3), 5),
        (("long",), 6),
        (("last",), 8),
        (("items", 7, "gone"), 3),
        (("gone",), 1),
    ],
)
def test_every_value_knows_its_line(place: tuple[str | int, ...], line: int) -> None:
    """A place that is not there has the line of what would hold it."""
    assert read_yaml(_TEXT).at(*place).line == line


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "empty"),
        ("# nothing\n", 1, "empty"),
        ("a: [1", 1, "not YAML"),
        ("a: 1\nb: c: d", 2, "not YAML"),
        ("a: 1\n b: 2", 2, "not YAML"),
        ("a: 1\na: 2", 2, "'a' is written twice"),
        ("a: &x 1\nb: *x", 1, "anchors and aliases"),
        ("a:\n  b: *x", 2, "anchors and aliases"),
        ("a: !!python/object/apply:os.system [x]", 1, "tags"),
        ("a: !secret x", 1, "tags"),
        ("a: 1\n---\nb: 2", 3, "more than one document"),
        ("? [a, b]\n: 1", 1, "a key must be text"),
        ("a: \x00", 1, "a character"),
        ("a: \ue000", 1, "private use"),
        ('a: 1\nb: "\\uD800"', 2, "half a character"),
        ("- " * 100 + "x", 1, "nested deeper"),
        ("[" * 50_000, 1, "nested deeper"),
        ("{a: " * 5_000, 1, "nested deeper"),
        ("- 1\n" * (MAX_VALUES + 1), MAX_VALUES, "more than"),
        ("x" * (MAX_CHARACTERS + 1), 1, "longer than"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, told: str) -> None:
    """Hostile and broken text alike: a plain reason, in bounded time."""
    with pytest.raises(YamlRefused) as refused:
        read_yaml(text)

    assert told in refused.value.fault.message
    assert refused.value.fault.line == line


_names = st.text(string.ascii_letters + " é:#-'\"${}", max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=15,
)


@given(_values, st.booleans())
def test_what_a_yaml_library_writes_is_read_as_it_was(value: JsonValue, flow: bool) -> None:
    """Any tool may write a pipeline: nothing is lost or changed on the way."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True, width=1000)

    assert read_yaml(text).plain() == value


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text at all raises anything but a refusal with a line of that text."""
    line = 1
    try:
        read_yaml(text)
    except YamlRefused as refused:
        line = refused.fault.line

    assert 1 <= line <= len(text.splitlines()) + 1
