"""Spans over the real SDK: what arrives in the store and at a collector, and what never does."""

import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind, Tracer

from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import SpanRow
from fleet.ledger.spans import FinishedSpan, unfolded
from fleet.telemetry import names
from fleet.telemetry.context import context_of, traceparent_of
from fleet.telemetry.telemetry import start_telemetry
from tests.policies.secrets import PLANTED, core_of


class Kept:
    """A store in memory."""

    def __init__(self, fault: FleetError | None = None) -> None:
        self.rows: list[SpanRow] = []
        self.fault = fault

    def put_spans(self, spans: Sequence[FinishedSpan], lost: Callable[[Exception], None]) -> None:
        if self.fault is not None:
            lost(self.fault)
        else:
            self.rows += unfolded(spans)


class Collector(ThreadingHTTPServer):
    """A collector that keeps what it is sent over OTLP."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), Taking)


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/v1/traces"):  # metrics come too
            self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def fail_in_a_span(tracer: Tracer, words: str) -> None:
    attributes: dict[str, str | int | list[str]] = {"a": words, "b": ["x", words], "n": 3}
    with (
        pytest.raises(ConnectionError),
        tracer.start_as_current_span(f"read {words}", attributes=attributes),
    ):
        raise ConnectionError(words)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_a_span_becomes_a_row() -> None:
    """Ids, parent, times, kind, status and attributes of a finished span are kept."""
    kept = Kept()
    attributes: dict[str, str | int] = {names.RUN: "r1", names.TASK: "t1", names.ATTEMPT: 2}
    name = names.span_name("process", "lane-mirror")
    with (
        start_telemetry("worker", kept) as telemetry,
        telemetry.tracer.start_as_current_span("outer") as outer,
        telemetry.tracer.start_as_current_span(name, kind=SpanKind.CONSUMER, attributes=attributes),
    ):
        pass

    root, inner = kept.rows
    context = outer.get_span_context()
    assert (root.trace_id, root.span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert (inner.trace_id, inner.parent_id, root.parent_id) == (root.trace_id, root.span_id, None)
    assert (inner.name, inner.kind, inner.status) == ("process lane-mirror", "consumer", "unset")
    assert (inner.run, inner.task, inner.attributes[names.ATTEMPT]) == ("r1", "t1", 2)
    assert inner.attributes[names.SERVICE] == "leaf-fleet-worker"
    assert root.start_ns <= inner.start_ns <= inner.end_ns <= root.end_ns


def test_a_trace_goes_on_in_another_process() -> None:
    """A traceparent that left one process continues its trace in the next."""
    here, there = Kept(), Kept()
    with start_telemetry("dispatcher", here) as one, one.tracer.start_as_current_span("a") as sent:
        told = traceparent_of(sent)
    with start_telemetry("worker", there) as other:
        other.tracer.start_span("process", context=context_of(told)).end()

    assert there.rows[0].trace_id == here.rows[0].trace_id
    assert there.rows[0].parent_id == here.rows[0].span_id


@pytest.mark.parametrize(
    "traceparent", [None, "", "00-zz-1-01", "x" * 5000, f"00-{'0' * 32}-{'0' * 16}-01"]
)
def test_a_malformed_traceparent_begins_a_trace(traceparent: str | None) -> None:
    """Whatever came in the message, there is a trace, and it is not the current one."""
    kept = Kept()
    with (
        start_telemetry("worker", kept) as telemetry,
        telemetry.tracer.start_as_current_span("current"),
    ):
        telemetry.tracer.start_span("process", context=context_of(traceparent)).end()

    outer, inner = kept.rows
    assert inner.parent_id is None
    assert inner.trace_id != outer.trace_id


def test_a_span_that_failed_says_by_what_and_keeps_no_stack() -> None:
    """An exception leaves status, type and message; file names of this machine stay here."""
    kept = Kept()
    with start_telemetry("worker", kept) as telemetry:
        fail_in_a_span(telemetry.tracer, "no such column")

    (row,) = kept.rows
    assert row.status == "error"
    assert row.attributes["exception.type"] == "ConnectionError"
    assert row.attributes["exception.message"] == "no such column"
    assert __file__ not in row.model_dump_json()


@pytest.mark.parametrize("name", PLANTED)
def test_no_secret_reaches_the_store(name: str) -> None:
    """A secret in a name, an attribute, a list or an exception is not in the row."""
    kept = Kept()
    with start_telemetry("worker", kept) as telemetry:
        fail_in_a_span(telemetry.tracer, f"cannot read {PLANTED[name][1]}")

    told = kept.rows[0]
    assert core_of(name) not in f"{told.name} {told.attributes}"
    assert set(told.attributes) >= {"a", "b", "exception.message"}


async def test_spans_are_kept_in_the_ledger(tmp_path: Path) -> None:
    """Flushing and leaving beneath a running event loop write every span, and wait for nobody."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with await Ledger.open(url) as ledger:
        with (
            start_telemetry("worker", ledger) as telemetry,
            telemetry.tracer.start_as_current_span("run") as run,
        ):
            for number in range(700):
                telemetry.tracer.start_span(f"process {number}").end()
            telemetry.flush()

    with LedgerReader(url) as reader:
        spans = reader.spans(f"{run.get_span_context().trace_id:032x}")
    assert [span.name for span in spans] == ["run", *(f"process {n}" for n in range(700))]


def test_a_store_that_is_away_costs_spans_only(caplog: pytest.LogCaptureFixture) -> None:
    """Work goes on, and the log says how many spans were lost."""
    with start_telemetry("worker", Kept(FleetError("the ledger is closed"))) as telemetry:
        telemetry.tracer.start_span("process").end()

    assert "1 spans were lost: the ledger is closed" in caplog.text


def test_closing_twice_is_harmless() -> None:
    """The end of a process may come more than once."""
    kept = Kept()
    telemetry = start_telemetry("worker", kept)
    telemetry.tracer.start_span("process").end()
    telemetry.close()
    telemetry.close()

    assert [row.name for row in kept.rows] == ["process"]


def test_with_an_endpoint_spans_go_there_redacted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTLP where it is set: over HTTP, without secrets, and nothing to the store."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    kept, secret = Kept(), PLANTED["blob address"][1]
    with start_telemetry("worker", kept) as telemetry:
        fail_in_a_span(telemetry.tracer, secret)

    (request,) = collector.requests
    (span,) = request.resource_spans[0].scope_spans[0].spans
    told = {item.key: item.value for item in span.attributes}
    assert (span.name, told["n"].int_value) == ("read [signed_url]", 3)
    assert told["a"].string_value == "[signed_url]"
    assert b"sig=" not in request.SerializeToString()
    assert __file__.encode() not in request.SerializeToString()
    assert kept.rows == []
