"""Times as people write them: a moment, or how long from now."""

import re
from datetime import UTC, datetime, timedelta

from console.errors import Refused

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def moment(text: str, now: datetime) -> datetime:
    """`2026-11-26T08:00+01:00`; without a zone, this machine's; `08:00` is the next one. In UTC.

    Raises Refused for what is no time, or lies in the past.
    """
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = (int(part) for part in text.split(":"))
            here = now.astimezone()
            # Where it has passed: the same wall time tomorrow, whatever the clocks do.
            found = here.replace(tzinfo=None, hour=hour, minute=minute, second=0, microsecond=0)
            at = found.astimezone(UTC)
            if at <= now:
                at = (found + timedelta(days=1)).astimezone(UTC)
        else:
            at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(
            f"{text!r} is no time: write 2026-11-26T08:00+01:00, 2026-11-26T08:00 or 08:00"
        ) from None
    if at <= now:
        raise Refused(f"{text} lies in the past ({at:%Y-%m-%dT%H:%M:%SZ})")
    return at


def span(text: str) -> timedelta:
    """`1d2h30m`, `45s`. Raises Refused."""
    found = _SPAN.fullmatch(text)
    if not text or found is None or len(text) > 20:
        raise Refused(f"{text!r} is no span of time: write 90s, 30m, 2h, 1d or 1d12h")
    return timedelta(
        **{
            _UNITS[unit]: int(number or 0)
            for unit, number in zip("dhms", found.groups(), strict=True)
        }
    )
