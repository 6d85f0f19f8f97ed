"""The feature table, the promises and the tests agree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.localbus.conformance.promises import PROMISES, row_of

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parents[1] / "docs" / "reference" / "localbus.md"


@pytest.mark.parametrize("row", PROMISES)
def test_every_promise_is_a_row_with_tests(row: str) -> None:
    """Each promise is a row of the page's table, which names its files; its tests are there."""
    cells = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    held_by = {line[1].strip(): line[-2] for line in cells}

    assert row in held_by
    for file, functions in PROMISES[row].items():
        tree = ast.parse((TESTS / file).read_text())
        written = {
            node.name
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert set(functions) <= written
        assert f"`{file}`" in held_by[row]


def test_a_test_belongs_to_one_row() -> None:
    """No test is counted under two rows."""
    names = [
        (file, function)
        for files in PROMISES.values()
        for file, functions in files.items()
        for function in functions
    ]

    assert len(names) == len(set(names))
    assert row_of("tests/localbus/test_queues.py::test_peek_of_nothing_is_empty") == "peek"
    assert row_of("tests/localbus/test_queues.py::test_nothing") is None
