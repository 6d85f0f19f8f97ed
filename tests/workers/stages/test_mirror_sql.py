"""mirror.keys and mirror.sql on real databases and folders."""

import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contracts.outcome import Produced
from contracts.stage_payloads import MirrorKeys, MirrorSql
from tests.pipelines.harness import run_stage, workbench
from tests.workers.stages.benches import Signals, database, fault_of, file_of
from workers.stages.handler import Workbench

ROWS = [("a", 1, "10.50"), ("b", 2, None), ("c", 3, "n/a")]


def mirror(folder: Path, sql: str, address: str, **more: object) -> Workbench:
    """A workbench for mirror.sql of the source `claims`."""
    signals = more.pop("signals", None)
    place = str(more.pop("place", "one"))
    payload = MirrorSql.model_validate({"source": "claims", "query": "q.sql", **more})
    return workbench(
        payload,
        folder / place / "scratch",
        files=file_of(folder / place, "q.sql", sql),
        sources={"claims": address},
        signals=signals,
    )


def test_rows_arrive_as_the_source_gave_them(tmp_path: Path) -> None:
    """Bronze is text, nulls kept, but for columns whose type was declared."""
    address = database(tmp_path / "c.db", "id TEXT, line INTEGER, paid TEXT", ROWS)
    bench = mirror(
        tmp_path, "SELECT * FROM claims ORDER BY id", address, columns={"line": "integer"}
    )

    made = run_stage(bench)

    assert isinstance(made, Produced)
    (output,) = made.outputs
    assert output.rows == 3
    assert pq.read_table(output.path).to_pylist() == [
        {"id": "a", "line": 1, "paid": "10.50"},
        {"id": "b", "line": 2, "paid": None},
        {"id": "c", "line": 3, "paid": "n/a"},
    ]


def test_values_are_bound_and_never_pasted(tmp_path: Path) -> None:
    """A parameter that looks like SQL is a value like any other."""
    hostile = "x' OR 1=1; DROP TABLE claims --"
    address = database(tmp_path / "c.db", "id TEXT, line INTEGER", [("a", 1), (hostile, 2)])
    bench = mirror(
        tmp_path, "SELECT * FROM claims WHERE id = :id", address, parameters={"id": hostile}
    )

    made = run_stage(bench)

    assert isinstance(made, Produced)
    assert pq.read_table(made.outputs[0].path).to_pylist() == [{"id": hostile, "line": "2"}]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("DELETE FROM claims", "sql.not_select"),
        ("SELECT 1; DELETE FROM claims", "sql.not_select"),
        ("/* SELECT */ UPDATE claims SET id = 'z'", "sql.not_select"),
        ("WITH x AS (SELECT 1) DELETE FROM claims", "source.refused"),
        ("SELECT nothing FROM claims", "source.refused"),
        ("SELECT * FROM absent", "source.refused"),
        ("SELECT id, id FROM claims", "source.columns"),
        ("SELECT * FROM claims WHERE id = :unknown", "sql.failed"),
    ],
)
def test_a_query_that_is_no_plain_reading_is_refused(tmp_path: Path, sql: str, code: str) -> None:
    """Whatever the SQL tries, the source is unchanged and the fault says which file was wrong."""
    address = database(tmp_path / "c.db", "id TEXT, line INTEGER", [("a", 1)])
    before = (tmp_path / "c.db").read_bytes()

    _, found, message = fault_of(mirror(tmp_path, sql, address))

    assert found == code
    assert str(tmp_path) not in message
    assert (tmp_path / "c.db").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"not a database, but long enough to be read as one"])
def test_a_source_that_is_away_can_be_tried_again(tmp_path: Path, content: bytes | None) -> None:
    """A missing or damaged database is transient, and its address stays out of the message."""
    path = tmp_path / "secret-place.db"
    if content:
        path.write_bytes(content * 100)

    kind, code, message = fault_of(mirror(tmp_path, "SELECT 1 AS one FROM t", f"sqlite:///{path}"))

    assert (kind, code) == ("transient", "source.unreachable")
    assert "secret-place" not in message
    assert not path.exists() or content


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    """A driver that is not installed, or a refused connection, never shows the URL."""
    address = "postgresql://reader:hunter2@127.0.0.1:1/claims"

    _, code, message = fault_of(mirror(tmp_path, "SELECT 1 AS one", address))

    assert code in {"source.driver", "source.unreachable"}
    assert "hunter2" not in message
    assert "127.0.0.1" not in message


def test_a_source_that_disappears_while_it_is_read_leaves_nothing(tmp_path: Path) -> None:
    """Removed between two batches: the stage fails with the reason, and no file bears the name."""
    path = tmp_path / "c.db"
    address = database(path, "id TEXT, line INTEGER", [(f"{n:06}", n) for n in range(5_000)])
    signals = Signals(lambda done: path.unlink(missing_ok=True))
    bench = mirror(tmp_path, "SELECT * FROM claims", address, batch_rows=1_000, signals=signals)

    kind, code, message = fault_of(bench)

    assert (kind, code) == ("transient", "source.unreachable")
    assert "removed" in message
    assert not (bench.scratch / "rows.parquet").exists()


