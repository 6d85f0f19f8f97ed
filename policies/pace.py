"""How many may go now, at so many a second: pure, and indifferent to pauses and crashes.

A rate is kept by one stored time, up to when it has been used. Whoever was away for an hour may not
catch up at once: at most one second's worth is saved up.
"""

from datetime import datetime, timedelta

SAVED = timedelta(seconds=1)
"""How much unused time counts."""


def allowed(
    paced: datetime, now: datetime, per_second: int | None, at_most: int
) -> tuple[int, datetime]:
    """How many of `at_most` may go, and up to when the rate is used if they do.

    `per_second` None: no limit. A clock that went back allows nothing until it is there again.
    """
    if per_second is None:
        return at_most, max(paced, now)
    start = max(paced, now - SAVED)
    # In whole microseconds: a float would let an item slip in or out now and then.
    microseconds = (now - start) // timedelta(microseconds=1)
    count = max(0, min(at_most, microseconds * per_second // 1_000_000))
    return count, start + timedelta(microseconds=-(-count * 1_000_000 // per_second))
