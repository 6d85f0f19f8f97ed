"""What people write on the command line: `--param name=value` as the pipeline types it; a time."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from console.errors import Refused
from contracts.pipeline import ParameterType
from contracts.request import Parameter

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def split_parameters(words: Iterable[str]) -> dict[str, str]:
    """Values by name. Raises Refused for a word without `=` and for a name given twice."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Refused("--param takes name=value, for example --param year=2024")
        if name in given:
            raise Refused(f"the parameter {name} is given twice")
        given[name] = value
    return given


def typed(given: Mapping[str, str], types: Mapping[str, ParameterType]) -> dict[str, Parameter]:
    """The values with their types. What does not fit is sent as it is: the dispatcher says what
    is wrong with it, and on which line of the pipeline."""
    return {name: _typed(value, types.get(name)) for name, value in given.items()}


def time_of(text: str, now: datetime) -> datetime:
    """`90m`, `24h`, `7d`: so long before `now`; or a time of ISO 8601, in UTC where it names no
    zone. Raises Refused."""
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(f"{text[:40]!r} is no time: 90m, 24h, 7d, or 2026-01-31T12:00") from None


def maybe_time(text: str | None, now: datetime) -> datetime | None:
    """The same of an option that need not be given."""
    return None if text is None else time_of(text, now)


def _typed(value: str, kind: ParameterType | None) -> Parameter:
    if kind is ParameterType.BOOLEAN and value.casefold() in _TRUE | _FALSE:
        return value.casefold() in _TRUE
    if kind is ParameterType.INTEGER:
        try:
            return int(value)
        except ValueError:
            return value
    return value
