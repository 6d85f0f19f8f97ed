"""The process that writes a SQLite ledger: what it does, and how it is started.

SQLite's driver takes the interpreter's lock anew for every step of a statement. Beside a busy event
loop each of them waits for up to 5 ms: a transaction then takes ten times as long, and the loop has
nothing to do meanwhile (docs/decisions/0007). A process of its own costs 60 MiB and lets a worker's
two halves run on two cores. Other databases answer over a socket, and need none of it.

It reads batches from a pipe and answers each, in order; it ends with the pipe, however its owner
ends. `apart_writer` is the owner's side.
"""

import contextlib
import gc
import pickle
import signal
import socket
import struct
import subprocess
import sys
from io import BufferedRWPair
from typing import Any

from fleet.ledger.batches import Batch, carried_out
from fleet.ledger.checkpoints import checkpointed
from fleet.ledger.database import open_engine, sqlite_file
from fleet.ledger.turns import turns

HEAD = struct.Struct(">I")
"""The length of what follows in the pipe."""
_ENDS_WITHIN = 5.0
"""Seconds for the process to end once its pipe is closed."""


class WriterProcess:
    """The process, and this side of its pipe. Starts it at once."""

    def __init__(self, url: str) -> None:
        self.pipe, theirs = socket.socketpair()
        with theirs:
            # Not multiprocessing's own start: it would import the owner's main module there.
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                [sys.executable, "-m", "fleet.ledger.apart", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        # Not an argument, which everybody on the machine could read.
        self.pipe.sendall(framed(url.encode()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        """Wait for it, a while; its pipe is closed. Twice is harmless. Blocks."""
        self.pipe.close()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """At once: what it had begun is undone by the database."""
        self._process.kill()
        self._process.wait()


def framed(text: bytes) -> bytes:
    """As it travels."""
    return HEAD.pack(len(text)) + text


def _serve(pipe: BufferedRWPair) -> None:
    """Until the owner is gone."""
    url = _next(pipe).decode()
    engine = open_engine(url)
    try:
        with turns(url) as turn, checkpointed(engine, sqlite_file(url)) as written:
            while asked := _next(pipe):
                batch: Batch = pickle.loads(asked)  # noqa: S301 - our own
                with turn:
                    answers = carried_out(engine, batch)
                pipe.write(framed(_sendable(answers)))
                pipe.flush()
                written()
    finally:
        engine.dispose()


def _next(pipe: BufferedRWPair) -> bytes:
    """Empty once the owner is gone."""
    head = pipe.read(HEAD.size)
    return pipe.read(HEAD.unpack(head)[0]) if len(head) == HEAD.size else b""


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
    with (
        contextlib.suppress(OSError),
        socket.socket(fileno=int(sys.argv[1])) as pipe,
        pipe.makefile("rwb") as file,
    ):
        _serve(file)


if __name__ == "__main__":
    main()
