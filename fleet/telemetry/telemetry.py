"""Spans and metrics of one process, and where they go.

Spans go to Azure Monitor where its connection string is set, else to OTLP where that is set, else
to the ledger's trace store. Metrics go to either in the same way, and are served as Prometheus text
on a port where one is asked for.

No globals: whoever traces is handed the tracer. Finished spans wait in memory and leave in batches
from a thread of their own; they are redacted there, before they reach anything. A store that is
away costs spans, never work.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status, Tracer

from fleet.errors import FleetError
from fleet.ledger.rows import SpanRow
from fleet.telemetry import azure_monitor, names
from fleet.telemetry.lines import SpanLines, kept
from fleet.telemetry.measures import DeliveryMeasures
from fleet.telemetry.metrics_page import MetricsPage
from fleet.telemetry.redact import redacted, redacted_values
from fleet.telemetry.tracer import LocalTracer

_OTLP = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OTLP_METRICS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_QUEUE = 20_000
_BATCH = 512
_EVERY = 1000  # ms

_log = logging.getLogger(__name__)


class SpanStore(Protocol):
    """Where spans are kept: the ledger is one."""

    async def add_spans(self, spans: Sequence[SpanRow]) -> None:
        """Keep these spans. May be called on any event loop."""


class Telemetry:
    """A tracer, and the batches behind it. A context manager; leaving it sends what is left."""

    def __init__(
        self,
        service: str,
        exporter: SpanExporter,
        *,
        local: bool = False,
        readers: Sequence[MetricReader] = (),
        log_lines: Callable[[Resource], logging.Handler] | None = None,
        metrics_at: tuple[str, int] | None = None,
    ) -> None:
        """`readers` collect metrics; `log_lines` makes what also takes log lines; `metrics_at`:
        address and port of the Prometheus text, 0 for a free one."""
        self._closed = False
        self._batches = BatchSpanProcessor(
            exporter,
            max_queue_size=_LONGEST_QUEUE,
            schedule_delay_millis=_EVERY,
            max_export_batch_size=_BATCH,
        )
        resource = Resource.create({names.SERVICE: f"leaf-fleet-{service}"})
        self._page = None if metrics_at is None else MetricsPage(*metrics_at)
        all_readers = [*readers, *([self._page.reader] if self._page else [])]
        self._metrics = MeterProvider(
            metric_readers=all_readers,
            resource=resource,
            shutdown_on_exit=False,
        )
        self.meter: Meter = self._metrics.get_meter("leaf-fleet")
        # Where log lines are taken as such, they are not told once more with the spans.
        self._span_lines = None if log_lines else SpanLines()
        if self._span_lines is not None:
            logging.getLogger().addHandler(self._span_lines)
        self._log_lines = None if log_lines is None else log_lines(resource)
        if self._log_lines is not None:
            logging.getLogger().addHandler(self._log_lines)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(self._batches)
        ended: Callable[[ReadableSpan], None] = self._batches.on_end
        if all_readers:  # else nobody would ever ask, and each span would pay for it
            measures = DeliveryMeasures(self.meter)
            self._provider.add_span_processor(measures)
            ended = _each(self._batches.on_end, measures.on_end)
        self.tracer: Tracer = self._provider.get_tracer("leaf-fleet")
        if local:
            self.tracer = LocalTracer(resource, ended)

    @property
    def send_tracer(self) -> Tracer | None:
        """For the spans of sendings: where traces leave the machine. The local store goes without
        them: it would have one more row for each task, and nothing that the ledger does not tell.
        """
        return None if isinstance(self.tracer, LocalTracer) else self.tracer

    @property
    def metrics_port(self) -> int | None:
        """Where the Prometheus text is served, if it is."""
        return self._page.port if self._page else None

    def flush(self) -> None:
        """Send everything there is now. Blocks until it is sent or lost."""
        # In a thread: a store that is a coroutine cannot run beneath the caller's event loop.
        sending = threading.Thread(target=self._batches.force_flush, name="telemetry-flush")
        sending.start()
        sending.join()
        self._metrics.force_flush()
        if self._log_lines is not None:
            self._log_lines.flush()

    def close(self) -> None:
        """Send what is left and end the threads. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._provider.shutdown()
        self._metrics.shutdown()
        if self._page is not None:
            self._page.close()
        if self._span_lines is not None:
            logging.getLogger().removeHandler(self._span_lines)
        if self._log_lines is not None:
            logging.getLogger().removeHandler(self._log_lines)
            self._log_lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start_telemetry(
    service: str, store: SpanStore, metrics_at: tuple[str, int] | None = None
) -> Telemetry:
    """Telemetry of a process. `service` is its part: `worker`, `dispatcher`.

    With APPLICATIONINSIGHTS_CONNECTION_STRING everything goes to Azure Monitor, log lines too. With
    OTEL_EXPORTER_OTLP_ENDPOINT (or the one for traces) spans go there over HTTP, as the
    OpenTelemetry environment variables say; without, to `store`.
    """
    if azure_monitor.is_set():
        return Telemetry(
            service,
            _Redacting(azure_monitor.span_exporter(), azure_monitor.spelled),
            readers=[azure_monitor.metric_reader()],
            log_lines=azure_monitor.LogLines,
            metrics_at=metrics_at,
        )
    readers = []
    if any(os.environ.get(name) for name in _OTLP_METRICS):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    if any(os.environ.get(name) for name in _OTLP):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return Telemetry(
            service, _Redacting(OTLPSpanExporter()), readers=readers, metrics_at=metrics_at
        )
    return Telemetry(service, _ToStore(store), local=True, readers=readers, metrics_at=metrics_at)


