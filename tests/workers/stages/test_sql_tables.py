"""normalize.sql and compute.sql: what SQL may read, and that its bytes come out the same."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from contracts.outcome import Produced
from contracts.stage_payloads import ComputeSql, NormalizeSql
from tests.pipelines.harness import run_stage, workbench
from tests.workers.stages.benches import (
    Signals,
    fault_of,
    file_of,
    json_input,
    table_input,
    text_input,
)
from workers.stages.handler import InputFile, Workbench


def compute(
    folder: Path, sql: str, *inputs: InputFile, place: str = "scratch", **more: Any
) -> Workbench:
    """A workbench for compute.sql with one table `t`."""
    signals = more.pop("signals", None)
    stages = sorted({item.pointer.provenance.stage for item in inputs if item.pointer.provenance})
    return workbench(
        ComputeSql.model_validate({"tables": {"t": "sql/t.sql"}, **more}),
        folder / place,
        inputs={
            stage: tuple(
                item
                for item in inputs
                if item.pointer.provenance and item.pointer.provenance.stage == stage
            )
            for stage in stages
        },
        files=file_of(folder, "sql/t.sql", sql),
        signals=signals,
    )


def rows(bench: Workbench) -> list[dict[str, Any]]:
    """The rows of the one table made."""
    made = run_stage(bench)
    assert isinstance(made, Produced)
    found: list[dict[str, Any]] = pq.read_table(made.outputs[0].path).to_pylist()
    return found


def test_a_stage_with_one_output_is_a_view_of_its_name(tmp_path: Path) -> None:
    """All partitions' files together are the table `<stage>`."""
    first = table_input(tmp_path, "claims", "rows.parquet", [{"n": 2}], "b")
    second = table_input(tmp_path, "claims", "rows.parquet", [{"n": 1}], "a")

    assert rows(compute(tmp_path, "SELECT n FROM claims;", first, second)) == [{"n": 1}, {"n": 2}]


def test_a_stage_with_more_outputs_is_a_view_for_each(tmp_path: Path) -> None:
    """The tables are `<stage>_<output>`; folders and odd signs in names become `_`."""
    good = table_input(tmp_path, "checked", "accepted.parquet", [{"n": 1}])
    bad = text_input(tmp_path, "checked", "sub/re-jected.csv".replace("/", "="), "n\n2\n")
    sql = "SELECT a.n AS a, r.n AS r FROM checked_accepted a, checked_sub_re_jected r"

    assert rows(compute(tmp_path, sql, good, bad)) == [{"a": 1, "r": "2"}]


def test_csv_is_text_and_empty_is_null(tmp_path: Path) -> None:
    """No type is guessed: zeros in front stay, an empty field is null, quotes are understood."""
    item = text_input(tmp_path, "files", "a.csv", 'id,words\n007,"a, ""b"""\n008,\n')

    assert rows(compute(tmp_path, "SELECT * FROM files", item)) == [
        {"id": "007", "words": 'a, "b"'},
        {"id": "008", "words": None},
    ]


def test_a_bad_value_of_a_csv_becomes_null(tmp_path: Path) -> None:
    """TRY_CAST gives null for what cannot be read; the reader does not fail on it."""
    item = text_input(tmp_path, "files", "a.csv", "day\n2025-02-30\n2025-01-01\n")
    sql = "SELECT CAST(TRY_CAST(day AS DATE) AS VARCHAR) AS day FROM files"
    whole = "SELECT TRY_CAST(day AS DATE) IS NULL AS bad, TRY_CAST(day AS DATE) AS day FROM files"

    assert rows(compute(tmp_path, sql, item)) == [{"day": "2025-01-01"}, {"day": None}]
    assert [row["bad"] for row in rows(compute(tmp_path, whole, item, place="b"))] == [False, True]


