"""Two runs' artifacts side by side, as a table."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from console.comparison import ArtifactPair
from console.render.marks import shown
from console.render.tables import plain_table
from contracts.artifact import ArtifactPointer


def comparison_table(pairs: Iterable[ArtifactPair], *, wide: bool = True) -> Table:
    """What differs first. Rows are told only where it is `wide`."""
    table = plain_table()
    table.add_column("verdict", no_wrap=True)
    for column in ("made by", "name"):
        table.add_column(column, overflow="fold")
    for column in ("here", "there"):
        table.add_column(column, no_wrap=True)
    if wide:
        for column in ("rows here", "rows there"):
            table.add_column(column, justify="right")
    for pair in sorted(pairs, key=lambda pair: (pair.same, pair.place, pair.name)):
        table.add_row(
            Text(pair.verdict, style="green" if pair.same else "bold red"),
            shown(pair.place),
            shown(pair.name),
            _digest(pair.here),
            _digest(pair.there),
            *([_rows(pair.here), _rows(pair.there)] if wide else []),
        )
    return table


def _digest(pointer: ArtifactPointer | None) -> str:
    return "-" if pointer is None else pointer.digest[:12]


def _rows(pointer: ArtifactPointer | None) -> str:
    return "-" if pointer is None or pointer.rows is None else f"{pointer.rows:,}"
