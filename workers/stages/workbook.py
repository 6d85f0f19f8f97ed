"""present.workbook: an Excel workbook of the packets, written by XlsxWriter.

A cover sheet with title, parameters, key figures, summary and contents; a sheet for each table with
frozen titles, a filter, real numbers (money as amounts with two places) and printed page numbers; a
last sheet names the artifacts it was made from. Promises the same bytes for the same packets: the
date of creation is fixed, and text is never taken for a formula or a link.
"""

import re
from datetime import UTC, datetime
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format as Style
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from contracts.artifact import Tier
from contracts.outcome import Output, Produced
from contracts.stage_payloads import PresentWorkbook
from workers.stages.browser_json import shown_parameter, title_of
from workers.stages.faults import stop_if_cancelled
from workers.stages.handler import Workbench
from workers.stages.packet import Cell, Column, Format, Packet, Table, is_number, shown
from workers.stages.packets_in import packets_of
from workers.stages.reading import payload_of

CREATED = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""Excel has no empty date; the run's ledger says when it was made."""

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_INK, _RULE, _SHADE, _QUIET = "#1F2933", "#CBD2D9", "#F2F5F7", "#616E7C"
_TONES = {
    "good": ("#DDF3E4", "#14532D"),
    "bad": ("#FBE3E1", "#8A1C12"),
    "warn": ("#FDF0CF", "#7A4D00"),
    "quiet": ("#E9EDF0", "#4A5560"),
}
_NUMBERS = {
    "money": "#,##0.00;-#,##0.00;0.00",
    "basis_points": '0.00" %"',
    "integer": "#,##0",
    "decimal": "#,##0.00##",
}
_WIDEST = 60
_LINE = 13
"""Height of a line of text, in points."""
_EXACT = 1 << 53
"""Excel's numbers are doubles: a larger integer is written as text."""


def present_workbook(bench: Workbench) -> Produced:
    """Write the workbook. Raises StageFault (packet.*)."""
    payload = payload_of(bench, PresentWorkbook)
    packets = packets_of(bench, payload)
    path = bench.scratch / payload.name
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(path, options) as book:
        book.set_properties({"title": packets[0].title, "created": CREATED})
        book.set_size(2400, 1600)
        sheets = _Sheets(book)
        sheets.cover(packets)
        for packet in packets:
            for table in packet.tables:
                stop_if_cancelled(bench.signals)
                sheets.table(packet, table)
        sheets.origins(packets)
    output = Output(name=payload.name, path=path, media_type=MEDIA_TYPE, tier=Tier.PRESENTED)
    tables = sum(len(packet.tables) for packet in packets)
    return Produced(outputs=(output,), facts={"sheets": tables + 2})


