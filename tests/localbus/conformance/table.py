"""A pytest plugin: run only the tests of the promises, and print their outcome by row.

pytest -p tests.localbus.conformance.table tests/localbus
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.localbus.conformance.promises import PROMISES, row_of

_outcomes: dict[str, Counter[str]] = {row: Counter() for row in PROMISES}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept = [item for item in items if row_of(item.nodeid)]
    config.hook.pytest_deselected(items=[item for item in items if not row_of(item.nodeid)])
    items[:] = kept


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    row = row_of(report.nodeid)
    # a test ends in its call, or in a set-up that skipped or failed; a tear-down can only fail
    if row and (report.when == "call" or not report.passed):
        _outcomes[row][report.outcome] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    width = max(map(len, _outcomes))
    line = terminalreporter.write_line
    terminalreporter.section("conformance")
    line(f"{'promise':<{width}}  passed  failed  skipped")
    total: Counter[str] = Counter()
    for row, counts in _outcomes.items():
        total += counts
        line(_row(row, counts, width))
    line(_row("all", total, width))


def _row(name: str, counts: Counter[str], width: int) -> str:
    numbers = [counts["passed"], counts["failed"], counts["skipped"]]
    return f"{name:<{width}}  {numbers[0]:>6}  {numbers[1]:>6}  {numbers[2]:>7}"
