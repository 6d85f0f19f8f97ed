"""What a whole fleet tells Azure Monitor of its runs."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import called
from tests.servers.ingestion import running_ingestion

_SENT = "otel.messaging.batch.message_count"


@pytest.mark.timeout(240)
def test_each_run_is_one_whole_trace_in_azure_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over dispatcher, bus and worker: from the request, every task sent, processed and settled,
    each span beneath one that is there."""
    with running_ingestion() as monitor:
        monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", monitor.connection_string)
        demo = called(tmp_path, "demo", "--clients", "2", "--lines", "2000", "--workers", "1")
        spans = monitor.of("RequestData", "RemoteDependencyData")

    assert demo.code == 0, demo.err
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in spans:
        traces[one["tags"]["ai.operation.id"]].append(one)
    assert len(traces) == 2
    for trace in traces.values():
        ids = {one["data"]["baseData"]["id"] for one in trace}
        parents = {one["tags"].get("ai.operation.parentId") for one in trace}
        assert parents - ids == {None}, "a span hangs on one that nobody sent"
        done = Counter(one["data"]["baseData"]["name"].split()[0] for one in trace)
        assert done["POST"] == 1
        # A slow machine may have a message delivered twice; fewer is a span that was lost.
        assert min(done["process"], done["run"], done["settle"]) >= 38
    sent = [
        int(one["data"]["baseData"]["properties"].get(_SENT, 1))
        for one in spans
        if one["data"]["baseData"]["name"].startswith("send ")
    ]
    assert sum(sent) >= 2 * 38
