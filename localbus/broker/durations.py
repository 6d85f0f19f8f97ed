"""ISO 8601 durations of days and smaller, as the service writes them."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<d>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<h>\d+(?:\.\d+)?)H)?(?:(?P<m>\d+(?:\.\d+)?)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_SPANS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}


def parse_duration(text: str) -> int:
    """A duration in milliseconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or match["sign"] or not any(match[part] for part in _SPANS_MS):
        raise ValueError(f"{text!r} is not a duration like PT1M30S or P14D")
    return round(sum(float(match[part] or 0) * span for part, span in _SPANS_MS.items()))