def _each(*takers: Callable[[ReadableSpan], None]) -> Callable[[ReadableSpan], None]:
    def take(span: ReadableSpan) -> None:
        for taker in takers:
            taker(span)

    return take


_Spelling = Callable[[dict[str, Any]], dict[str, Any]]


class _ToStore(SpanExporter):
    """Batches of spans as rows of the local trace store."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        rows = [span_row(span) for span in spans]
        try:
            # An event loop of this thread's own: the process's may be waiting for this to end.
            asyncio.run(self._store.add_spans(rows))
        except FleetError as fault:
            _log.warning("%d spans were lost: %s", len(rows), fault)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


class _Redacting(SpanExporter):
    """Redacts, then hands on."""

    def __init__(self, exporter: SpanExporter, spelled: _Spelling = dict) -> None:
        self._exporter, self._spelled = exporter, spelled

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_redacted_span(span, self._spelled) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()


def span_row(span: ReadableSpan) -> SpanRow:
    """A finished span as a row, redacted. An exception leaves its type and message, no stack."""
    attributes = redacted_values(span.attributes or {})
    events = span.events
    for event in events:
        if event.name == "exception":
            attributes |= redacted_values(_without_stack(event))
    attributes[names.SERVICE] = str(span.resource.attributes.get(names.SERVICE, ""))
    if events:
        attributes |= kept(events, span.dropped_events)
    run, task = attributes.get(names.RUN), attributes.get(names.TASK)
    context = span.get_span_context()
    return SpanRow(
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        name=redacted(span.name),
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        attributes=attributes,
        run=str(run) if run else None,
        task=str(task) if task else None,
    )


def _redacted_span(span: ReadableSpan, spelled: _Spelling) -> ReadableSpan:
    events = [
        Event(event.name, redacted_values(_without_stack(event)), event.timestamp)
        for event in span.events
    ]
    return ReadableSpan(
        name=redacted(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=spelled(redacted_values(span.attributes or {})),
        events=events,
        links=[Link(to.context, redacted_values(to.attributes or {})) for to in span.links],
        kind=span.kind,
        # Its description repeats what an exception says.
        status=Status(span.status.status_code, redacted(span.status.description or "") or None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_stack(event: Event) -> dict[str, object]:
    """The stack of an exception names files of this machine, line by line."""
    return {name: v for name, v in (event.attributes or {}).items() if name != _STACK}


_STACK = "exception.stacktrace"
