"""Writing to a SQLite ledger from a process of its own.

SQLite's driver takes the interpreter's lock anew for every step of a statement. Beside a busy event
loop each of them waits for up to 5 ms: a transaction then takes ten times as long, and the loop has
nothing to do meanwhile (docs/decisions/0007). A process of its own costs 60 MiB and lets a worker's
two halves run on two cores. Other databases answer over a socket, and need none of it.

The process reads batches from a pipe and answers each; it ends with the pipe, however its owner
ends. When it dies itself, another one is started, and what was not answered is tried again there:
as after a lost connection, it may have been committed, and every operation bears that.
"""

import contextlib
import fcntl
import gc
import logging
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from fleet.ledger.batches import Batch, carried_out
from fleet.ledger.database import open_engine, sqlite_file
from fleet.ledger.errors import LedgerBusy

_log = logging.getLogger(__name__)

_TRIES = 3
"""Of one batch that a process died with."""
_ENDS_WITHIN = 5.0
"""Seconds for the process to end once its pipe is closed."""


class WriterProcess:
    """The process; `carried_out` from one thread at a time. Starts it at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def carried_out(self, batch: Batch) -> list[Any]:
        """As batches.carried_out, there. Blocks."""
        asked = pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
        for _ in range(_TRIES):
            try:
                self._pipe.send_bytes(asked)
                answers: list[Any] = pickle.loads(self._pipe.recv_bytes())  # noqa: S301 - our own
            except (EOFError, OSError):
                _log.warning("the process that writes the ledger ended; another one is started")
                self.close()
                self._start()
            else:
                return answers
        return [LedgerBusy(f"the process that writes the ledger ended {_TRIES} times")] * len(batch)

    def close(self) -> None:
        """Let go of it. Twice is harmless."""
        self._pipe.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not multiprocessing's own start: it would import the owner's main module there.
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                [sys.executable, "-m", "fleet.ledger.apart", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._pipe: Connection[Any, Any] = Connection(ours.detach())
        # A path; not an argument, which everybody on the machine could read.
        self._pipe.send_bytes(self._url.encode())


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Until the owner is gone."""
    url = pipe.recv_bytes().decode()
    engine = open_engine(url)
    try:
        with _turns(url) as turn:
            while True:
                batch: Batch = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our own
                with turn:
                    answers = carried_out(engine, batch)
                pipe.send_bytes(_sendable(answers))
    finally:
        engine.dispose()


class _Turn:
    """One writing process at a time, the next one woken at once.

    SQLite itself lets a process that finds the file locked look again, after up to 0.1 s. Correct
    without: whoever writes otherwise waits in SQLite's way.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


@contextlib.contextmanager
def _turns(url: str) -> Iterator[contextlib.AbstractContextManager[None]]:
    database = sqlite_file(url)
    if database is None:
        yield contextlib.nullcontext()
        return
    with database.with_name(f"{database.name}-turn").open("ab") as file:
        yield _Turn(file.fileno())


def _sendable(answers: list[Any]) -> bytes:
    try:
        return pickle.dumps(answers, pickle.HIGHEST_PROTOCOL)
    except Exception:  # an error of a library that does not travel
        return pickle.dumps([_told(answer) for answer in answers], pickle.HIGHEST_PROTOCOL)


def _told(answer: Any) -> Any:
    if not isinstance(answer, Exception):
        return answer
    return RuntimeError(f"{type(answer).__name__}: {answer}")


def main() -> None:
    # A signal to the whole group is the owner's to act on: what it still submits is to be written.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    with contextlib.suppress(EOFError, OSError):
        _serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
