"""Another payload for a task's next attempt."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fact import JsonObject
from dispatcher.payload_edit import EditRefused, check, difference, edited
from tests.dispatcher.pipelines import REGISTRY

PAYLOAD: JsonObject = {
    "source": "claims",
    "query": "sql/claims.sql",
    "parameters": {"client": "C-1", "month": "2024-01"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def applied(old: Any, patch: list[JsonObject]) -> Any:
    """`old` with a JSON Patch done to it, as any library does it."""
    result = json.loads(json.dumps(old))
    for step in patch:
        names = [
            name.replace("~1", "/").replace("~0", "~") for name in str(step["path"]).split("/")[1:]
        ]
        if not names:
            return step["value"]
        holder = result
        for name in names[:-1]:
            holder = holder[name]
        if step["op"] == "remove":
            del holder[names[-1]]
        else:
            holder[names[-1]] = step["value"]
    return result


def test_fields_are_set_added_and_left_out_by_path() -> None:
    """What was there is not touched: the old payload stays as it was."""
    payload = edited(PAYLOAD, {"parameters.client": "C-2", "batch_rows": 10}, ["parameters.month"])

    assert payload == PAYLOAD | {"parameters": {"client": "C-2"}, "batch_rows": 10}
    assert PAYLOAD["parameters"] == {"client": "C-1", "month": "2024-01"}


def test_items_of_a_list_are_named_by_number() -> None:
    """The number after the last adds one."""
    payload = edited({"include": ["a", "b"]}, {"include.1": "c", "include.2": "d"}, ["include.0"])

    assert payload == {"include": ["c", "d"]}


@pytest.mark.parametrize(
    ("changes", "without", "words"),
    [
        ({"nothing.client": 1}, [], "no field 'nothing'"),
        ({"source.name": 1}, [], "'source' holds no fields"),
        ({}, ["months"], "no such field"),
        ({}, ["source.name"], "no such field"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(
    changes: JsonObject, without: list[str], words: str
) -> None:
    """Each with its words."""
    with pytest.raises(EditRefused, match=words):
        edited(PAYLOAD, changes, without)


def test_an_edited_payload_is_held_to_its_model() -> None:
    """Every fault is told, with its place."""
    with pytest.raises(EditRefused) as refused:
        check(
            PAYLOAD | {"batch_rows": "many", "limit": 3, "query": "sql/other.sql"},
            "mirror.sql",
            1,
            REGISTRY,
            ["sql/claims.sql"],
        )

    told = dict(refused.value.faults)
    assert told.keys() == {"file", "batch_rows", "limit"}
    assert "does not travel with this task; there are: sql/claims.sql" in told["file"]
    assert "no field 'limit'" in told["limit"]


def test_a_kind_that_is_not_known_here_cannot_be_checked() -> None:
    """It is said so, and nothing is guessed."""
    with pytest.raises(EditRefused, match="dispatcher that knows it"):
        check({}, "mirror.sql", 9, REGISTRY, [])


def test_a_difference_tells_what_was() -> None:
    """In the order of the fields."""
    new = edited(PAYLOAD, {"parameters.client": "C-2", "batch_rows": 10}, ["parameters.month"])

    assert difference(PAYLOAD, new) == [
        {"op": "add", "path": "/batch_rows", "value": 10},
        {"op": "replace", "path": "/parameters/client", "value": "C-2", "was": "C-1"},
        {"op": "remove", "path": "/parameters/month", "was": "2024-01"},
    ]


@given(JSON, JSON)
def test_a_difference_leads_from_the_old_to_the_new(old: Any, new: Any) -> None:
    """Whatever they are; and equal payloads have none."""
    assert json.dumps(applied(old, difference(old, new)), sort_keys=True) == json.dumps(
        new, sort_keys=True
    )
    assert difference(old, json.loads(json.dumps(old))) == []
