"""What a worker asks of the ledger is answered from indexes, so that its size does not matter."""

from typing import Any

import pytest
from sqlalchemy import event

from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import SpanRow
from tests.fleet.ledger.story import CHAIN, FAN, NOW, a_run, finished, later, listing


async def test_no_statement_of_a_worker_reads_a_whole_table(ledger: Ledger) -> None:
    """Claims, records with all that follows, renewals, relays and spans search by an index."""
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("SQLite says how it searches, whatever a table holds; others choose by size")
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        asked.append((statement, parameters[0] if many else parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    for graph in (CHAIN, FAN):
        accepted = await ledger.start_run(a_run(graph))
        await finished(ledger, accepted.run, listing("a", "b"))
    await ledger.renew([("t", 1)], later(minutes=1), NOW)
    await ledger.add_spans(
        [SpanRow(trace_id="a" * 32, span_id="b" * 16, name="x", kind="i", start_ns=1, end_ns=2)]
    )
    event.remove(ledger.engine, "before_cursor_execute", note)

    with ledger.engine.connect() as connection:
        scans = {
            (statement, step.detail)
            for statement, parameters in asked
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if step.detail.startswith("SCAN")
        }
    assert scans == set()
    assert len(asked) > 50