class _Sheets:
    """Writes sheets of one book with one set of styles."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._styles: dict[tuple[tuple[str, Any], ...], Style] = {}
        self._names: dict[str, str] = {}

    def _style(self, **properties: Any) -> Style:
        properties = {
            "font_name": "Calibri",
            "font_size": 10,
            "font_color": _INK,
            "valign": "top",
        } | properties
        key = tuple(sorted(properties.items()))
        if key not in self._styles:
            self._styles[key] = self._book.add_format(properties)
        return self._styles[key]

    def _sheet(self, title: str) -> Worksheet:
        """A sheet with a legal name of its own: at most 31 signs, no `[]:*?/\\`."""
        base = re.sub(r"[\[\]:*?/\\']", " ", title)[:31].strip() or "Sheet"
        name, count = base, 2
        while name.lower() in self._names:
            name, count = f"{base[:27]} {count}", count + 1
        self._names[name.lower()] = name
        sheet = self._book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
        return sheet

    def cover(self, packets: list[Packet]) -> None:
        main = packets[0]
        sheet = self._sheet("Summary")
        sheet.set_footer(f"&L&8{_footer(main)}&R&8Page &P of &N")
        sheet.set_column(0, 0, 2)
        sheet.set_column(1, 1, 34)
        sheet.set_column(2, 2, 22)
        sheet.set_column(3, 3, 70)
        sheet.set_row(1, 28)
        sheet.write_string(1, 1, main.title, self._style(bold=True, font_size=20))
        sheet.write_string(2, 1, main.subtitle, self._style(font_color=_QUIET, font_size=11))
        row = 4
        for name, value in main.parameters.items():
            if value is not None:
                sheet.write_string(row, 1, title_of(name), self._style(font_color=_QUIET))
                sheet.write_string(row, 2, shown_parameter(value), self._style(bold=True))
                row += 1
        for packet in packets:
            row = self._figures(sheet, packet, row + 1)
        if main.summary is not None:
            row = self._heading(sheet, "In words", row + 1)
            words = self._style(text_wrap=True)
            sheet.merge_range(row, 1, row, 3, main.summary.text, words)
            lines = sum(len(part) // 120 + 1 for part in main.summary.text.split("\n"))
            sheet.set_row(row, _LINE * lines)
            author = f"Written by: {main.summary.author}. Words only; every figure is computed."
            sheet.write_string(
                row + 1, 1, author, self._style(italic=True, font_size=8, font_color=_QUIET)
            )
            row += 2
        row = self._heading(sheet, "Sheets", row + 1)
        for packet in packets:
            for table in packet.tables:
                sheet.write_string(row, 1, table.title, self._style())
                sheet.write_string(row, 2, f"{len(table.rows):,} rows", self._style(align="right"))
                aside = self._style(font_color=_QUIET, align="left", indent=1)
                sheet.write_string(row, 3, table.note, aside)
                row += 1
        for note in dict.fromkeys(note for packet in packets for note in packet.notes):
            row += 1
            sheet.write_string(row, 1, note, self._style(font_size=9, font_color=_QUIET))

    def _heading(self, sheet: Worksheet, title: str, row: int) -> int:
        style = self._style(bold=True, font_size=12, bottom=1, bottom_color=_RULE)
        for column in (1, 2, 3):
            sheet.write_string(row, column, title if column == 1 else "", style)
        return row + 1

    def _figures(self, sheet: Worksheet, packet: Packet, row: int) -> int:
        if not packet.figures:
            return row
        row = self._heading(sheet, packet.title, row)
        for figure in packet.figures:
            fill, ink = _TONES[figure.tone] if figure.tone else ("#FFFFFF", _INK)
            style = self._style(
                bold=True,
                bg_color=fill,
                font_color=ink,
                align="right",
                num_format=_NUMBERS.get(figure.format, "General"),
            )
            sheet.write_string(row, 1, figure.label, self._style())
            _write(sheet, row, 2, figure.value, figure.format, style=style)
            sheet.write_string(
                row,
                3,
                figure.note,
                self._style(font_color=_QUIET, text_wrap=True, align="left", indent=1),
            )
            row += 1
        return row

    def table(self, packet: Packet, table: Table) -> None:
        sheet = self._sheet(table.title)
        sheet.set_footer(f"&L&8{_footer(packet)}&R&8Page &P of &N")
        sheet.write_string(0, 0, table.title, self._style(bold=True, font_size=14))
        sheet.write_string(1, 0, table.note, self._style(font_color=_QUIET))
        head, last = 3, len(table.columns) - 1
        tallest = 1
        for place, column in enumerate(table.columns):
            style = self._style(
                bold=True,
                text_wrap=True,
                bg_color=_SHADE,
                bottom=1,
                bottom_color=_INK,
                **_side(column),
            )
            width = _width(table, place, column)
            tallest = max(tallest, -(-len(column.title) // (width - 2)))
            sheet.write_string(head, place, column.title, style)
            sheet.set_column(place, place, width)
        sheet.set_row(head, _LINE * tallest + 3)
        for number, row in enumerate(table.rows):
            for place, value in enumerate(row):
                self._cell(sheet, head + 1 + number, place, table, value)
        if not table.rows:
            sheet.write_string(head + 1, 0, table.empty, self._style(italic=True))
        else:
            sheet.autofilter(head, 0, head + len(table.rows), last)
        if table.total:
            self._totals(sheet, head + 1 + len(table.rows), table)
        sheet.freeze_panes(head + 1, 1)
        sheet.repeat_rows(head)

    def _cell(self, sheet: Worksheet, row: int, place: int, table: Table, value: Cell) -> None:
        column = table.columns[place]
        properties: dict[str, Any] = {"bottom": 4, "bottom_color": _RULE}
        if is_number(column.format):
            properties["num_format"] = _NUMBERS[column.format]
        properties |= _side(column)
        if column.format == "text" and not column.to_the_right:
            properties["text_wrap"] = True
        if column.format == "status" and (tone := table.tones.get(str(value))):
            fill, ink = _TONES[tone]
            properties |= {"bg_color": fill, "font_color": ink, "bold": True}
        _write(sheet, row, place, value, column.format, style=self._style(**properties))

    def _totals(self, sheet: Worksheet, row: int, table: Table) -> None:
        for place, value in enumerate(table.total or ()):
            column = table.columns[place]
            style = self._style(
                bold=True,
                top=1,
                bottom=6,
                top_color=_INK,
                bottom_color=_INK,
                align="right" if column.to_the_right else "left",
                num_format=_NUMBERS.get(column.format, "General"),
            )
            label = "Total" if place == 0 and value is None else value
            _write(sheet, row, place, label, column.format, style=style)

    def origins(self, packets: list[Packet]) -> None:
        sheet = self._sheet("Made from")
        sheet.set_footer("&R&8Page &P of &N")
        titles = (("Stage", 24), ("Partition", 14), ("Artifact", 26), ("Rows", 12), ("SHA-256", 70))
        head = self._style(bold=True, bg_color=_SHADE, bottom=1, bottom_color=_INK)
        for place, (title, width) in enumerate(titles):
            sheet.write_string(0, place, title, head)
            sheet.set_column(place, place, width)
        origins = dict.fromkeys(origin for packet in packets for origin in packet.origins)
        for row, origin in enumerate(origins, start=1):
            for place, text in enumerate((origin.stage, origin.partition, origin.name)):
                sheet.write_string(row, place, text, self._style())
            number = self._style(align="right", num_format="#,##0")
            _write(sheet, row, 3, origin.rows, "integer", style=number)
            sheet.write_string(
                row, 4, origin.digest, self._style(font_name="Consolas", font_size=9)
            )
        sheet.freeze_panes(1, 0)


def _write(
    sheet: Worksheet, row: int, place: int, value: Cell, kind: Format, *, style: Style
) -> None:
    """A number where Excel keeps it exactly to the cent; text otherwise."""
    if value is None:
        sheet.write_blank(row, place, None, style)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < _EXACT:
        # The nearest double to the amount; Excel shows fifteen digits of it, cents included.
        number = value / 100 if kind in {"money", "basis_points"} else value
        sheet.write_number(row, place, number, style)
    else:
        sheet.write_string(row, place, shown(value, kind), style)


def _side(column: Column) -> dict[str, Any]:
    """Text keeps a little distance from the number on its left."""
    return {"align": "right"} if column.to_the_right else {"align": "left", "indent": 1}


def _width(table: Table, place: int, column: Column) -> int:
    longest = max((len(shown(row[place], column.format)) for row in table.rows), default=0)
    title = max(len(word) for word in column.title.split() or [""])
    total = len(shown(table.total[place], column.format)) if table.total else 0
    return min(column.width or max(longest, title, total, 6) + 3, _WIDEST)


def _footer(packet: Packet) -> str:
    """`&` begins a code in Excel's footers."""
    return f"{packet.title}, {packet.tenant}".replace("&", "&&")