def test_json_is_one_document_a_file(tmp_path: Path) -> None:
    """A document keeps its numbers as written, so money can be read exactly."""
    item = json_input(tmp_path, "docs", "c.json", {"rate": "18.50"}, partition="p1")
    sql = "SELECT partition, name, document ->> '$.rate' AS rate FROM docs"

    assert rows(compute(tmp_path, sql, item)) == [
        {"partition": "p1", "name": "c.json", "rate": "18.50"}
    ]


def test_integer_sums_stay_integers(tmp_path: Path) -> None:
    """A sum of cents is written as a 64-bit integer, decimals as decimals."""
    item = table_input(tmp_path, "claims", "rows.parquet", [{"cents": 2**40}, {"cents": 1}])
    made = run_stage(compute(tmp_path, "SELECT sum(cents) AS cents FROM claims", item))

    assert isinstance(made, Produced)
    assert str(pq.read_schema(made.outputs[0].path).field("cents").type) == "int64"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT now() AS t", "sql.not_deterministic"),
        ("SELECT current_date AS t", "sql.not_deterministic"),
        ("SELECT * FROM claims USING SAMPLE 1", "sql.not_deterministic"),
        ("SELECT list(n) AS l FROM claims", "sql.not_deterministic"),
        ("SELECT (SELECT random()) > 2 AS r", "sql.not_deterministic"),
        ("SELECT n / 3.0::DOUBLE AS share FROM claims", "sql.float_column"),
        ("SELECT 1 AS a; SELECT 2 AS b", "sql.not_select"),
        ("CREATE TABLE x AS SELECT 1", "sql.not_select"),
        ("COPY (SELECT 1) TO 'x.csv'", "sql.not_select"),
        ("ATTACH 'x.db'", "sql.not_select"),
        ("INSTALL httpfs", "sql.not_select"),
        ("SELECT * FROM read_csv('https://example.org/x.csv')", "sql.failed"),
        ("SELEC 1", "sql.failed"),
        ("SELECT * FROM absent", "sql.failed"),
        ("SELECT $unknown AS a", "sql.failed"),
    ],
)
def test_sql_that_must_not_run_is_refused(tmp_path: Path, sql: str, code: str) -> None:
    """Chance, the clock, floats, other statements and the network: refused, with the file named."""
    item = table_input(tmp_path, "claims", "rows.parquet", [{"n": 1}])

    kind, found, message = fault_of(compute(tmp_path, sql, item))

    assert (kind, found) == ("permanent", code)
    assert str(tmp_path) not in message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM glob('{folder}/*')",
    ],
)
def test_sql_reads_its_inputs_and_no_other_file(tmp_path: Path, sql: str) -> None:
    """A file that is no input cannot be read, listed or attached, and its path is not told."""
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    item = table_input(tmp_path, "claims", "rows.parquet", [{"n": 1}])

    _, code, message = fault_of(compute(tmp_path, sql.format(folder=tmp_path), item))

    assert code == "sql.failed"
    assert str(tmp_path) not in message


def test_what_an_agent_wrote_is_not_computed_with(tmp_path: Path) -> None:
    """An input tainted `ai` is denied, whatever the policies say."""
    item = text_input(tmp_path, "summary", "s.csv", "n\n1\n", taints=("ai",))

    kind, code, _ = fault_of(compute(tmp_path, "SELECT * FROM summary", item))

    assert (kind, code) == ("denied", "input.from_agent")


@pytest.mark.parametrize("text", ['a,b\n1,"2\n', "a,b\n1,2,3,4\n1\n", "\xff\xfe\x00"])
def test_a_broken_csv_fails_with_its_reason(tmp_path: Path, text: str) -> None:
    """An open quote or ragged rows are faults, never guessed away."""
    item = text_input(tmp_path, "files", "a.csv", text)

    _, code, message = fault_of(compute(tmp_path, "SELECT a, b FROM files", item))

    assert code in {"input.unreadable", "sql.failed"}
    assert str(tmp_path) not in message


