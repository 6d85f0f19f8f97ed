"""Azure Monitor: spans, metrics and log lines of this process to Application Insights.

The exporters alone, not the distribution around them, which instruments libraries that are not here
and sets up global state. What they would send about themselves, to addresses of their own, is off.
"""

import logging
import os
import time
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter

from fleet.errors import FleetError
from fleet.identity import default_credential
from fleet.telemetry.logs import stack_of
from fleet.telemetry.redact import redacted

CONNECTION = "APPLICATIONINSIGHTS_CONNECTION_STRING"
_FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"
"""Set in a pod that signs in by its identity: then telemetry does too (infra/modules/monitor.bicep
takes none without). Elsewhere the connection string's own key does."""
_SILENCED = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
)
_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


class MonitorMissing(FleetError):
    """The exporter of Azure Monitor is not installed. Nothing was sent."""


def is_set() -> bool:
    """Whether telemetry is to go to Azure Monitor."""
    return bool(os.environ.get(CONNECTION))


def span_exporter() -> SpanExporter:
    """Where spans go. Raises MonitorMissing."""
    made: SpanExporter = _azure().AzureMonitorTraceExporter(**_given())
    return made


def spelled(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as Application Insights keeps them. It takes `messaging.` for columns of its own
    and drops what it has none for; under `otel.` each stays a custom dimension."""
    kept = {f"otel.{name}": v for name, v in attributes.items() if name.startswith("messaging.")}
    return attributes | kept


def metric_reader() -> MetricReader:
    """What collects metrics each minute, and sends them. Raises MonitorMissing."""
    return PeriodicExportingMetricReader(_azure().AzureMonitorMetricExporter(**_given()))


class LogLines(logging.Handler):
    """Sends log lines, redacted, each with the trace that it belongs to. Close it."""

    def __init__(self, resource: Resource) -> None:
        super().__init__()
        exporter = _azure().AzureMonitorLogExporter(**_given())
        self._provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._logger = self._provider.get_logger("leaf-fleet")

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over; it leaves from a thread of its own. What the exporters say of
        themselves is left out: it would be about sending what was said before."""
        if record.name.startswith(("azure.", "opentelemetry.")):
            return
        said = redacted(record.getMessage())
        if record.exc_info and record.exc_info[1]:
            said = "\n".join([said, *stack_of(record.exc_info[1])])
        self._logger.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=get_current(),
                severity_number=_SEVERITY.get(record.levelno, SeverityNumber.UNSPECIFIED),
                severity_text=record.levelname,
                body=said,
                attributes={"logger": record.name},
            )
        )

    def flush(self) -> None:
        """Send every line now."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is left. Twice is harmless."""
        self._provider.shutdown()
        super().close()


def _given() -> dict[str, Any]:
    """What each exporter is given."""
    # No offline storage: what cannot be sent would lie on this machine's disk for two days.
    given: dict[str, Any] = {"disable_offline_storage": True}
    if os.environ.get(_FEDERATED):
        given["credential"] = default_credential()
    return given


def _azure() -> Any:
    for name in _SILENCED:
        os.environ.setdefault(name, "true")
    try:
        from azure.monitor.opentelemetry import exporter
    except ImportError:
        raise MonitorMissing(f"{CONNECTION} needs a library: install leaf-fleet[azure]") from None
    return exporter
