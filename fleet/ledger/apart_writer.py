"""The group-commit writer of a ledger that is written from a process of its own.

What `writer.Writer` is for other ledgers, without its thread: between a busy event loop and that
process a thread would wait for the interpreter's lock, several times for each batch and up to 5 ms
each time. The loop itself sends batches down the pipe and hands the answers out. Two are under way
at a time, so that the process finds the next one as it answers.

When the process dies, another one is started, and what was not answered is tried again there: as
after a lost connection, it may have been committed, and every operation bears that.
"""

import asyncio
import logging
import pickle
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from fleet.ledger.apart import HEAD, WriterProcess, framed
from fleet.ledger.batches import A, Operation, R
from fleet.ledger.errors import LedgerBusy, LedgerClosed
from fleet.ledger.submitted import Submitted, hand_out
from fleet.ledger.writer import BATCH

_log = logging.getLogger(__name__)

_UNDER_WAY = 2
"""Batches: one that is carried out, and one that waits in the pipe."""
_TRIES = 3
"""Of one batch that a process died with."""


class ApartWriter:
    """Belongs to the event loop that it is opened in; others, and threads, may submit as well."""

    def __init__(self, engine: Engine, url: str) -> None:
        """Use `open`."""
        self.engine = engine
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Submitted] = deque()
        self._sent: deque[list[Submitted]] = deque()
        self._since: float | None = None
        self._died_with_first = 0
        self._sending = self._closing = False
        self._done = asyncio.Event()
        self._process: WriterProcess
        self._pipe: asyncio.WriteTransport | None = None

    @classmethod
    async def open(cls, engine: Engine, url: str) -> "ApartWriter":
        """`engine` is for whoever listens to it; the process has its own."""
        writer = cls(engine, url)
        await writer._start()
        return writer

    @property
    def pid(self) -> int:
        """Of the process that writes now."""
        return self._process.pid

    @property
    def stalled(self) -> float:
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    async def submit(self, operation: Operation[A, R], argument: A) -> R:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        submitted = Submitted(operation, argument, future)
        if loop is self._loop:
            self._put(submitted)
        else:
            self._loop.call_soon_threadsafe(self._put_or_refuse, submitted)
        result: R = await future
        return result

    def post(
        self, operation: Operation[A, Any], argument: A, lost: Callable[[Exception], None]
    ) -> None:
        submitted = Submitted(operation, argument, None, lost)
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:  # a thread without one
            here = False
        if here:
            self._put_or_refuse(submitted)
        else:
            self._loop.call_soon_threadsafe(self._put_or_refuse, submitted)

    async def aclose(self) -> None:
        self._closing = True
        self._end_when_done()
        await self._done.wait()
        if self._pipe is not None:
            self._pipe.close()
        await asyncio.to_thread(self._process.end)
        self.engine.dispose()

    # --- in the loop ------------------------------------------------------------------------------

    def _put(self, submitted: Submitted) -> None:
        if self._closing:
            raise LedgerClosed("the ledger is closed; this was not written")
        self._waiting.append(submitted)
        if not self._sending and len(self._sent) < _UNDER_WAY:
            # At the end of this turn of the loop: what the others in it submit goes along.
            self._sending = True
            self._loop.call_soon(self._send)

    def _put_or_refuse(self, submitted: Submitted) -> None:
        try:
            self._put(submitted)
        except LedgerClosed as closed:
            hand_out([submitted], [closed], self._loop)

    def _send(self) -> None:
        self._sending = False
        while self._pipe is not None and self._waiting and len(self._sent) < _UNDER_WAY:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                asked = _asked(batch)
            except Exception:
                if not (batch := [each for each in batch if self._travels(each)]):
                    continue
                asked = _asked(batch)
            self._sent.append(batch)
            self._pipe.write(asked)
            self._since = self._since or time.monotonic()
        self._end_when_done()

    def _travels(self, submitted: Submitted) -> bool:
        """Whether it can be sent; what cannot is not written, and its caller alone hears why."""
        try:
            _asked([submitted])
        except Exception as cause:
            hand_out([submitted], [cause], self._loop)
            return False
        return True

    def _answered(self, text: bytes) -> None:
        batch = self._sent.popleft()
        self._died_with_first = 0
        self._since = time.monotonic() if self._sent else None
        self._send()
        hand_out(batch, pickle.loads(text), self._loop)  # noqa: S301 - our own
        self._end_when_done()

    def _end_when_done(self) -> None:
        if self._closing and not self._waiting and not self._sent:
            self._done.set()

    # --- the process ------------------------------------------------------------------------------

    async def _start(self) -> None:
        self._process = WriterProcess(self._url)
        pipe, _ = await self._loop.create_unix_connection(
            lambda: _Answers(self._answered, self._lost), sock=self._process.pipe
        )
        self._pipe = pipe
        for batch in self._sent:
            pipe.write(_asked(batch))
        self._send()

    def _lost(self) -> None:
        """The process is gone."""
        self._pipe = None
        if self._done.is_set():
            return
        _log.warning("the process that writes the ledger ended; another one is started")
        self._process.kill()
        self._died_with_first += bool(self._sent)
        if self._died_with_first == _TRIES:
            gone = LedgerBusy(f"the process that writes the ledger ended {_TRIES} times")
            batch = self._sent.popleft()
            self._died_with_first = 0
            hand_out(batch, [gone] * len(batch), self._loop)
        self._starting = self._loop.create_task(self._start())


def _asked(batch: list[Submitted]) -> bytes:
    asked = [(each.operation, each.argument) for each in batch]
    return framed(pickle.dumps(asked, pickle.HIGHEST_PROTOCOL))


class _Answers(asyncio.Protocol):
    """Frames out of the pipe."""

    def __init__(self, each: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._each, self._lost = each, lost
        self._came = bytearray()

    def data_received(self, data: bytes) -> None:
        self._came += data
        while len(self._came) >= HEAD.size:
            end = HEAD.size + HEAD.unpack_from(self._came)[0]
            if len(self._came) < end:
                return
            text = bytes(self._came[HEAD.size : end])
            del self._came[:end]
            self._each(text)

    def connection_lost(self, _: Exception | None) -> None:
        self._lost()