def test_a_broken_json_is_bad_input(tmp_path: Path) -> None:
    """A document that is not JSON is named."""
    item = text_input(tmp_path, "docs", "c.json", "{", media_type="application/json")

    assert fault_of(compute(tmp_path, "SELECT 1 AS a FROM docs", item)) == (
        "bad_input",
        "input.unreadable",
        "c.json is not JSON in UTF-8",
    )


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A query past its limit spills, or fails alone; the worker is not taken down."""
    sql = "SELECT len(list(range ORDER BY range)) AS n FROM range(20000000)"

    _, code, _ = fault_of(compute(tmp_path, sql, memory_mb=64))

    assert code == "sql.out_of_memory"


def test_a_cancelled_query_is_interrupted(tmp_path: Path) -> None:
    """A query that would run for hours ends soon after cancellation."""
    signals = Signals()
    sql = (
        "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b "
        "WHERE (a.range * b.range) % 7 = 3"
    )
    bench = compute(tmp_path, sql, signals=signals)
    timer = threading.Timer(0.2, lambda: setattr(signals, "stop", True))
    timer.start()

    kind, _, _ = fault_of(bench)

    timer.join()
    assert kind == "cancelled"


def test_the_same_rows_give_the_same_bytes_at_any_number_of_threads(tmp_path: Path) -> None:
    """Input order and threads do not show: rows are in a total order, options are pinned."""
    content = [{"k": n % 97, "cents": n * 7 % 1_000, "id": f"{n:05}"} for n in range(20_000)]
    forth = table_input(tmp_path, "claims", "rows.parquet", content, "forth")
    back = table_input(tmp_path, "claims", "rows.parquet", content[::-1], "back")
    sql = "SELECT k, id, sum(cents) AS cents FROM claims GROUP BY k, id"

    digests = set()
    for place, (item, threads) in enumerate([(forth, 1), (forth, 2), (back, 1), (back, 4)]):
        bench = compute(tmp_path, sql, item, place=f"s{place}", threads=threads)
        made = run_stage(bench)
        assert isinstance(made, Produced)
        digests.add(made.outputs[0].path.read_bytes())

    assert len(digests) == 1


def test_rows_that_are_only_typed_stay_in_the_order_of_their_files(tmp_path: Path) -> None:
    """normalize.sql keeps its input's order where it works row by row, at any number of threads."""
    content = [{"n": str(n * 7_919 % 100_003)} for n in range(100_000)]
    item = table_input(tmp_path, "claims", "rows.parquet", content)
    pq.write_table(pq.read_table(item.path), item.path, row_group_size=5_000)
    sql = "SELECT CAST(n AS INTEGER) AS n FROM claims WHERE n <> '7919'"

    digests = set()
    for threads in (1, 4):
        bench = compute(tmp_path, sql, item, place=f"s{threads}")
        made = run_stage(
            replace(bench, payload=NormalizeSql(tables={"t": "sql/t.sql"}, threads=threads))
        )
        assert isinstance(made, Produced)
        table = made.outputs[0].path
        digests.add(table.read_bytes())

    kept = [int(row["n"]) for row in content if row["n"] != "7919"]
    assert pq.read_table(table).column("n").to_pylist() == kept
    assert len(digests) == 1


def test_two_outputs_with_one_name_are_ambiguous(tmp_path: Path) -> None:
    """A table's name must say which file it is."""
    bench = compute(
        tmp_path,
        "SELECT 1 AS a",
        text_input(tmp_path, "files", "a.csv", "n\n1\n"),
        json_input(tmp_path, "files", "a.json", {}),
    )

    assert fault_of(bench)[1] == "input.ambiguous"


def test_tables_need_names_that_sql_can_say(tmp_path: Path) -> None:
    """A table's name is a plain word; a payload with another is never built."""
    with pytest.raises(ValueError, match="not names of tables"):
        NormalizeSql(tables={"no-name": "sql/t.sql"})
