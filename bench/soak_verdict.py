"""Whether anything grew in a soak: each figure of each process, early, halfway and late. Pure.

Medians of a sixth of the time each, so that no single fault decides. Caches with a bound may fill:
memory may rise by the ledger's page cache over the whole time, but hardly in its second half.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.soak_plot import FIGURES, Read

_PAGE_CACHE = 32.0
"""MiB; the bound of each process that writes (fleet.ledger.database)."""
_SIXTHS = {"early": (1 / 6, 1 / 3), "halfway": (1 / 2, 2 / 3), "late": (5 / 6, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """One figure of one process."""

    process: str
    figure: str
    early: float
    halfway: float
    late: float

    @property
    def most(self) -> float:
        """The most that `late` may be."""
        match self.figure:
            case "memory":
                return min(self.early + _PAGE_CACHE, self.halfway * 1.02 + 4)
            case "files":
                # A socket that the other side cut is closed by the garbage collector, in time.
                return self.early * 1.2 + 10
            case "threads":
                return self.early + 2
            case _:
                return self.early + 1

    @property
    def held(self) -> bool:
        return self.late <= self.most


def grown(samples: Sequence[Read]) -> list[Grown]:
    """Every figure of every process that was read, in the order of their first reading."""
    end = max(sample.at for sample in samples)
    return [
        Grown(
            process=process,
            figure=figure,
            **{
                name: statistics.median(
                    float(getattr(sample, figure))
                    for sample in samples
                    if sample.process == process and first * end <= sample.at <= last * end
                )
                for name, (first, last) in _SIXTHS.items()
            },
        )
        for process in dict.fromkeys(sample.process for sample in samples)
        for figure in FIGURES
    ]


def table(rows: Sequence[Grown]) -> str:
    """As Markdown, with what each may have come to."""
    lines = [
        "| process | figure | early | halfway | late | at most | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        unit, word = FIGURES[row.figure], "held" if row.held else "GREW"
        figures = (row.early, row.halfway, row.late, row.most)
        told = " | ".join(f"{figure:,.0f}{unit}" for figure in figures)
        lines.append(f"| {row.process} | {row.figure} | {told} | {word} |")
    return "\n".join(lines)
