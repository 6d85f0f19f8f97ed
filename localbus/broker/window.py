"""The head of an ordered backlog in memory; what is behind it is read a page at a time.

Messages leave in order of position. One given back returns to its place. Whether a message may be
delivered is its mailbox's affair.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from localbus.broker.message import Message


class Window:
    """See the module. `read_page` gives active messages, in order, up to the bounds, that follow
    the last one ever in the window; it is given that one's position and sequence number."""

    __slots__ = (
        "_ahead",
        "_max_messages",
        "_max_size",
        "_read_page",
        "_returned",
        "_size",
        "behind",
        "last",
    )

    def __init__(
        self,
        read_page: Callable[[int, int], list[Message]],
        *,
        messages: int,
        size: int,
    ) -> None:
        self.behind = False
        """Whether messages wait in the store behind the window."""
        self.last = (0, 0)
        self._read_page = read_page
        self._max_messages = messages
        self._max_size = size
        self._ahead: deque[Message] = deque()
        self._size = 0
        self._returned: list[tuple[int, Message]] = []

    def offer(self, message: Message) -> None:
        """A message that was just stored behind all others."""
        if self.behind or len(self._ahead) >= self._max_messages or self._size >= self._max_size:
            self.behind = True
            return
        self._ahead.append(message)
        self._size += message.size
        self.last = (message.position, message.sequence_number)

    def give_back(self, message: Message) -> None:
        """A message that was taken returns to its place."""
        heapq.heappush(self._returned, (message.position, message))

    def take(self) -> Message | None:
        """The first message, or None."""
        ahead = self._ahead
        if not ahead and self.behind:
            self._load()
        returned = self._returned
        if returned and (not ahead or returned[0][0] < ahead[0].position):
            return heapq.heappop(returned)[1]
        if not ahead:
            return None
        message = ahead.popleft()
        self._size -= message.size
        return message

    def _load(self) -> None:
        page = self._read_page(*self.last)
        self._ahead.extend(page)
        self._size += sum(message.size for message in page)
        if page:
            self.last = (page[-1].position, page[-1].sequence_number)
        self.behind = len(page) == self._max_messages or self._size >= self._max_size

    def drop_over(self, now_ms: int) -> list[Message]:
        """Take out the messages whose time to live is over."""
        over = [m for m in self._ahead if _is_over(m, now_ms)]
        over += [m for _, m in self._returned if _is_over(m, now_ms)]
        if over:
            self._ahead = deque(m for m in self._ahead if not _is_over(m, now_ms))
            self._size = sum(m.size for m in self._ahead)
            self._returned = [entry for entry in self._returned if not _is_over(entry[1], now_ms)]
            heapq.heapify(self._returned)
        return over

    def next_expiry_ms(self) -> int | None:
        """When the first of the messages in memory expires."""
        ends = [m.expires_ms for m in self._ahead if m.expires_ms is not None]
        ends += [m.expires_ms for _, m in self._returned if m.expires_ms is not None]
        return min(ends, default=None)


def _is_over(message: Message, now_ms: int) -> bool:
    return message.expires_ms is not None and message.expires_ms <= now_ms
