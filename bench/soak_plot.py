"""The picture of a soak: one panel a figure, one line a process, a tick for each fault. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol
from xml.sax.saxutils import escape

FIGURES = {"memory": " MiB", "files": "", "threads": "", "processes": ""}
_COLOURS = {"dispatcher": "#1f6feb", "worker": "#bf4b00", "bus": "#2da44e"}
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 110, 60, 46, 34


class Strike(NamedTuple):
    """A fault, and when; in seconds of the soak."""

    at: float
    fault: str


class Read(Protocol):
    """One process at one moment."""

    @property
    def at(self) -> float: ...
    @property
    def process(self) -> str: ...


def drawn(samples: Sequence[Read], strikes: Sequence[Strike]) -> str:
    """The SVG. Figures are the attributes of a sample that FIGURES names."""
    end = max(sample.at for sample in samples)
    bottom = _TOP + len(FIGURES) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {bottom + 24}"'
        ' font-family="sans-serif" font-size="12" fill="#57606a">',
        f"<title>Memory, open files, threads and processes over {end / 60:.0f} minutes</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *_legend(),
    ]
    for place, (figure, unit) in enumerate(FIGURES.items()):
        parts += _panel(samples, figure, unit, _TOP + place * (_HEIGHT + _GAP), end)
    parts += [
        f'<line x1="{x:.1f}" y1="{bottom - 14}" x2="{x:.1f}" y2="{bottom - 4}" stroke="#cf222e"/>'
        for x in (_x(strike.at, end) for strike in strikes)
    ]
    parts += [
        f'<text x="{_LEFT - 6}" y="{bottom - 4}" text-anchor="end">faults</text>',
        *(
            f'<text x="{_x(minute * 60, end):.1f}" y="{bottom + 14}" text-anchor="middle">'
            f"{minute} min</text>"
            for minute in range(0, int(end // 60) + 1, 5)
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(at: float, end: float) -> float:
    return _LEFT + _WIDTH * at / end


def _legend() -> Iterable[str]:
    for place, (process, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + place * 120
        yield f'<rect x="{x}" y="12" width="14" height="4" fill="{colour}"/>'
        yield f'<text x="{x + 20}" y="18">{escape(process)}</text>'


def _panel(
    samples: Sequence[Read], figure: str, unit: str, top: float, end: float
) -> Iterable[str]:
    most = max(float(getattr(sample, figure)) for sample in samples) * 1.1 or 1.0
    yield (
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none"'
        ' stroke="#d0d7de"/>'
    )
    yield f'<text x="{_LEFT + 6}" y="{top + 15}" font-weight="bold">{figure}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.0f}{unit}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">0</text>'
    for process, colour in _COLOURS.items():
        points = " ".join(
            f"{_x(s.at, end):.1f},{top + _HEIGHT * (1 - float(getattr(s, figure)) / most):.1f}"
            for s in samples
            if s.process == process
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
