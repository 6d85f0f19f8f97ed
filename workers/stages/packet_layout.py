"""The layout of a packet: a YAML file that says what is published and how it is shown.

Nothing that it does not name leaves:

    title: Guarantee report
    subtitle: Pharmacy network guarantees
    figures:
      - {label: Shortfall, view: guarantees_totals, column: shortfall_cents, format: money,
         tone: bad, note: "..."}                  # of the view's single row
    tables:
      - name: guarantees
        view: guarantees_lines
        title: Guarantees
        order: [channel, drug_class, measure desc]  # ties fall to all columns, left to right
        columns: [{name: channel, title: Channel}, {name: shortfall_cents, title: Shortfall,
                   format: money}]
        total: [shortfall_cents]
        tones: {missed: bad, met: good}
    notes: [Amounts are in US dollars.]
"""

from typing import Self

from pydantic import Field, model_validator

from contracts.fact import StrictFact
from contracts.stage_payloads import TableName
from workers.stages.packet import Align, Format, Tone


class FigureLayout(StrictFact):
    """A key figure: a column of a view that has one row, or how many rows a view has."""

    label: str
    view: TableName
    column: TableName | None = None
    count: bool = False
    format: Format = "text"
    tone: Tone | None = None
    note: str = ""

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if self.count == (self.column is not None):
            raise ValueError(f"figure {self.label!r} needs either a column or count: true")
        return self


class ColumnLayout(StrictFact):
    """A column to publish."""

    name: TableName
    title: str
    format: Format = "text"
    align: Align = "auto"
    width: int = 0


class TableLayout(StrictFact):
    """A table to publish."""

    name: TableName
    view: TableName
    title: str
    note: str = ""
    where: dict[TableName, str | int] = {}
    """Only rows whose columns hold these values."""
    other_than: dict[TableName, str | int] = {}
    """Only rows whose columns hold anything but these values."""
    columns: tuple[ColumnLayout, ...] = Field(min_length=1)
    order: tuple[str, ...] = ()
    total: tuple[TableName, ...] = ()
    tones: dict[str, Tone] = {}
    empty: str = "Nothing to show."


class Layout(StrictFact):
    """A layout file."""

    title: str
    subtitle: str = ""
    figures: tuple[FigureLayout, ...] = ()
    tables: tuple[TableLayout, ...] = ()
    notes: tuple[str, ...] = ()
