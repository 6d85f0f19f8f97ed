"""The published contracts are current, and no change breaks who reads or writes the old ones."""

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.compatibility import incompatibilities
from fleet.schemas import BASELINE, SCHEMAS, stale

RELEASED = sorted(p.name for p in BASELINE.glob("*.json") if p.name != "asyncapi.json")


def test_the_committed_documents_are_current() -> None:
    """`python -m fleet.schemas` has been run after the last change of a contract."""
    assert stale() == []


@pytest.mark.parametrize("name", RELEASED)
def test_no_contract_breaks_its_released_form(name: str) -> None:
    """Compared with the baseline: what was released can still be read and written."""
    released, current = (_read(folder, name) for folder in (BASELINE, SCHEMAS))

    assert incompatibilities(released, current) == []


def _drop(schema: dict[str, Any]) -> None:
    del schema["properties"]["pipeline"]


def _require(schema: dict[str, Any]) -> None:
    schema["required"].append("priority")


def _retype(schema: dict[str, Any]) -> None:
    schema["properties"]["priority"]["type"] = "string"


def _narrow(schema: dict[str, Any]) -> None:
    schema["$defs"]["Audience"]["enum"].remove("tenant")


@pytest.mark.parametrize("breaking", [_drop, _require, _retype, _narrow])
def test_a_breaking_change_is_found(breaking: Any) -> None:
    """Removed field, newly required field, other type, lost word."""
    released = _read(SCHEMAS, "run-request.json")
    changed = copy.deepcopy(released)

    breaking(changed)

    assert len(incompatibilities(released, changed)) == 1


def test_a_field_added_with_a_default_passes() -> None:
    """The one way to change a released version."""
    released = _read(SCHEMAS, "run-request.json")
    changed = copy.deepcopy(released)

    changed["properties"]["colour"] = {"type": "string", "default": "green"}

    assert incompatibilities(released, changed) == []


@pytest.mark.parametrize("name", sorted(path.name for path in SCHEMAS.glob("*.json")))
def test_each_schema_is_a_schema(name: str) -> None:
    """JSON Schema 2020-12; AsyncAPI's references lead to a file that exists."""
    document = _read(SCHEMAS, name)

    if name != "asyncapi.json":
        Draft202012Validator.check_schema(document)
        return
    for message in document["components"]["messages"].values():
        for reference in _references(message):
            assert (SCHEMAS / reference).is_file()


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if str(node.get("$ref", "")).startswith("./") else []
        return own + [found for item in node.values() for found in _references(item)]
    return [found for item in node for found in _references(item)] if isinstance(node, list) else []


def _read(folder: Any, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return document
