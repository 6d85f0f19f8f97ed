"""Bar charts as SVG, without a library: labels, bars, figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LABELS, _FIGURES = 760, 230, 90
_ROW, _TOP = 26, 44
_OURS, _THEIRS, _SECOND = "#1b7f5c", "#7a8794", "#b9c2ca"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `second` is a paler bar behind the first, of the same unit."""

    label: str
    value: float
    second: float | None = None
    ours: bool = False


def chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """The bars from the largest value on, in the order given."""
    largest = max(max(bar.value, bar.second or 0) for bar in bars) or 1
    room = _WIDTH - _LABELS - _FIGURES
    height = _TOP + _ROW * len(bars) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" '
        f'aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="600">{escape(title)}'
        f'<tspan fill="#5b6670" font-weight="400"> {escape(unit)}</tspan></text>',
    ]
    for place, bar in enumerate(bars):
        top = _TOP + _ROW * place
        parts.append(
            f'<text x="{_LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(bar.label)}</text>'
        )
        if bar.second is not None:
            parts.append(_bar(top + 1, room * bar.second / largest, 17, _SECOND))
        colour = _OURS if bar.ours else _THEIRS
        parts.append(_bar(top + 4, room * bar.value / largest, 11, colour))
        longest = max(bar.value, bar.second or 0)
        figures = _figure(bar.value)
        if bar.second is not None:
            figures += f" / {_figure(bar.second)}"
        x = _LABELS + room * longest / largest + 6
        parts.append(f'<text x="{x:.1f}" y="{top + 14}" fill="#333">{figures}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(top: int, width: float, height: int, colour: str) -> str:
    return (
        f'<rect x="{_LABELS}" y="{top}" width="{max(width, 1):.1f}" height="{height}" '
        f'fill="{colour}"/>'
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
