"""How every list looks in a terminal: columns apart, no lines, a dim head."""

from rich.table import Table


def plain_table() -> Table:
    """A table whose columns are still to be added."""
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))


def folding_table(*columns: str) -> Table:
    """A table of these columns; what is too long for one goes on below."""
    table = plain_table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