def test_a_file_of_a_folder_that_disappears_leaves_nothing(tmp_path: Path) -> None:
    """The same for a folder: a table's file removed between two batches fails the stage."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "claims.csv"
    path.write_text("id\n" + "".join(f"{n}\n" for n in range(50_000)), encoding="utf-8")
    signals = Signals(lambda done: path.unlink(missing_ok=True))
    sql = "SELECT id FROM claims"
    bench = mirror(tmp_path, sql, str(folder), batch_rows=1_000, signals=signals)

    kind, code, _ = fault_of(bench)

    assert (kind, code) == ("transient", "source.unreachable")
    assert not (bench.scratch / "rows.parquet").exists()


def test_a_cancelled_mirror_stops_between_batches(tmp_path: Path) -> None:
    """Cancellation is noticed at the next batch, and nothing is produced."""
    address = database(tmp_path / "c.db", "id INTEGER", [(n,) for n in range(5_000)])
    seen: list[int] = []
    signals = Signals(seen.append)

    def stop(done: int) -> None:
        seen.append(done)
        signals.stop = True

    signals = Signals(stop)
    bench = mirror(tmp_path, "SELECT * FROM claims", address, batch_rows=500, signals=signals)

    kind, _, _ = fault_of(bench)

    assert kind == "cancelled"
    assert seen == [500]
    assert list(bench.scratch.iterdir()) == []


def test_memory_does_not_grow_with_the_source(tmp_path: Path) -> None:
    """A hundred times the rows take the memory of a few batches, not of the rows."""
    rows = ((f"claim {n:09} of a rather long name", "x" * 100) for n in range(100_000))
    address = database(tmp_path / "c.db", "id TEXT, words TEXT", rows)
    bench = mirror(tmp_path, "SELECT * FROM claims", address, batch_rows=1_000)
    run_stage(mirror(tmp_path, "SELECT * FROM claims LIMIT 1", address, place="warm"))

    tracemalloc.start()
    made = run_stage(bench)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(made, Produced)
    assert made.outputs[0].rows == 100_000
    assert peak < 4_000_000  # the rows are over 20 MB as Python objects
    assert pq.ParquetFile(made.outputs[0].path).metadata.row_group(0).num_rows == 1_000


def test_a_broken_promise_about_a_column_fails(tmp_path: Path) -> None:
    """A declared integer that is text fails the mirror and names the column."""
    address = database(tmp_path / "c.db", "id TEXT, line", [("a", "one")])
    bench = mirror(tmp_path, "SELECT * FROM claims", address, columns={"line": "integer"})

    kind, code, message = fault_of(bench)

    assert (kind, code) == ("bad_input", "source.type")
    assert "line" in message


def test_a_folder_is_read_as_tables(tmp_path: Path) -> None:
    """The same SQL asks a folder: files by their stems, values bound, cells as text."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "claims.csv").write_text("id,paid\n007,1.10\n008,\n", encoding="utf-8")
    (folder / "unrelated.csv").write_bytes(b"\xff\x00 no table")
    sql = "SELECT id, paid FROM claims WHERE id >= :least ORDER BY id"
    bench = mirror(tmp_path, sql, str(folder), parameters={"least": "007"})

    made = run_stage(bench)

    assert isinstance(made, Produced)
    assert pq.read_table(made.outputs[0].path).to_pylist() == [
        {"id": "007", "paid": "1.10"},
        {"id": "008", "paid": None},
    ]


def test_a_folder_shows_nothing_beside_it(tmp_path: Path) -> None:
    """SQL on a folder source cannot open another file of the machine."""
    (tmp_path / "source").mkdir()
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    sql = f"SELECT * FROM read_csv('{tmp_path}/secret.csv')"

    _, code, message = fault_of(mirror(tmp_path, sql, str(tmp_path / "source")))

    assert code == "source.refused"
    assert str(tmp_path) not in message


def test_a_missing_folder_can_be_tried_again(tmp_path: Path) -> None:
    """A folder that is not there is transient, and is not named by its path."""
    kind, code, message = fault_of(mirror(tmp_path, "SELECT 1 AS one", str(tmp_path / "gone")))

    assert (kind, code) == ("transient", "source.unreachable")
    assert str(tmp_path) not in message


def test_a_source_nobody_registered_is_named(tmp_path: Path) -> None:
    """The fault names the source as the pipeline does."""
    bench = workbench(
        MirrorSql(source="elsewhere", query="q.sql"),
        tmp_path / "scratch",
        files=file_of(tmp_path, "q.sql", "SELECT 1 AS one"),
    )

    assert fault_of(bench) == (
        "permanent",
        "source.unknown",
        "no source 'elsewhere' is registered here",
    )


def keys(folder: Path, rows: list[tuple[str | None]], **more: int) -> Workbench:
    """A workbench for mirror.keys over rows of one column."""
    address = database(folder / "k.db", "month TEXT", rows)
    return workbench(
        MirrorKeys(source="claims", query="q.sql", **more),
        folder / "scratch",
        files=file_of(folder, "q.sql", "SELECT month FROM claims ORDER BY month"),
        sources={"claims": address},
    )


def test_partitions_are_what_the_source_has(tmp_path: Path) -> None:
    """The first column names the partitions, in the query's order, and is kept as an artifact."""
    made = run_stage(keys(tmp_path, [("2025-02",), ("2025-01",)]))

    assert isinstance(made, Produced)
    assert made.partitions == ("2025-01", "2025-02")
    assert made.outputs[0].name == "keys.json"


@pytest.mark.parametrize(
    ("rows", "limits", "code"),
    [
        ([], {}, "source.empty"),
        ([("a",), ("a",)], {}, "source.keys"),
        ([(None,)], {}, "source.keys"),
        ([("../up",)], {}, "source.keys"),
        ([("a",), ("b",)], {"at_most": 1}, "source.too_large"),
    ],
)
def test_partitions_that_cannot_be_are_bad_input(
    tmp_path: Path, rows: list[tuple[str | None]], limits: dict[str, int], code: str
) -> None:
    """None at all, twice the same, without a name, a path, too many: each is said."""
    kind, found, _ = fault_of(keys(tmp_path, rows, **limits))

    assert (kind, found) == ("bad_input", code)
