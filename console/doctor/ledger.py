"""The ledger: there, of this version, whole, free to be written to, with room to grow."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from console.doctor.finding import Finding, fault, ok, warning
from console.render.marks import size
from console.site import Site
from fleet.ledger.database import open_reading_engine, sqlite_file
from fleet.ledger.migrate import Standing, standing

_PART = "ledger"
_CHECKED_WHOLE = 256 << 20
"""Bytes up to which a file is read whole to check it: a larger one would take minutes."""
_LITTLE, _TOO_LITTLE = 2 << 30, 200 << 20
"""Bytes of room below which one is warned, and below which work will fail."""


def look_at_ledger(site: Site) -> Iterator[Finding]:
    """See the module."""
    address = site.settings.ledger_address
    file = sqlite_file(address)
    if file is not None and not file.is_file():
        yield fault(
            _PART,
            "there is no ledger here",
            "start the stack with `fleet up`, or name its folder with --home or FLEET_HOME",
        )
        return
    try:
        engine = open_reading_engine(address)
        try:
            found = standing(engine)
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as cause:
        yield fault(
            _PART,
            f"it does not answer ({type(cause).__name__})",
            "is FLEET_LEDGER_URL right, and the database running? `fleet config` shows both",
        )
        return
    yield _of_version(found)
    if file is not None and found is not Standing.FOREIGN:
        yield from _file(file)


def _of_version(found: Standing) -> Finding:
    match found:
        case Standing.CURRENT:
            return ok(_PART, "its tables are of this release")
        case Standing.OLDER:
            return warning(
                _PART,
                "its tables are of an older release",
                "start the dispatcher of this release: it brings them up to date",
            )
        case Standing.NEWER:
            return warning(
                _PART,
                "its tables are of a newer release",
                "install the newer release here; this one goes on meanwhile",
            )
        case Standing.FOREIGN:
            return fault(
                _PART,
                "this is not a ledger of the fleet",
                "look at FLEET_LEDGER_URL and FLEET_HOME: `fleet config` shows them",
            )


def _file(file: Path) -> Iterator[Finding]:
    with closing(sqlite3.connect(file, timeout=2.0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as cause:
            yield fault(
                _PART,
                f"it cannot be written to: {cause}",
                "does a backup or another program hold it, is the disk full or mounted read-only?",
            )
        if file.stat().st_size <= _CHECKED_WHOLE:
            yield _whole(connection)
    yield room(_PART, shutil.disk_usage(file.parent).free)


def _whole(connection: sqlite3.Connection) -> Finding:
    try:
        [[said]] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.DatabaseError as cause:
        said = str(cause)
    if said == "ok":
        return ok(_PART, "the file is whole")
    return fault(
        _PART,
        f"the file is damaged: {said.splitlines()[0]}",
        "stop the fleet, keep a copy, and go back to the last backup",
    )


def room(part: str, free: int) -> Finding:
    """What `free` bytes of a disk mean."""
    remedy = "free some room, or move FLEET_HOME to a larger disk"
    if free < _TOO_LITTLE:
        return fault(part, f"the disk has {size(free)} left", remedy)
    if free < _LITTLE:
        return warning(part, f"the disk has {size(free)} left", remedy)
    return ok(part, f"the disk has {size(free)} left")
