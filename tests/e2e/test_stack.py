"""The running fleet: what happens to it, and what it then says."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage

from contracts.states import State
from fleet.ledger.reader import LedgerReader
from tests.e2e.conftest import PATIENCE, Home, until

SMALL = ("--clients", "3", "--lines", "6000")


def test_a_killed_worker_costs_no_run_and_doubles_nothing(home: Home) -> None:
    """SIGKILL in the middle of the demo, while the worker holds a task."""
    demo = home.start("demo", *SMALL, "--json")
    with until(
        lambda: (home.folder / "ledger.db").exists() and home.reader(), "a ledger"
    ) as ledger:
        victim = until(lambda: _stopped_holder(home, ledger), "a worker that holds a task")
        os.kill(victim, signal.SIGKILL)

        out, _ = demo.communicate(timeout=PATIENCE)

        summary = json.loads(out.splitlines()[-1])
        assert demo.returncode == 0
        assert (summary["succeeded"], summary["failed"]) == (3, 0)
        assert summary["discrepancies_found"] == summary["discrepancies_planted"] > 0
        assert summary["verified"] is True
        rows = [row for run in ledger.runs() for row in ledger.artifacts(run.run)]
        assert len({(row.task, row.pointer.name) for row in rows}) == len(rows)
        tasks = [ledger.task(t.task) for run in ledger.runs() for t in ledger.tasks(run.run)]
        ends = [[a.state for a in task.attempts].count(State.SUCCEEDED) for task in tasks]
        assert set(ends) == {1}
        lost = [a for task in tasks for a in task.attempts if f"-{victim}-" in a.worker]
        assert any(a.state is not State.SUCCEEDED for a in lost)
    assert victim not in {mark.pid for mark in home.record.alive}


def _stopped_holder(home: Home, ledger: LedgerReader) -> int | None:
    """The process id of a worker that holds a task, stopped so that it goes on holding it."""
    for mark in home.record.alive:
        if not mark.name.startswith("worker"):
            continue
        os.kill(mark.pid, signal.SIGSTOP)
        running = [t for run in ledger.runs() for t in ledger.tasks(run.run)]
        if any(f"-{mark.pid}-" in (t.worker or "") and t.state is State.RUNNING for t in running):
            return mark.pid
        os.kill(mark.pid, signal.SIGCONT)
    return None


def test_the_same_key_starts_one_run(home: Home, tmp_path: Path) -> None:
    """Asked for twice, answered with the same run."""
    ask = ("submit", "claims_reconciliation", "--param", f"source={tmp_path}", "--key", "once")

    first, second = home.fleet(*ask), home.fleet(*ask)

    assert first["run"] == second["run"]
    assert (first["created"], second["created"]) == (True, False)


def test_a_source_that_holds_nothing_fails_the_run_with_the_reason(
    home: Home, tmp_path: Path
) -> None:
    """No half artifact, exit code 1, and the folder's path is told to nobody."""
    ask = ("submit", "claims_reconciliation", "--param", f"source={tmp_path}", "--wait")

    told = home.fleet(*ask, code=1)

    assert told["state"] == "failed"
    assert told["faults"]
    with home.reader() as ledger:
        assert ledger.artifacts(told["run"]) == []
    kept = b"".join(path.read_bytes() for path in home.folder.glob("ledger.db*"))
    assert str(tmp_path).encode() not in kept


def test_any_language_asks_over_the_intake_queue(home: Home) -> None:
    """CloudEvents in AMQP binary mode, the id as idempotency key, the other prefix."""
    request = {
        "pipeline": "claims_reconciliation",
        "parameters": {"source": "not-registered"},
        "scope": {"tenant": "acme"},
        "requester": "upstream",
    }
    properties: dict[str | bytes, Any] = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_type": "leaf.run.request.v1",
        "cloudEvents_id": "request-1",
        "cloudEvents_source": "/upstream",
    }
    body = json.dumps(request).encode()
    content = "application/json"

    for _ in range(2):
        message = ServiceBusMessage(body, application_properties=properties, content_type=content)
        _send(home, "intake", message)

    with home.reader() as ledger:
        until(lambda: [run for run in ledger.runs() if run.tenant == "acme"], "the run")
        assert len([run for run in ledger.runs() if run.tenant == "acme"]) == 1


