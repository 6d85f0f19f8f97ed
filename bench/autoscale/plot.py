"""Lines over time as an SVG that reads on light and dark pages. The same input, the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _GAP = 860, 0, 64, 34, 150, 46
_INPUTS = 18
_HOUR = 3600
_COLOURS = ("#2a78c2", "#d9822b", "#3d9a50")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart: a title, and named lines over the same times (seconds)."""

    title: str
    times: Sequence[float]
    lines: Sequence[tuple[str, Sequence[float]]]
    mark: float | None = None
    """A level worth a dashed line, such as a target."""


def drawn(heading: str, panels: Sequence[Panel], inputs: str = "") -> str:
    """The document. `inputs`: what the figures stand on, beneath the heading."""
    height = _TOP + _INPUTS + len(panels) * (_PANEL + _GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{heading}</text>',
        f'<text x="{_LEFT}" y="38" fill="#333">{inputs}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _TOP + _INPUTS + 18 + number * (_PANEL + _GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float) -> list[str]:
    width = _WIDTH - _LEFT - 20
    last = panel.times[-1] or 1.0
    most = max([panel.mark or 0.0, *(max(values) for _, values in panel.lines)]) * 1.08 or 1.0

    def x(at: float) -> float:
        return round(_LEFT + at / last * width, 1)

    def y(value: float) -> float:
        return round(top + _PANEL - value / most * _PANEL, 1)

    parts = [f'<text x="{_LEFT}" y="{top - 6}" fill="#333">{panel.title}</text>']
    for share in (0, 0.5, 1):
        level = most * share / 1.08
        parts += [_level(y(level), width), _text(_LEFT - 6, y(level) + 4, "end", f"{level:,.4g}")]
    parts += [
        _text(x(minutes * 60), top + _PANEL + 15, "middle", f"{minutes} min")
        for minutes in range(0, int(last // 60) + 1, 20 if last > _HOUR else 5)
    ]
    if panel.mark is not None:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y(panel.mark)}" y2="{y(panel.mark)}" '
            'stroke="#b00020" stroke-dasharray="5 4"/>'
        )
    for number, (name, values) in enumerate(panel.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(f"{x(at)},{y(v)}" for at, v in zip(panel.times, values, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        right = _LEFT + width - 130 * (len(panel.lines) - 1 - number)
        parts.append(
            f'<text x="{right}" y="{top - 6}" text-anchor="end" fill="{colour}">{name}</text>'
        )
    return parts


def _level(y: float, width: float) -> str:
    return f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y}" y2="{y}" stroke="#ddd"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#555">{text}</text>'
