"""Azure Monitor, by its own exporters, to an ingestion endpoint on loopback."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from contracts.envelope import WireMessage
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.message import Outgoing
from fleet.ledger.rows import LaneRow
from fleet.telemetry import names
from fleet.telemetry.context import context_of, traceparent_of
from fleet.telemetry.measures import measure_lanes
from fleet.telemetry.telemetry import Telemetry, start_telemetry
from localbus.certificate import ensure_certificate
from localbus.testing import running_bus
from tests.fleet.telemetry.test_telemetry import Kept
from tests.policies.secrets import PLANTED, core_of
from tests.servers.ingestion import Ingestion, running_ingestion
from tests.servers.tokens import be_a_pod, running_token_service

QUEUE = "lane-mirror"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingestion]:
    with running_ingestion() as ingestion:
        monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", ingestion.connection_string)
        yield ingestion


def a_delivery(telemetry: Telemetry, traceparent: str | None, outcome: str = "succeeded") -> None:
    """A delivery's spans, as a worker leaves them."""
    with telemetry.tracer.start_as_current_span(
        names.span_name("process", QUEUE),
        context=context_of(traceparent),
        kind=SpanKind.CONSUMER,
        attributes={
            **{name: str(value) for name, value in names.messaging("process", QUEUE).items()},
            names.RUN: "run-1",
            names.TASK: "task-1",
            names.LANE: "mirror",
            names.ATTEMPT: 2,
            names.OUTCOME: outcome,
        },
    ):
        with telemetry.tracer.start_as_current_span("run mirror.sql"):
            logging.getLogger("workers").warning("the source answered late")
        with telemetry.tracer.start_as_current_span(
            names.span_name("settle", QUEUE),
            kind=SpanKind.CLIENT,
            attributes={k: str(v) for k, v in names.messaging("settle", QUEUE).items()},
        ):
            pass


async def test_one_trace_is_seen_whole(monitor: Ingestion, tmp_path: Path) -> None:
    """From the request over the bus to the settlement, over two processes: one operation, each span
    under its parent, with where and what of it in OpenTelemetry's messaging names."""
    with (
        running_bus(tmp_path / "bus", queues=[QUEUE]) as broker,
        start_telemetry("dispatcher", Kept()) as here,
    ):
        with here.tracer.start_as_current_span("POST /v1/runs", kind=SpanKind.SERVER) as request:
            traceparent = traceparent_of(request) or ""
        message = WireMessage(message_id="m", properties={"traceparent": traceparent}, body=b"{}")
        store = FolderStore(tmp_path / "artifacts")
        async with open_bus(broker.connection_string, store, here.send_tracer) as bus:
            await bus.publish(QUEUE, [Outgoing(message=message)])
    with start_telemetry("worker", Kept()) as there:
        a_delivery(there, traceparent)

    spans = monitor.of("RequestData", "RemoteDependencyData")
    by_name = {one["data"]["baseData"]["name"]: one for one in spans}
    assert set(by_name) == {
        "POST /v1/runs",
        "send lane-mirror",
        "process lane-mirror",
        "run mirror.sql",
        "settle lane-mirror",
    }
    [operation] = {one["tags"]["ai.operation.id"] for one in spans}
    assert operation == traceparent.split("-")[1]
    parents = {name: one["tags"].get("ai.operation.parentId") for name, one in by_name.items()}
    ids = {name: one["data"]["baseData"]["id"] for name, one in by_name.items()}
    assert parents["process lane-mirror"] == parents["send lane-mirror"] == ids["POST /v1/runs"]
    assert parents["run mirror.sql"] == parents["settle lane-mirror"] == ids["process lane-mirror"]
    roles = {one["tags"]["ai.cloud.role"] for one in spans}
    assert roles == {"leaf-fleet-dispatcher", "leaf-fleet-worker"}
    for operation_type in ("send", "process", "settle"):
        told = by_name[f"{operation_type} {QUEUE}"]["data"]["baseData"]["properties"]
        told.pop("otel.messaging.message.id", None)
        assert {name: v for name, v in told.items() if name.startswith("otel.")} == {
            "otel.messaging.system": "servicebus",
            "otel.messaging.operation.name": operation_type,
            "otel.messaging.operation.type": operation_type,
            "otel.messaging.destination.name": QUEUE,
        }


def test_metrics_and_log_lines_arrive(monitor: Ingestion) -> None:
    """What was counted, and what was said, with the trace it was said in; of lanes what the alert
    on one that stands still asks for (infra/queries)."""
    long_ago = NOW - timedelta(minutes=20)
    row = LaneRow(lane="mirror", states={State.QUEUED: 2}, oldest_queued=long_ago)
    with start_telemetry("worker", Kept()) as telemetry:
        measure_lanes(telemetry.meter, lambda: [row], lambda: NOW)
        a_delivery(telemetry, None)

    metrics = {
        metric["name"]: one["data"]["baseData"]["properties"]
        for one in monitor.of("MetricData")
        for metric in one["data"]["baseData"]["metrics"]
    }
    assert metrics["leaf.attempts"] == {names.LANE: "mirror", names.OUTCOME: "succeeded"}
    assert metrics["messaging.process.duration"][names.DESTINATION] == QUEUE
    assert metrics["leaf.lane.tasks"] == {names.LANE: "mirror", names.STATE: "queued"}
    assert metrics["leaf.lane.oldest.age"] == {names.LANE: "mirror"}
    [line] = monitor.of("MessageData")
    assert line["data"]["baseData"]["message"] == "the source answered late"
    [process] = monitor.of("RequestData")
    assert line["tags"]["ai.operation.id"] == process["tags"]["ai.operation.id"]


def test_a_pod_sends_by_its_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans, metrics and log lines, each with a token for Azure Monitor; the key in the connection
    string opens nothing there."""
    certificate, key = ensure_certificate(tmp_path, "127.0.0.1")
    with (
        running_token_service(certificate, key) as service,
        running_ingestion((certificate, key)) as monitor,
    ):
        be_a_pod(monkeypatch, tmp_path, service, certificate)
        monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", monitor.connection_string)
        with start_telemetry("worker", Kept()) as telemetry:
            a_delivery(telemetry, None)

    assert {one["data"]["baseType"] for one in monitor.envelopes} == {
        "RequestData",
        "RemoteDependencyData",
        "MetricData",
        "MessageData",
    }
    assert monitor.tokens <= set(service.tokens)
    assert monitor.tokens
    assert set(service.scopes) == {"https://monitor.azure.com//.default"}


def test_no_secret_leaves(monitor: Ingestion) -> None:
    """Spans and log lines are redacted before they are sent."""
    with start_telemetry("worker", Kept()) as telemetry:
        for _, planted in PLANTED.values():
            with telemetry.tracer.start_as_current_span(f"read {planted}"):
                logging.getLogger("workers").warning("read %s", planted)

    sent = json.dumps(monitor.envelopes)
    assert len(monitor.of("MessageData")) == len(PLANTED)
    for name in PLANTED:
        assert core_of(name) not in sent
