"""How states and times look, the same in every table and drawing."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.text import Text

from contracts.states import State

_LOOKS: dict[State, tuple[str, str, str]] = {
    # The mark, the mark where the terminal knows no Unicode, the style.
    State.WAITING: ("·", ".", "dim"),
    State.QUEUED: ("○", "o", "cyan"),
    State.RUNNING: ("●", "*", "bold blue"),
    State.RETRYING: ("↻", "r", "yellow"),
    State.HELD: ("‖", "h", "yellow"),
    State.PARKED: ("◇", "p", "yellow"),
    State.SUCCEEDED: ("✓", "+", "green"),
    State.FAILED: ("✗", "x", "bold red"),
    State.DENIED: ("⊘", "d", "bold red"),
    State.CANCELLED: ("-", "-", "dim"),
    State.DEAD: ("✗", "X", "bold red"),
}

_LONGEST = 2000
"""Characters of somebody else's words that are shown."""
_BRIEF = 300
_LOUDEST = (
    State.DEAD,
    State.FAILED,
    State.DENIED,
    State.HELD,
    State.PARKED,
    State.RUNNING,
    State.RETRYING,
    State.QUEUED,
    State.WAITING,
    State.CANCELLED,
    State.SUCCEEDED,
)
"""What one mark says of several tasks: the first of these that any of them is in."""


def mark(state: State, *, plain: bool = False) -> Text:
    """One character. `plain`: ASCII."""
    fancy, ascii_, style = _LOOKS[state]
    return Text(ascii_ if plain else fancy, style=style)


def word(state: State) -> Text:
    """The state's name in its colour."""
    return Text(state.value, style=_LOOKS[state][2])


def style(state: State) -> str:
    return _LOOKS[state][2]


def summary(states: Mapping[State, int]) -> State:
    """The one state that says most about several tasks; `waiting` where there are none yet."""
    return next((state for state in _LOUDEST if states.get(state)), State.WAITING)


def counted(states: Mapping[State, int]) -> str:
    """`9 succeeded, 1 running`, in the table's order."""
    return ", ".join(f"{states[state]} {state}" for state in State if states.get(state))


def span(elapsed: timedelta) -> str:
    """`0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`."""
    seconds = max(elapsed.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{int(seconds) // 86400} d {int(seconds) % 86400 // 3600:02d} h"


def clock_time(at: datetime) -> str:
    """UTC, to the second, as every table shows it."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def inert(text: str) -> str:
    """`text` that somebody else wrote, unable to steer the terminal: control characters marked."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def shown(text: str, most: int = _LONGEST) -> str:
    """The same of somebody's words, and of very long ones the beginning: --json has the whole."""
    if len(text) > most:
        text = text[:most] + f"… ({len(text):,} characters)"
    return inert(text)


def brief(text: str) -> str:
    """The same for a row of a list: a look at one thing tells more."""
    return shown(text, _BRIEF)


_SHORT = 23
"""Characters of an id where there is little room: every command takes a beginning."""


def short(id_: str, *, wide: bool) -> str:
    """An id in a table: whole where there is room for it."""
    return shown(id_ if wide else id_[:_SHORT])


def when(at: datetime, *, wide: bool) -> str:
    """A time in a table: without its year and seconds where there is little room."""
    return clock_time(at) if wide else at.strftime("%m-%d %H:%MZ")


def size(count: int) -> str:
    """`812 B`, `4.0 KiB`, `17.3 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount, units = count / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.1f} {units[0]}"
