"""Inputs as tables: what a stage's SQL can say, and what it finds there.

- `<stage>` where the stage has one output name (its partitions' files together);
- `<stage>_<output>` otherwise: `checked_accepted` for `accepted.parquet` of the stage `checked`.

Parquet and CSV become rows (CSV as text, an empty field as null). A JSON file becomes one row:
`partition`, `name` and `document` (type JSON): nothing is guessed about its shape. Other files have
no table. A folder source's files are tables by their stems.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from contracts.outcome import FaultKind
from workers.stages import duck
from workers.stages.handler import InputFile, StageFault, Workbench


@contextmanager
def enclosed_inputs(bench: Workbench, *, memory_mb: int, threads: int) -> Iterator[duck.Connection]:
    """A connection with the workbench's inputs as views. Raises StageFault."""
    tables = input_views(bench.inputs)
    files = [item.path for items in tables.values() for item in items]
    with duck.enclosed(bench, memory_mb=memory_mb, threads=threads, files=files) as connection:
        for name, items in tables.items():
            _create_view(connection, name, items)
        yield connection


def input_views(
    inputs: Mapping[str, tuple[InputFile, ...]],
) -> dict[str, list[InputFile]]:
    """The files behind each view, in the order given. Raises StageFault (input.ambiguous)."""
    views: dict[str, list[InputFile]] = {}
    for stage, items in sorted(inputs.items()):
        names = sorted({item.pointer.name for item in items})
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            if suffix not in _VIEWED:
                continue
            stem = re.sub(r"[^a-z0-9]+", "_", name[: -len(suffix)].lower()).strip("_")
            view = stage if len(names) == 1 else f"{stage}_{stem}"
            if view in views:
                raise StageFault(
                    FaultKind.PERMANENT,
                    "input.ambiguous",
                    f"two outputs of the stages read here would both be the table {view!r}",
                )
            views[view] = [item for item in items if item.pointer.name == name]
    return views


def _create_view(connection: duck.Connection, name: str, items: Sequence[InputFile]) -> None:
    suffix = PurePosixPath(items[0].pointer.name).suffix.lower()
    if suffix == ".json":
        _create_documents(connection, name, items)
        return
    paths = ", ".join(_quoted(str(item.path)) for item in items)
    connection.execute(
        f"CREATE VIEW {duck.identifier(name)} AS SELECT * FROM {_VIEWED[suffix].format(paths)}"  # noqa: S608 - quoted above
    )


_CSV = (
    "read_csv([{}], all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', "
    "null_padding = false, ignore_errors = false, strict_mode = true)"
)
_VIEWED = {
    ".parquet": "read_parquet([{}], hive_partitioning = false)",
    ".csv": _CSV,
    ".json": "",
}


def _create_documents(connection: duck.Connection, name: str, items: Sequence[InputFile]) -> None:
    connection.execute(
        f"CREATE TABLE {duck.identifier(name)} (partition VARCHAR, name VARCHAR, document JSON)"
    )
    for item in items:
        pointer = item.pointer
        try:
            text = item.path.read_text(encoding="utf-8-sig")
            json.loads(text)
        except (OSError, ValueError):  # a UnicodeDecodeError is a ValueError
            raise StageFault(
                FaultKind.BAD_INPUT, "input.unreadable", f"{pointer.name} is not JSON in UTF-8"
            ) from None
        partition = pointer.provenance.partition if pointer.provenance else ""
        connection.execute(
            f"INSERT INTO {duck.identifier(name)} VALUES (?, ?, ?)",  # noqa: S608 - quoted
            [partition, pointer.name, text],
        )


def create_folder_views(connection: duck.Connection, folder: Path, sql: str) -> list[Path]:
    """A view for every CSV and Parquet file of `folder` whose stem is a word of `sql`.

    Returns the files, sorted.
    """
    used: list[Path] = []
    words = set(re.findall(r"\w+", sql.lower()))
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if suffix in {".csv", ".parquet"} and path.stem.lower() in words and path.is_file():
            connection.execute(
                f"CREATE VIEW {duck.identifier(path.stem)} AS SELECT * FROM "  # noqa: S608 - quoted
                + _VIEWED[suffix].format(_quoted(str(path)))
            )
            used.append(path)
    return used


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
