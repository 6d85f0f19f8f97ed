"""All the parts in the order in which they rest on one another."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from console.doctor.bus import look_at_bus
from console.doctor.finding import Finding, Verdict, fault, ok
from console.doctor.identity import look_at_identity
from console.doctor.installation import look_at_installation, look_at_rules
from console.doctor.ledger import look_at_ledger
from console.doctor.processes import look_at_dispatcher, look_at_workers
from console.doctor.store import look_at_artifacts, look_at_store
from console.site import Site
from fleet.errors import FleetError
from fleet.lanes import LanesRefused, load_lanes
from fleet.settings import SettingsRefused


def examine(home: Path | None, now: datetime) -> Iterator[Finding]:
    """Look at everything; a finding is yielded as soon as it is known."""
    yield from look_at_installation()
    try:
        site = Site.find(home)
    except SettingsRefused as cause:
        for line in str(cause).splitlines()[1:]:
            yield fault(
                "settings", line.strip(), "correct the variable; docs/reference/settings.md"
            )
        return
    yield ok("settings", f"home is {site.settings.home.name}")
    yield from look_at_rules(site.settings)
    yield from look_at_identity(site)
    try:
        lanes = load_lanes(site.settings.lanes_file)
    except LanesRefused:
        pass  # told above
    else:
        yield from look_at_bus(site, lanes)
    yield from look_at_store(site)
    yield from look_at_dispatcher(site, now)
    usable = True
    for finding in look_at_ledger(site):
        usable &= finding.verdict is not Verdict.FAULT
        yield finding
    if usable:
        yield from _recorded(site, now)


def _recorded(site: Site, now: datetime) -> Iterator[Finding]:
    """What only a ledger that can be read tells."""
    try:
        with site.reader() as reader:
            yield from look_at_artifacts(site, reader)
            yield from look_at_workers(reader, now)
    except (FleetError, SQLAlchemyError) as cause:
        yield fault(
            "ledger", f"it cannot be read ({type(cause).__name__})", "see `fleet --debug runs`"
        )
