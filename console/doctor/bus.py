"""The bus: both of its doors, and the queues of the lanes."""

from collections.abc import Iterator

from console.doctor.finding import Finding, fault, ok, warning
from console.site import Site
from contracts.lane import LaneTable
from fleet.bus.admin import BusAdmin, Counts
from fleet.bus.bus import INTAKE_QUEUE
from fleet.bus.errors import BusUnavailable
from fleet.bus.probe import probe

_PART = "bus"


def look_at_bus(site: Site, lanes: LaneTable) -> Iterator[Finding]:
    """Administration first, for it says which queues there are; then messages."""
    address = site.bus_admin
    if address is None or not site.settings.names_bus:
        yield fault(
            _PART,
            "no bus is known here",
            "start the local stack with `fleet up`, or set FLEET_BUS_CONNECTION",
        )
        return
    try:
        with BusAdmin(address, site.settings.bus_certificate) as admin:
            counts = admin.counts()
    except (BusUnavailable, ValueError) as cause:
        yield _no_answer(str(cause))
    else:
        yield from _queues(counts, [INTAKE_QUEUE, *(lane.queue for lane in lanes)])
    try:
        probe(site.settings.bus_address, INTAKE_QUEUE)
    except BusUnavailable as cause:
        yield fault(
            _PART,
            f"no message can be read: {cause}",
            "is the bus running, does a firewall close its port (5671), is the key still valid?",
        )
    else:
        yield ok(_PART, "messages can be read")


def _no_answer(why: str) -> Finding:
    if "CERTIFICATE_VERIFY_FAILED" in why or "CA certificate" in why:
        return fault(
            _PART,
            "the administration's certificate is not trusted",
            "set FLEET_BUS_CERTIFICATE to the certificate of the bus that runs now "
            "(localbus writes certificate.pem into its data folder)",
        )
    return fault(
        _PART,
        "the administration does not answer",
        "is the bus running? see `fleet up`, FLEET_BUS_CONNECTION, and the network to port 443",
    )


def _queues(counts: dict[str, Counts], wanted: list[str]) -> Iterator[Finding]:
    missing = [name for name in wanted if name not in counts]
    if missing:
        yield fault(
            _PART,
            f"queues are missing: {', '.join(missing)}",
            "start the dispatcher once: it makes the queues of its lanes",
        )
    else:
        yield ok(_PART, f"{len(wanted)} queues are there")
    letters = {name: counts[name].dead_letter for name in wanted if name in counts}
    if total := sum(letters.values()):
        where = ", ".join(f"{name} {count}" for name, count in letters.items() if count)
        yield warning(
            _PART, f"{total} dead letters lie on the bus: {where}", "see `fleet dead-letters`"
        )
