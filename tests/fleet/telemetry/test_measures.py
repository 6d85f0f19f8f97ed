"""Metrics as they are scraped: the numbers of deliveries and lanes."""

import urllib.request
from datetime import UTC, datetime, timedelta

from contracts.states import State
from fleet.errors import FleetError
from fleet.ledger.rows import LaneRow
from fleet.telemetry import names
from fleet.telemetry.measures import measure_lanes, measure_rules
from fleet.telemetry.telemetry import Telemetry, start_telemetry
from tests.fleet.telemetry.test_telemetry import Kept

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def scraped(telemetry: Telemetry) -> dict[str, float]:
    """Samples by name and labels, but for those of the scope."""
    address = f"http://127.0.0.1:{telemetry.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=20) as answer:
        text = answer.read().decode()
    samples = {}
    for line in text.splitlines():
        if line.startswith("#") or "_info" in line:
            continue
        name, _, value = line.rpartition(" ")
        name, _, labels = name.partition("{")
        kept = [label for label in labels.rstrip("}").split(",") if "otel_scope" not in label]
        samples[name + "{" + ",".join(sorted(kept)) + "}"] = float(value)
    return samples


def end_one(telemetry: Telemetry, **attributes: str | int | bool) -> None:
    """A delivery of lane `a` that ended."""
    told: dict[str, str | int] = {
        name: str(value) for name, value in names.messaging("process", "lane-a").items()
    }
    spelled = {names.LANE: "a", **{f"leaf.{n.replace('_', '.')}": v for n, v in attributes.items()}}
    with telemetry.tracer.start_as_current_span("process lane-a", attributes=told | spelled):
        pass


def test_deliveries_are_counted_by_how_they_ended() -> None:
    """Outcomes, retries, lost leases and declined deliveries, each by lane; a lost one has no
    outcome, for none was recorded."""
    with start_telemetry("worker", Kept(), ("127.0.0.1", 0)) as telemetry:
        end_one(telemetry, attempt=1, outcome="succeeded")
        end_one(telemetry, attempt=2, outcome="succeeded")
        end_one(telemetry, attempt=1, outcome="retrying")
        end_one(telemetry, attempt=1, outcome="succeeded", lease_lost=True)
        end_one(telemetry, attempt=1, declined="closed")
        found = scraped(telemetry)

    assert found['leaf_attempts_total{leaf_lane="a",leaf_outcome="succeeded"}'] == 2
    assert found['leaf_attempts_total{leaf_lane="a",leaf_outcome="retrying"}'] == 1
    assert found['leaf_retries_total{leaf_lane="a"}'] == 1
    assert found['leaf_lease_losses_total{leaf_lane="a"}'] == 1
    assert found['leaf_deliveries_declined_total{leaf_declined="closed",leaf_lane="a"}'] == 1
    [count] = [
        value
        for name, value in found.items()
        if name.startswith("messaging_process_duration_seconds_count") and "succeeded" in name
    ]
    assert count == 2


def test_lanes_tell_their_depth_and_how_long_the_oldest_waits() -> None:
    """Asked of the ledger when somebody scrapes; while it is away there are no numbers, and the
    page still answers."""
    row = LaneRow(
        lane="a",
        states={State.QUEUED: 3, State.RUNNING: 1},
        oldest_queued=NOW - timedelta(seconds=90),
    )
    away = False

    def lanes() -> list[LaneRow]:
        if away:
            raise FleetError("the ledger is away")
        return [row]

    with start_telemetry("dispatcher", Kept(), ("127.0.0.1", 0)) as telemetry:
        measure_lanes(telemetry.meter, lanes, lambda: NOW)
        found = scraped(telemetry)
        away = True
        without = scraped(telemetry)

    assert found['leaf_lane_runnable{leaf_lane="a"}'] == 3
    assert found['leaf_lane_tasks{leaf_lane="a",leaf_state="running"}'] == 1
    assert found['leaf_lane_oldest_age_seconds{leaf_lane="a"}'] == 90
    assert not [name for name in without if name.startswith("leaf_lane")]


def test_refused_rules_are_told_until_good_ones_are_there() -> None:
    """The number of their faults beside the version in force, which an alert is on."""
    faults = ["guardrails/a.cedar: syntax", "bundle.toml: version"]
    with start_telemetry("dispatcher", Kept(), ("127.0.0.1", 0)) as telemetry:
        measure_rules(telemetry.meter, lambda: 4, lambda: faults)
        refused = scraped(telemetry)
        faults.clear()
        good = scraped(telemetry)

    assert (refused["leaf_policy_faults{}"], refused["leaf_policy_generation{}"]) == (2, 4)
    assert good["leaf_policy_faults{}"] == 0