def test_hostile_messages_end_with_a_reason_and_the_rest_goes_on(home: Home) -> None:
    """Each is dead-lettered or parked, no worker dies, and a demo still succeeds."""
    workers = {m.pid for m in home.record.alive if m.name.startswith("worker")}
    envelope: dict[str | bytes, Any] = {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": "leaf.task.mirror.sql.v1",
    }
    newer: dict[str, Any] = {
        "id": "t:1",
        "subject": "s",
        "leafrun": "r",
        "leaflane": "mirror",
        "leafpipeline": "p",
        "leaftenant": "acme",
        "leafaudience": "internal",
        "leafrequester": "x",
        "time": "2026-01-01T00:00:00Z",
        "leafdeadline": "2026-01-02T00:00:00Z",
    }
    planned: dict[str | bytes, Any] = {
        f"cloudEvents:{name}": value for name, value in newer.items()
    }
    unknown = envelope | planned | {"cloudEvents:type": "leaf.task.mirror.quantum.v7"}
    hostile = [
        ServiceBusMessage(b"", message_id="h1"),
        ServiceBusMessage(b"\xff\x00 not json", message_id="h2", application_properties=envelope),
        ServiceBusMessage(
            b"[" * 50_000, message_id="h3", application_properties=envelope | planned
        ),
        ServiceBusMessage(b"x" * 200_000, message_id="h4", application_properties=envelope),
        ServiceBusMessage(
            b'{"payload": {}}', message_id="h5", application_properties=envelope | planned
        ),
        ServiceBusMessage(b'{"payload": {}}', message_id="h6", application_properties=unknown),
        ServiceBusMessage(
            b"{}",
            message_id="h7",
            application_properties=envelope | planned | {"cloudEvents:leaftenant": "../../etc"},
        ),
        AmqpAnnotatedMessage(
            value_body={"a": [1, 2, {"b": None}]}, properties={"message_id": "h8"}
        ),
    ]
    for message in hostile:
        _send(home, "lane-mirror", message)

    def told() -> list[Any]:
        rows = [row for row in home.lines("dead-letters") if row["what"] == "message"]
        return rows if len(rows) >= len(hostile) else []

    rows = until(told, "every hostile message among the dead letters")

    assert len(rows) == len(hostile)
    assert {row["state"] for row in rows} == {"dead", "parked"}
    assert all(row["reason"] and row["description"] for row in rows)
    assert [row["reason"] for row in rows if row["state"] == "parked"] == ["unknown kind"]
    assert {m.pid for m in home.record.alive if m.name.startswith("worker")} == workers
    summary = home.fleet("demo", "--clients", "1", "--lines", "1000")
    assert (summary["succeeded"], summary["verified"]) == (1, True)


def test_a_task_tells_everything_about_itself(home: Home) -> None:
    """History, attempts, decisions by rule id, pointers, one trace from intake to last settle."""
    home.fleet("demo", "--clients", "1", "--lines", "1000")
    run = home.lines("runs", "--pipeline", "guarantee_report")[0]["run"]
    with home.reader() as ledger:
        ids = [row.task for row in ledger.tasks(run)]

    tasks = [home.fleet("task", task) for task in ids[:1] + ids[-1:]]

    for task in tasks:
        assert [event["new"] for event in task["history"]][-1] == "succeeded"
        assert task["attempts"][0]["state"] == "succeeded"
        assert {d["decision"]["gate"] for d in task["decisions"]} == {"execute", "publish"}
        assert all(r["rule"] for d in task["decisions"] for r in d["decision"]["reasons"])
        assert task["outputs"]
    assert tasks[-1]["inputs"]
    (trace,) = {task["trace_id"] for task in tasks}
    with home.reader() as ledger:

        def whole() -> bool:
            spans = ledger.spans(trace)
            processed = [s for s in spans if s.name.startswith("process ")]
            return "POST /v1/runs" in {s.name for s in spans} and len(processed) == len(ids)

        until(whole, "a span of the intake and one of every task")


def _send(home: Home, queue: str, message: Any) -> None:
    with (
        ServiceBusClient.from_connection_string(home.bus_connection) as client,
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages(message)
