"""The commands that redrive, against a real dispatcher on a real ledger and bus."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from contracts.ids import task_id
from contracts.request import REQUEST_TYPE
from fleet.bus.bus import INTAKE_QUEUE
from localbus.testing import RunningBus, running_bus
from tests.console.conftest import PROJECT, Fleet, environment
from tests.console.ledgers import Home
from tests.console.waiting import until

_WHY = ("--reason", "the source is back", "--requester", "ana")


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def failed(home: Home) -> list[str]:
    """Three failed tasks of one cause, one a run."""
    return [task_id(home.run(number, broken=True), "typed", "2024-02") for number in range(3)]


@pytest.fixture
def dispatcher(
    home: Home, fleet: Fleet, failed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningBus]:
    """A dispatcher on the home, which `fleet` finds by its settings; and its bus."""
    queues = [INTAKE_QUEUE, "lane-mirror", "lane-normalize", "lane-publish"]
    with running_bus(tmp_path / "bus", queues=queues) as bus:
        ready = tmp_path / "ready.json"
        more = {"FLEET_BUS_CONNECTION": bus.connection_string, "FLEET_HTTP_PORT": "0"}
        with subprocess.Popen(
            [sys.executable, "-m", "dispatcher", "--ready-file", str(ready)],
            env=environment(home.folder, more),
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert any("listening" in line for line in process.stderr)
            port = json.loads(ready.read_text(encoding="utf-8"))["http_port"]
            monkeypatch.setenv("FLEET_HTTP_PORT", str(port))
            yield bus
            process.terminate()
            process.communicate(timeout=60)


def test_dead_letters_are_shown_by_cause(fleet: Fleet, home: Home, failed: list[str]) -> None:
    """One line for what failed the same way, and what is hostile in it steers nothing."""
    home.dead_letter("the body is not JSON")

    told = rows(fleet("dead-letters", "--groups", "--json").out)
    drawn = fleet("dead-letters", "--groups").out

    assert [(group["what"], group["count"]) for group in told] == [("task", 3), ("message", 1)]
    assert told[0]["where"] == {"typed": 3}
    assert told[0]["fingerprint"] in drawn
    assert "\x1b" not in drawn


@pytest.mark.usefixtures("dispatcher")
def test_a_task_and_a_run_are_cancelled(fleet: Fleet, failed: list[str]) -> None:
    """What waits is cancelled at once and said to be; which of the two must be said."""
    assert fleet("redrive", *failed[:2], *_WHY, "--wait").code == 0

    done = fleet("cancel", "--task", failed[0], "-m", "not needed", "--json")
    run = json.loads(fleet("task", failed[1], "--json").out.splitlines()[0])["run"]
    whole = fleet("cancel", run, "-m", "not needed")
    neither = fleet("cancel", "-m", "not needed")

    [told] = rows(done.out)
    assert (told["state"], told["running"]) == ("cancelled", 0)
    assert whole.out.strip() == f"run {run} is cancelled"
    assert (neither.code, "--task" in neither.err) == (2, True)


@pytest.mark.usefixtures("dispatcher")
def test_all_runs_that_a_filter_means_are_cancelled(fleet: Fleet, failed: list[str]) -> None:
    """After a dry run that names them and does nothing; ended runs are never among them."""
    assert fleet("redrive", *failed[:2], *_WHY, "--wait").code == 0
    meant = ("cancel", "--pipeline", "guarantee_report", "-m", "wrong rates")

    looked = rows(fleet(*meant, "--dry-run", "--json").out)
    other = fleet("cancel", "--pipeline", "other", "-m", "wrong rates", "--dry-run")
    many = fleet(*meant, "--limit", "1")
    done = rows(fleet(*meant, "--json").out)
    after = fleet(*meant)

    assert {run["state"] for run in looked} == {"running"}
    assert len(looked) == 2
    assert "0 runs would be cancelled" in other.out
    assert (many.code, "none was cancelled" in many.err) == (2, True)
    assert {told["run"] for told in done} == {run["run"] for run in looked}
    assert {told["state"] for told in done} == {"cancelled"}
    assert "cancellation of 0 runs was asked for" in after.out


@pytest.mark.usefixtures("dispatcher")
def test_a_group_is_looked_at_redriven_and_followed(fleet: Fleet, failed: list[str]) -> None:
    """The dry run changes nothing; the redrive ends with what it did, and says so afterwards."""
    [group] = rows(fleet("dead-letters", "--groups", "--json").out)
    chosen = ("redrive", "--group", group["fingerprint"])

    looked = fleet(*chosen, "--dry-run")
    counted = json.loads(fleet(*chosen, "--dry-run", "--json").out)
    before = rows(fleet("redrives", "--json").out)
    done = fleet(*chosen, *_WHY, "--rate", "100", "--wait", "--json")
    job = json.loads(done.out)
    items = rows(fleet("redrives", job["job"][:13], "--items", "--json").out)

    assert "3 would be redriven; nothing was done" in looked.out
    assert (counted["total"], before) == (3, [])
    assert (done.code, job["state"], job["redriven"], job["actor"]) == (0, "done", 3, "ana")
    assert sorted(item["task"] for item in items) == sorted(failed)
    assert {item["state"] for item in items} == {"redriven"}
    assert job["job"] in fleet("redrives").out
    assert rows(fleet("dead-letters", "--groups", "--json").out) == []


@pytest.mark.usefixtures("dispatcher")
def test_a_task_that_cannot_be_redriven_fails_the_wait(fleet: Fleet, failed: list[str]) -> None:
    """Exit code 1; the item says why, the others are redriven."""
    fleet("redrive", failed[0], *_WHY, "--wait")

    done = fleet("redrive", failed[0], failed[1], *_WHY, "--wait", "--json")
    items = fleet("redrives", json.loads(done.out)["job"], "--items").out

    assert (done.code, json.loads(done.out)["refused"]) == (1, 1)
    assert "is queued and cannot" in " ".join(items.split())


@pytest.mark.usefixtures("dispatcher")
def test_a_slow_redrive_is_cancelled(fleet: Fleet) -> None:
    """What was not its turn yet stays as it is."""
    started = json.loads(fleet("redrive", "--all", "--rate", "1", *_WHY, "--json").out)

    cancelled = rows(fleet("redrives", started["job"], "--cancel", *_WHY, "--json").out)
    again = fleet("redrives", started["job"], "--cancel", *_WHY)
    unsaid = fleet("redrives", started["job"], "--cancel")
    [stop] = [act for act in rows(fleet("audit", "--json").out) if "stopped" in act["on"]]

    assert (cancelled[0]["state"], started["total"]) == ("cancelled", 3)
    assert (again.code, unsaid.code) == (0, 2)
    assert (stop["actor"], stop["reason"], stop["redrive"]) == ("ana", _WHY[1], started["job"])


@pytest.mark.usefixtures("dispatcher")
def test_an_edit_is_held_to_the_kind_of_the_task(fleet: Fleet, failed: list[str]) -> None:
    """What makes no payload is refused with its path, and nothing is promised."""
    edit = ("--set", 'tables={"claims": "sql/other.sql"}', "--set", "threads=2")

    refused = fleet("retry", failed[0], *edit, *_WHY)
    looked = fleet("retry", failed[0], "--set", "threads=2", "--dry-run")

    assert refused.code == 2
    assert "does not travel with this task" in refused.err
    assert looked.code == 2
    assert "needs the field 'tables'" in looked.err
    assert json.loads(fleet("task", failed[0], "--json").out)["attempt"] == 1


def test_a_message_is_sent_again_once_its_queue_would_take_it(
    fleet: Fleet, dispatcher: RunningBus
) -> None:
    """As it lists, so it is named; then it is a dead letter no more, and who and why is kept."""
    _send(dispatcher, b'{"pipeline": "guarantee_report", "requester": "it"}')
    until(lambda: bool(_messages(fleet)))
    [row] = _messages(fleet)
    edit = ("--property", "cloudEvents:id=e1", "--set", "scope.tenant=acme")

    refused = fleet("retry", row["id"], *edit, *_WHY)
    whole = ("--body", '{"pipeline": "guarantee_report", "requester": "it", "scope": {}}')
    done = fleet("retry", row["id"], *whole, *edit, *_WHY)

    assert (refused.code, done.code) == (2, 0)
    assert "scope.tenant: there is no field 'scope'" in refused.err
    assert 'add /body/scope = {"tenant": "acme"}' in done.out
    assert row["id"] not in {message["id"] for message in _messages(fleet)}
    [job] = rows(fleet("redrives", "--json").out)
    assert (job["selection"], job["actor"]) == ({"message": row["id"]}, "ana")


def _send(bus: RunningBus, body: bytes) -> None:
    with (
        ServiceBusClient.from_connection_string(bus.connection_string) as client,
        client.get_queue_sender(INTAKE_QUEUE) as sender,
    ):
        message = ServiceBusMessage(body, message_id="m1")
        message.application_properties = {
            "cloudEvents:specversion": "1.0",
            "cloudEvents:type": REQUEST_TYPE,
        }
        sender.send_messages(message)


def _messages(fleet: Fleet) -> list[dict[str, Any]]:
    told = rows(fleet("dead-letters", "--json").out)
    return [row for row in told if row["what"] == "message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("redrive", *_WHY), "say what to redrive"),
        (("redrive", "--all", "--group", "abc", *_WHY), "say what to redrive"),
        (("redrive", "--all"), "--reason"),
        (("redrive", "--all", *_WHY, "--timeout", "3"), "--timeout needs --wait"),
        (("redrives", "--cancel"), "say which redrive"),
        (("retry", "abc"), "--reason"),
        (("retry", "abc", "--set", "threads", *_WHY), "PATH=VALUE"),
        (("retry", "abc", "--body", "{}", *_WHY), "are of a message"),
        (("retry", "intake/first", *_WHY), "names no message"),
    ],
)
def test_what_is_not_clear_is_refused(
    fleet: Fleet, home: Home, arguments: tuple[str, ...], words: str
) -> None:
    """In a line that says what to do; nothing is asked of the dispatcher."""
    done = fleet(*arguments)

    assert done.code == 2
    assert words in done.err
