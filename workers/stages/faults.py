"""Words for faults: what a driver said, without the addresses and paths it likes to mention.

Promises that no URL, absolute path or `password=...` survives in a message. Leaves to the caller
which code a fault gets.
"""

import re

from contracts.outcome import FaultKind
from workers.stages.handler import Signals, StageFault

_LONGEST = 500

_PATTERNS = (
    (re.compile(r"""(["'])(?:/|[A-Za-z]:\\|\\\\)[^"']*\1"""), "<path>"),
    (re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+"), "<address>"),
    (
        re.compile(r"(?i)\b(password|pwd|secret|token|sig|sas|accountkey|key)=[^\s;,'\"]+"),
        r"\1=<*>",
    ),
    (re.compile(r"(?<![\w<./])(?:[A-Za-z]:\\|\\\\)[^\s'\"<>]+"), "<path>"),
    (re.compile(r"(?<![\w<.])/(?:[^\s'\":,;()<>/]+/?)+"), "<path>"),
)


def plain(message: object, *hidden: str) -> str:
    """`message` on one line, at most 500 characters, without addresses, paths and `hidden`."""
    # DuckDB shows the line of SQL below an empty line; the words above it say what happened.
    text = str(message).split("\n\n", 1)[0]
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(secret, "<address>")
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def stop_if_cancelled(signals: Signals) -> None:
    """Raises StageFault (cancelled) when the executor asked to stop."""
    if signals.cancelled():
        raise cancelled()


def cancelled() -> StageFault:
    """The fault of an attempt that was stopped."""
    return StageFault(FaultKind.CANCELLED, "cancelled", "stopped as asked; nothing was produced")
