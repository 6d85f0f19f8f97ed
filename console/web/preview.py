"""The beginning of an artifact, for a person: a table, a text, or why it cannot be shown.

Whatever the file holds, a preview reads little of it and raises nothing.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from console.web.sheets import sheets

ROWS, COLUMNS = 40, 24
TEXT = 24_000
"""Characters of a text."""
_WHOLE_JSON = 2 << 20
"""Bytes up to which a JSON file is laid out anew."""
_PAGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Some rows of a table. `types` are the columns', where the file tells them."""

    title: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...]
    of: int | None = None
    """Rows of the whole table, where the file tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is shown of a file."""

    tables: tuple[Table, ...] = ()
    text: str = ""
    note: str = ""


def preview(path: Path, media_type: str, name: str) -> Preview:
    """The beginning of a file, by its media type and the end of its name."""
    essence = media_type.partition(";")[0].strip().lower()
    try:
        return _reader(essence, name)(path)
    # A parser given hostile bytes may raise anything; a preview is not worth a broken page.
    except Exception as fault:
        return Preview(
            note=f"It cannot be shown: it is not what {essence} should be ({type(fault).__name__})."
        )


def _reader(essence: str, name: str) -> Callable[[Path], Preview]:
    reader: Callable[[Path], Preview]
    if "parquet" in essence or name.endswith(".parquet"):
        reader = _parquet
    elif essence == "application/json" or essence.endswith("+json"):
        reader = _json
    elif "spreadsheetml" in essence:
        reader = _workbook
    elif essence == "application/pdf":
        reader = _pdf
    elif essence == "text/csv":
        reader = _csv
    elif essence.startswith("text/") or essence in ("application/sql", "application/yaml"):
        reader = _text
    else:

        def reader(_: Path) -> Preview:
            return Preview(note=f"There is no preview of {essence}. Its bytes can be downloaded.")

    return reader


def _parquet(path: Path) -> Preview:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, of = file.schema_arrow, file.metadata.num_rows
        names = schema.names[:COLUMNS]
        batch = next(file.iter_batches(batch_size=ROWS, columns=names), None)
        values = [] if batch is None else batch.to_pylist()
    table = Table(
        title="",
        columns=tuple(names),
        types=tuple(str(schema.field(name).type) for name in names),
        rows=tuple(tuple(_cell(row[name]) for name in names) for row in values),
        of=of,
    )
    left = len(schema.names) - len(names)
    return Preview(tables=(table,), note=f"{left} more columns." if left > 0 else "")


def _json(path: Path) -> Preview:
    if path.stat().st_size > _WHOLE_JSON:
        return _text(path)
    laid_out = json.dumps(json.loads(path.read_bytes()), indent=2, ensure_ascii=False)
    return _cut(laid_out)


def _csv(path: Path) -> Preview:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [tuple(map(_cell, row[:COLUMNS])) for row in islice(csv.reader(file), ROWS + 1)]
    if not rows:
        return Preview(note="It is empty.")
    return Preview(tables=(Table(title="", columns=rows[0], rows=tuple(rows[1:])),))


def _workbook(path: Path) -> Preview:
    tables = tuple(
        Table(title=sheet.name, columns=sheet.rows[0], rows=sheet.rows[1:])
        for sheet in sheets(path, rows=ROWS + 1, columns=COLUMNS)
        if sheet.rows
    )
    return Preview(tables=tables, note="" if tables else "Its sheets are empty.")


def _pdf(path: Path) -> Preview:
    from pypdf import PdfReader

    with path.open("rb") as file:
        reader = PdfReader(file)
        count = len(reader.pages)
        text = "\n\n".join(page.extract_text() for page in islice(reader.pages, _PAGES))
    return Preview(text=text[:TEXT], note=f"The text of {min(count, _PAGES)} of {count} pages.")


def _text(path: Path) -> Preview:
    with path.open(encoding="utf-8", errors="replace") as file:
        return _cut(file.read(TEXT + 1))


def _cut(text: str) -> Preview:
    return Preview(text=text[:TEXT], note="Its beginning." if len(text) > TEXT else "")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 200 else text[:200] + "…"
