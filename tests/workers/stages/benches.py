"""Small inputs for handlers: real files in a folder of the test's own."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.artifact import Tier
from contracts.outcome import Output
from tests.pipelines.harness import run_stage, stored
from workers.stages.handler import InputFile, StageFault, Workbench


def table_input(
    folder: Path, stage: str, name: str, rows: list[dict[str, Any]], partition: str = ""
) -> InputFile:
    """A Parquet table as the output of `stage`."""
    path = folder / "made" / stage / f"{partition}_{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return _stored(folder, path, stage, name, partition, rows=len(rows))


def text_input(
    folder: Path,
    stage: str,
    name: str,
    text: str,
    *,
    partition: str = "",
    media_type: str = "text/csv",
    taints: tuple[str, ...] = (),
) -> InputFile:
    """A text file as the output of `stage`."""
    path = folder / "made" / stage / f"{partition}_{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return _stored(folder, path, stage, name, partition, media_type=media_type, taints=taints)


def json_input(folder: Path, stage: str, name: str, content: Any, **more: Any) -> InputFile:
    """A JSON document as the output of `stage`."""
    text = json.dumps(content)
    return text_input(folder, stage, name, text, media_type="application/json", **more)


def _stored(
    folder: Path,
    path: Path,
    stage: str,
    name: str,
    partition: str,
    *,
    media_type: str = "application/vnd.apache.parquet",
    rows: int | None = None,
    taints: tuple[str, ...] = (),
) -> InputFile:
    output = Output(
        name=name, path=path, media_type=media_type, tier=Tier.BRONZE, rows=rows, taints=taints
    )
    return stored(output, folder / "store", stage, partition)


def file_of(folder: Path, name: str, text: str) -> dict[str, Path]:
    """A pipeline's file, as a workbench holds it."""
    path = folder / "pipeline" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return {name: path}


def database(path: Path, columns: str, rows: Iterable[Sequence[Any]]) -> str:
    """An SQLite database with one table `claims`; returns its URL."""
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE claims ({columns})")
    marks = ", ".join("?" for _ in columns.split(","))
    connection.executemany(f"INSERT INTO claims VALUES ({marks})", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def fault_of(bench: Workbench) -> tuple[str, str, str]:
    """Kind, code and message of the fault that the stage ends with; it must give no output."""
    with pytest.raises(StageFault) as raised:
        run_stage(bench)
    fault = raised.value.fault
    return fault.kind, fault.code, fault.message


class Signals:
    """Calls `on_progress` at each report; cancelled once `stop` is set."""

    def __init__(self, on_progress: Callable[[int], None] = lambda done: None) -> None:
        self.stop = False
        self._on_progress = on_progress

    def cancelled(self) -> bool:
        return self.stop

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        self._on_progress(done)
