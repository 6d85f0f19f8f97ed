"""`fleet doctor` against set-ups that are broken in one way each: it names the fault and says what
to do, and the fault hides nothing else."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.doctor.finding import Verdict
from console.doctor.installation import missing_libraries
from console.doctor.ledger import room
from console.stack.record import ProcessMark, StackRecord, write_secret
from fleet.bus.admin import BusAdmin
from fleet.lanes import load_lanes
from fleet.ledger.ledger import Ledger
from localbus.testing import RunningBus, running_bus
from tests.console.conftest import Fleet
from tests.console.ledgers import Home


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBus]:
    with running_bus(tmp_path_factory.mktemp("bus")) as running:
        with BusAdmin(running.admin_connection_string, Path(running.certificate)) as admin:
            admin.ensure_queues(load_lanes())
        yield running


@pytest.fixture
def stack(home: Home, bus: RunningBus) -> StackRecord:
    """The record of a stack with this bus and no other process: what breaks is up to the test."""
    home.run(1)
    record = StackRecord(
        processes=(ProcessMark.of("localbus", os.getpid()),),
        http_host="127.0.0.1",
        http_port=9,
        bus_port=bus.amqp_port,
        bus_admin_port=bus.admin_port,
        bus_certificate=str(bus.certificate),
    )
    record.write(home.folder / "stack.json")
    write_secret(home.folder, bus.connection_string)
    return record


def faults(fleet: Fleet) -> list[tuple[str, str, str]]:
    """Part, fault and remedy of each finding that is not well."""
    done = fleet("doctor", "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    bad = [one for one in told if one["verdict"] != "ok"]
    assert done.code == int(any(one["verdict"] == "fault" for one in bad))
    assert all(one["remedy"] for one in bad)
    return [(one["part"], one["says"], one["remedy"]) for one in bad]


NO_DISPATCHER = "dispatcher"
"""The stack of these tests has none: its finding is there in every test but the healthy one."""


def only(fleet: Fleet, part: str) -> tuple[str, str]:
    """Fault and remedy of the one part that is not well, the dispatcher left out."""
    found = [one for one in faults(fleet) if one[0] != NO_DISPATCHER]
    assert [one[0] for one in found] == [part], found
    return found[0][1:]


def test_a_sound_setup_has_one_fault_here(fleet: Fleet, stack: StackRecord) -> None:
    """All else being well, a dispatcher that does not answer is the only finding."""
    [(part, says, remedy)] = faults(fleet)

    assert part == NO_DISPATCHER
    assert "does not answer" in says
    assert "dispatcher.log" in remedy


def test_a_setting_that_does_not_exist(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_BUS_CONECTION", "x")

    [(part, says, remedy)] = faults(fleet)

    assert (part, "FLEET_BUS_CONECTION" in says) == ("settings", True)
    assert "settings.md" in remedy


def test_a_lanes_file_that_cannot_be_used(
    fleet: Fleet, stack: StackRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "lanes.toml"
    bad.write_text("[compute]\nkinds = []\nconcurrency = 0\n")
    monkeypatch.setenv("FLEET_LANES_FILE", str(bad))

    says, remedy = only(fleet, "lanes")

    assert "concurrency" in says
    assert "FLEET_LANES_FILE" in remedy


def test_rules_that_cannot_be_used(
    fleet: Fleet, stack: StackRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_RULES", str(tmp_path))

    says, remedy = only(fleet, "rules")

    assert "scope.input_of_another_tenant" in says
    assert "fleet policy show" in remedy


def test_a_bus_that_is_gone(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    gone = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=n;SharedAccessKey=k;"
    write_secret(home.folder, gone + "UseDevelopmentEmulator=true;")
    stack.model_copy(update={"bus_admin_port": 9}).write(home.folder / "stack.json")

    found = [one for one in faults(fleet) if one[0] == "bus"]

    assert [says.partition(":")[0] for _, says, _ in found] == [
        "the administration does not answer",
        "no message can be read",
    ]
    assert "fleet up" in found[0][2]


def test_a_queue_that_is_missing(fleet: Fleet, stack: StackRecord, bus: RunningBus) -> None:
    bus.delete_queue("lane-agent")
    try:
        says, remedy = only(fleet, "bus")
    finally:
        bus.ensure_queue("lane-agent")

    assert "lane-agent" in says
    assert "dispatcher" in remedy


def test_a_certificate_of_another_bus(
    fleet: Fleet, home: Home, stack: StackRecord, tmp_path: Path
) -> None:
    with running_bus(tmp_path / "other") as other:
        record = stack.model_copy(update={"bus_certificate": str(other.certificate)})
        record.write(home.folder / "stack.json")

        says, remedy = only(fleet, "bus")

    assert "not trusted" in says
    assert "FLEET_BUS_CERTIFICATE" in remedy


def test_no_ledger(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    (home.folder / "ledger.db").unlink()

    says, remedy = only(fleet, "ledger")

    assert "no ledger" in says
    assert "fleet up" in remedy


def test_a_file_that_is_no_ledger(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    (home.folder / "ledger.db").unlink()
    with sqlite3.connect(home.folder / "ledger.db") as other:
        other.execute("CREATE TABLE recipe (name)")
    other.close()

    says, remedy = only(fleet, "ledger")

    assert "not a ledger" in says
    assert "fleet config" in remedy


def test_a_ledger_that_somebody_holds(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    holder = sqlite3.connect(home.folder / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        says, remedy = only(fleet, "ledger")
    finally:
        holder.close()

    assert "locked" in says
    assert "backup" in remedy


def test_a_ledger_of_an_older_release(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    with sqlite3.connect(home.folder / "ledger.db") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '0001'")
    ledger.close()

    says, remedy = only(fleet, "ledger")

    assert "older release" in says
    assert "start the dispatcher" in remedy


def test_a_store_that_is_no_folder(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    (home.folder / "artifacts").rename(home.folder / "elsewhere")
    (home.folder / "artifacts").write_text("")

    says, remedy = only(fleet, "store")

    assert "nothing can be stored" in says
    assert "must be a folder" in remedy


def test_an_artifact_that_was_changed(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    [one] = (home.folder / "artifacts" / "curated").glob("*/*")
    one.chmod(0o600)
    one.write_bytes(b"other")

    says, remedy = only(fleet, "store")

    assert one.name in says
    assert "backup" in remedy


def test_a_secret_that_others_may_read(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    (home.folder / "bus.connection").chmod(0o644)

    says, remedy = only(fleet, "identity")

    assert "644" in says
    assert "chmod 600" in remedy


def test_a_bus_without_tls_that_is_not_here(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding names the host and never the key."""
    address = "Endpoint=sb://10.255.255.1;SharedAccessKeyName=n;SharedAccessKey=hunter2;"
    monkeypatch.setenv("FLEET_BUS_CONNECTION", address + "UseDevelopmentEmulator=true;")

    from console.doctor.identity import look_at_identity
    from console.site import Site

    [found] = look_at_identity(Site.find(None))

    assert found.verdict is Verdict.FAULT
    assert "10.255.255.1" in found.says
    assert "hunter2" not in found.says + found.remedy


