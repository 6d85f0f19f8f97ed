"""What a process prints, redacted: the last way by which a secret could reach a log.

The log's own lines are redacted as records (`logs`). This is for everything else that ends up in
the same file: a handler's `print`, a library's warning, the traceback of a process that dies.
"""

import io
import sys
from typing import TextIO

from fleet.telemetry.redact import redacted

_LONGEST = 8192
"""Characters of a line without an end that are held back at most."""


def redact_output() -> None:
    """From now on this process's stdout and stderr are redacted. What native code writes past
    Python is not."""
    sys.stdout, sys.stderr = RedactedOutput(sys.stdout), RedactedOutput(sys.stderr)


class RedactedOutput(io.TextIOBase):
    """Passes whole lines on, redacted; `flush` passes on what there is of the last one."""

    def __init__(self, target: TextIO) -> None:
        self._target, self._begun = target, ""

    def write(self, text: str) -> int:
        whole, end, self._begun = (self._begun + text).rpartition("\n")
        if end:
            lines = (redacted(line) for line in whole.split("\n"))
            self._target.write("\n".join(lines) + "\n")
        if len(self._begun) > _LONGEST:
            self.flush()
        return len(text)

    def flush(self) -> None:
        begun, self._begun = self._begun, ""
        if begun:
            self._target.write(redacted(begun))
        self._target.flush()

    def fileno(self) -> int:
        return self._target.fileno()

    def isatty(self) -> bool:
        return self._target.isatty()

    def writable(self) -> bool:
        return True
