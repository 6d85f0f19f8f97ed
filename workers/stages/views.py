"""Inputs as tables: what a stage's SQL can say, and what it finds there.

- `<stage>` where the stage has one output name (its partitions' files together);
- `<stage>_<output>` otherwise: `checked_accepted` for `accepted.parquet` of the stage `checked`.

Parquet and CSV become rows (CSV as text, an empty field as null). A JSON file becomes one row:
`partition`, `name` and `document` (type JSON): nothing is guessed about its shape. Other files have
no table. A folder source's files are tables by their stems.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from contracts.outcome import FaultKind
from workers.stages import duck
from workers.stages.handler import InputFile, StageFault, Workbench


class Source(NamedTuple):
    """One input file, and no more of it than a view needs: there may be 100,000."""

    name: str
    partition: str
    path: str


@contextmanager
def enclosed_inputs(bench: Workbench, *, memory_mb: int, threads: int) -> Iterator[duck.Connection]:
    """A connection with the workbench's inputs as views. Raises StageFault."""
    tables = input_views(bench.inputs)
    files = [file.path for files in tables.values() for file in files]
    with duck.enclosed(bench, memory_mb=memory_mb, threads=threads, files=files) as connection:
        for view, sources in tables.items():
            _create_view(connection, view, sources)
        yield connection


def input_views(inputs: Mapping[str, Sequence[InputFile]]) -> dict[str, list[Source]]:
    """The files behind each view, in the order given. Raises StageFault (input.ambiguous)."""
    views: dict[str, list[Source]] = {}
    for stage, items in sorted(inputs.items()):
        named = _by_name(items)
        for name in sorted(named):
            suffix = PurePosixPath(name).suffix.lower()
            if suffix not in _VIEWED:
                continue
            stem = re.sub(r"[^a-z0-9]+", "_", name[: -len(suffix)].lower()).strip("_")
            view = stage if len(named) == 1 else f"{stage}_{stem}"
            if view in views:
                raise StageFault(
                    FaultKind.PERMANENT,
                    "input.ambiguous",
                    f"two outputs of the stages read here would both be the table {view!r}",
                )
            views[view] = named[name]
    return views


def _by_name(items: Iterable[InputFile]) -> dict[str, list[Source]]:
    named: dict[str, list[Source]] = {}
    for item in items:
        pointer = item.pointer
        partition = pointer.provenance.partition if pointer.provenance else ""
        file = Source(pointer.name, partition, str(item.path))
        named.setdefault(pointer.name, []).append(file)
    return named


def _create_view(connection: duck.Connection, view: str, files: Sequence[Source]) -> None:
    suffix = PurePosixPath(files[0].name).suffix.lower()
    if suffix == ".json":
        _create_documents(connection, view, files)
        return
    paths = ", ".join(_quoted(file.path) for file in files)
    connection.execute(
        f"CREATE VIEW {duck.identifier(view)} AS SELECT * FROM {_VIEWED[suffix].format(paths)}"  # noqa: S608 - quoted above
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


def _create_documents(connection: duck.Connection, view: str, files: Sequence[Source]) -> None:
    connection.execute(
        f"CREATE TABLE {duck.identifier(view)} (partition VARCHAR, name VARCHAR, document JSON)"
    )
    for file in files:
        try:
            text = Path(file.path).read_text(encoding="utf-8-sig")
            json.loads(text)
        except (OSError, ValueError):  # a UnicodeDecodeError is a ValueError
            raise StageFault(
                FaultKind.BAD_INPUT, "input.unreadable", f"{file.name} is not JSON in UTF-8"
            ) from None
        connection.execute(
            f"INSERT INTO {duck.identifier(view)} VALUES (?, ?, ?)",  # noqa: S608 - quoted
            [file.partition, file.name, text],
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
