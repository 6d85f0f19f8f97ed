"""Metrics as Prometheus text over HTTP, for whoever scrapes: `GET /metrics`."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry, start_http_server


class MetricsPage:
    """A page on a thread of its own. Its registry is no global."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError for a taken port."""
        registry = CollectorRegistry()
        self.reader = PrometheusMetricReader(registry=registry)
        self._server, self._thread = start_http_server(port, host, registry)
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
