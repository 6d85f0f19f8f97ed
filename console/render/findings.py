"""Findings of `fleet doctor` for people."""

from collections.abc import Sequence

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from console.doctor.finding import Finding, Verdict
from console.render.marks import shown

_LOOKS = {
    Verdict.OK: ("✓", "+", "green"),
    Verdict.WARNING: ("!", "!", "yellow"),
    Verdict.FAULT: ("✗", "x", "bold red"),
}
_PART_WIDTH = 12


def line_of(finding: Finding, *, plain: bool) -> Group:
    """The finding on one line, its remedy indented below. `plain`: ASCII."""
    fancy, ascii_, style = _LOOKS[finding.verdict]
    row = Table.grid(padding=(0, 1))
    row.add_column(width=1)
    row.add_column(width=_PART_WIDTH)
    row.add_column(overflow="fold")
    row.add_row(Text(ascii_ if plain else fancy, style=style), finding.part, shown(finding.says))
    if not finding.remedy:
        return Group(row)
    remedy = Text(shown(finding.remedy), style="italic")
    return Group(row, Padding(remedy, (0, 0, 0, _PART_WIDTH + 3), expand=False))


def summary_of(found: Sequence[Verdict]) -> Text:
    """The last line: how many of each."""
    faults, warnings = found.count(Verdict.FAULT), found.count(Verdict.WARNING)
    if not faults and not warnings:
        return Text("all is well", style="green")
    words = [
        f"{count} {name}{'s' if count > 1 else ''}"
        for count, name in ((faults, "fault"), (warnings, "warning"))
        if count
    ]
    return Text(", ".join(words), style=_LOOKS[Verdict.FAULT if faults else Verdict.WARNING][2])