def test_a_clock_that_is_wrong(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    """A worker that was seen in the future has another clock than this machine."""
    _worker_seen(home, datetime.now(UTC) + timedelta(hours=2))

    says, remedy = only(fleet, "clock")

    assert "differs" in says
    assert "NTP" in remedy


def test_workers_that_are_silent(fleet: Fleet, home: Home, stack: StackRecord) -> None:
    _worker_seen(home, datetime.now(UTC) - timedelta(hours=2))

    says, remedy = only(fleet, "workers")

    assert "worker-a" in says
    assert "leases end" in remedy


def test_libraries_that_are_missing() -> None:
    """A requirement that is not installed is named; one of an extra is not asked for."""
    found = missing_libraries(["pydantic>=2", "no-such-thing", 'other; extra == "azure"'])

    assert found.verdict is Verdict.FAULT
    assert "no-such-thing" in found.says
    assert "other" not in found.says


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(10 << 30, Verdict.OK), (1 << 30, Verdict.WARNING), (1 << 20, Verdict.FAULT)],
)
def test_a_disk_that_fills(free: int, verdict: Verdict) -> None:
    assert room("ledger", free).verdict is verdict


def test_it_reads_well(fleet: Fleet, stack: StackRecord) -> None:
    """For people: a mark and a part on each line, the remedy below, the counts last."""
    lines = fleet("doctor").out.splitlines()

    at = next(number for number, line in enumerate(lines) if "✗ dispatcher" in line)
    assert "is it running?" in lines[at + 1]
    assert lines[-1] == "1 fault"


def _worker_seen(home: Home, at: datetime) -> None:
    async def seen() -> None:
        async with await Ledger.open(home.url) as ledger:
            await ledger.worker_seen("worker-a", lanes=("compute",), now=at, facts={})

    asyncio.run(seen())
