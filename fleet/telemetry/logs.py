"""Logs of a process: one line an event on standard error, plain for a terminal, else JSON.

Every line is redacted and carries the trace it belongs to. Libraries are heard from WARNING on:
some of them print pre-authenticated addresses at INFO.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace

from fleet.telemetry.redact import redacted

STACK = "leaf_stack"
"""Where a record that came from another process has the stack of its fault."""
_OURS = ("__main__", "console", "dispatcher", "fleet", "localbus", "policies", "workers")


def start_logging(
    service: str,
    *,
    stream: TextIO | None = None,
    plain: bool | None = None,
    level: int = logging.INFO,
) -> None:
    """Log this process's events to `stream`, standard error by default. Calling it again replaces
    what was set up before. `plain` is decided by whether the stream is a terminal."""
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        PlainLine() if (out.isatty() if plain is None else plain) else JsonLine(service)
    )
    listen(handler, level)


def listen(handler: logging.Handler, level: int = logging.INFO) -> None:
    """Have one handler take what is logged: ours from `level` on, libraries' from WARNING on."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)


def hear(function: Callable[..., object]) -> None:
    """Log INFO of the package that a function is of, too: a handler of somebody else's."""
    package = getattr(function, "__module__", "").partition(".")[0]
    if package:
        logging.getLogger(package).setLevel(logging.INFO)


class JsonLine(logging.Formatter):
    """A record as one line of JSON: at, level, service, logger, message; trace and stack if any."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _at(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
            line["span_id"] = f"{context.span_id:016x}"
        if stack := stack_told(record):
            line["stack"] = stack
        return json.dumps(line, ensure_ascii=False)


class PlainLine(logging.Formatter):
    """A record for people: time, level, logger, message, and the stack beneath."""

    def format(self, record: logging.LogRecord) -> str:
        message = redacted(record.getMessage())
        text = f"{_at(record):%H:%M:%S} {record.levelname:<7} {record.name}: {message}"
        return text + "".join(f"\n    {line}" for line in stack_told(record))


def stack_told(record: logging.LogRecord) -> list[str]:
    """The stack of the record's fault, if it has one."""
    if record.exc_info and record.exc_info[1]:
        return stack_of(record.exc_info[1])
    told: list[str] = getattr(record, STACK, [])
    return told


def stack_of(fault: BaseException) -> list[str]:
    """Where a fault came from, outermost first: `module.function:line`, then what it says, then
    the same for its causes. By module, for a file's path is this machine's own business."""
    lines = [
        f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}:{number}"
        for frame, number in traceback.walk_tb(fault.__traceback__)
    ]
    lines.append(f"{type(fault).__name__}: {redacted(str(fault))}")
    if isinstance(fault, BaseExceptionGroup):
        for part in fault.exceptions:
            lines += stack_of(part)
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return [*lines, "because of:", *stack_of(cause)] if cause is not None else lines


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
