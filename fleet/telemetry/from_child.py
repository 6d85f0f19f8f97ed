"""Log lines of a process that runs handlers, handed to the worker that started it.

The worker logs them as its own, in the context of the attempt: they stand in its log and on the
task. A line that was handed over is there even if the process is killed the moment after.
"""

import logging
from collections.abc import Callable

from fleet.telemetry.logs import STACK, listen, stack_told
from fleet.telemetry.redact import redacted


class LineFromChild(dict[str, object]):
    """A log record as it goes through a pipe: texts and numbers alone."""


class LinesToParent(logging.Handler):
    """Gives each record to `send` while `open`; between two tasks a line is nobody's."""

    def __init__(self, send: Callable[[object], None]) -> None:
        super().__init__()
        self._send, self._open = send, False

    def emit(self, record: logging.LogRecord) -> None:
        """Under the handler's own lock, which `answer` takes as well."""
        if self._open:
            self._send(
                LineFromChild(
                    name=record.name,
                    levelno=record.levelno,
                    levelname=record.levelname,
                    created=record.created,
                    msg=redacted(record.getMessage()),
                    **{STACK: stack_told(record)},
                )
            )

    def begin(self) -> None:
        """A task begins."""
        self._open = True

    def answer(self, outcome: object) -> None:
        """Send a task's outcome; it has no more lines."""
        self.acquire()
        try:
            self._open = False
            self._send(outcome)
        finally:
            self.release()


def start_child_logging(send: Callable[[object], None]) -> LinesToParent:
    """From now on what this process logs goes through `send`."""
    lines = LinesToParent(send)
    listen(lines)
    return lines


def log_from_child(line: LineFromChild) -> None:
    """Log it here."""
    record = logging.makeLogRecord(line)
    logging.getLogger(record.name).handle(record)
