"""Archiving from the command line: over the ledger itself, so that it works beside a full fleet."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from console.site import Site
from fleet import archiving
from fleet.archiving import Archived, Archiver
from fleet.clock import SystemClock
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import ArchiveRow

T = TypeVar("T")
_LISTED = 1000


def previewed(site: Site, days: float) -> Archived:
    """What would be archived. Raises Unreachable where there is no ledger."""
    return _with_archiver(site, days, lambda archiver, before: archiver.preview(before))


def archived(site: Site, days: float, told: Callable[[Archived], None]) -> Archived:
    """Archive, `told` of each file; the totals. Raises Unreachable, OSError."""
    return _with_archiver(
        site, days, lambda archiver, before: archiving.archived(archiver, before, told)
    )


def listed(reader: LedgerReader) -> list[ArchiveRow]:
    """The files that were written, the latest first."""
    return reader.archives(_LISTED)


def _with_archiver(site: Site, days: float, do: Callable[[Archiver, datetime], Awaitable[T]]) -> T:
    site.reader().close()  # says what is missing where there is no ledger; opening would make one
    clock = SystemClock()

    async def run() -> T:
        async with await Ledger.open(site.settings.ledger_address) as ledger:
            store = site.store()
            archiver = Archiver(ledger, store, clock, getpass.getuser())
            return await do(archiver, clock.now() - timedelta(days=days))

    return asyncio.run(run())
