"""Spans and metrics of one process, and where they go.

Spans go to Azure Monitor where its connection string is set, else to OTLP where that is set, else
to the ledger's trace store. Metrics go to either in the same way, and are served as Prometheus text
on a port where one is asked for.

No globals: whoever traces is handed the tracer. Finished spans wait in memory and leave in batches,
redacted before they reach anything. A store that is away costs spans, never work.
"""

import logging
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status, Tracer

from fleet.telemetry import azure_monitor, names
from fleet.telemetry.lines import SpanLines
from fleet.telemetry.measures import DeliveryMeasures
from fleet.telemetry.metrics_page import MetricsPage
from fleet.telemetry.redact import redacted, redacted_values
from fleet.telemetry.stored import SpanStore, StoredSpans, without_stack
from fleet.telemetry.tracer import LocalSpan, LocalTracer

_OTLP = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OTLP_METRICS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_QUEUE = 20_000
_BATCH = 512
_EVERY = 1000  # ms


class Telemetry:
    """A tracer, and the batches behind it. A context manager; leaving it sends what is left."""

    def __init__(
        self,
        service: str,
        to: SpanExporter | SpanStore,
        *,
        readers: Sequence[MetricReader] = (),
        log_lines: Callable[[Resource], logging.Handler] | None = None,
        metrics_at: tuple[str, int] | None = None,
    ) -> None:
        """`readers` collect metrics; `log_lines` makes what also takes log lines; `metrics_at`:
        address and port of the Prometheus text, 0 for a free one."""
        self._closed = False
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
        # Without readers nobody would ever ask, and each span would pay for it.
        measures = [DeliveryMeasures(self.meter)] if all_readers else []
        self._batches: BatchSpanProcessor | StoredSpans
        self.tracer: Tracer
        if isinstance(to, SpanExporter):
            self._batches = BatchSpanProcessor(
                to,
                max_queue_size=_LONGEST_QUEUE,
                schedule_delay_millis=_EVERY,
                max_export_batch_size=_BATCH,
            )
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            for processor in (self._batches, *measures):
                provider.add_span_processor(processor)
            self.tracer = provider.get_tracer("leaf-fleet")
        else:
            self._batches = StoredSpans(to)
            self.tracer = LocalTracer(
                resource,
                _each(self._batches.on_end, *map(_with_those_within, measures)),
                self._batches.on_event,
            )

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
        """Send everything there is now. Blocks until it is sent or lost; what goes to the store is
        in its hands."""
        self._batches.force_flush()
        self._metrics.force_flush()
        if self._log_lines is not None:
            self._log_lines.flush()

    def close(self) -> None:
        """Send what is left and end the threads. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._batches.shutdown()
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
    return Telemetry(service, store, readers=readers, metrics_at=metrics_at)


def _with_those_within(measures: SpanProcessor) -> Callable[[LocalSpan], None]:
    def take(span: LocalSpan) -> None:
        for one in (*span.within, span):
            measures.on_end(one)

    return take


def _each(*takers: Callable[[LocalSpan], None]) -> Callable[[LocalSpan], None]:
    if len(takers) == 1:
        return takers[0]

    def take(span: LocalSpan) -> None:
        for taker in takers:
            taker(span)

    return take


_Spelling = Callable[[dict[str, Any]], dict[str, Any]]


class _Redacting(SpanExporter):
    """Redacts, then hands on."""

    def __init__(self, exporter: SpanExporter, spelled: _Spelling = dict) -> None:
        self._exporter, self._spelled = exporter, spelled

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_redacted_span(span, self._spelled) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _redacted_span(span: ReadableSpan, spelled: _Spelling) -> ReadableSpan:
    events = [
        Event(event.name, redacted_values(without_stack(event)), event.timestamp)
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
