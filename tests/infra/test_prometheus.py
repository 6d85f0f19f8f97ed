"""The Grafana dashboard and the Prometheus alerts, held to the metrics that are exported."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from contracts.states import State
from fleet.ledger.rows import LaneRow
from fleet.telemetry.measures import measure_lanes, measure_rules
from fleet.telemetry.telemetry import start_telemetry
from tests.fleet.telemetry.test_measures import NOW, end_one, scraped
from tests.fleet.telemetry.test_telemetry import Kept

_INFRA = Path(__file__).parents[2] / "infra"
DASHBOARD: dict[str, Any] = json.loads((_INFRA / "grafana" / "fleet.json").read_text())
GROUPS = yaml.safe_load((_INFRA / "prometheus" / "alerts.yaml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}
QUERIES: dict[str, str] = {name: rule["expr"] for name, rule in ALERTS.items()} | {
    # What Grafana puts in before it asks.
    f"{panel['title']} {target['refId']}": target["expr"]
    .replace("$__rate_interval", "5m")
    .replace("$lane", ".*")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
"""Every query of both files, by where it stands."""


def selectors(query: str) -> list[promql_parser.VectorSelector]:
    """The series that it selects. Raises ValueError where it is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), pre_visit=visit)
    return found


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """The labels of every series that a dispatcher and a worker export."""
    row = LaneRow(
        lane="a", states={State.QUEUED: 1, State.HELD: 1}, oldest_queued=NOW - timedelta(seconds=9)
    )
    with start_telemetry("worker", Kept(), ("127.0.0.1", 0)) as telemetry:
        measure_lanes(telemetry.meter, lambda: [row], lambda: datetime.now(UTC))
        measure_rules(telemetry.meter, lambda: 1, lambda: ("a fault",))
        end_one(telemetry, attempt=2, outcome="succeeded")
        end_one(telemetry, attempt=1, outcome="succeeded", lease_lost=True)
        end_one(telemetry, attempt=1, declined="closed")
        samples = scraped(telemetry)
    found: dict[str, set[str]] = {}
    for sample in samples:
        name, _, labels = sample.partition("{")
        pairs = labels.rstrip("}").split(",")
        found.setdefault(name, set()).update(pair.split("=")[0] for pair in pairs)
    return found


@pytest.mark.parametrize("place", QUERIES)
def test_every_query_is_of_metrics_that_are_exported(
    place: str, exported: dict[str, set[str]]
) -> None:
    """It parses as PromQL; each series and each label that it selects by is exported."""
    selected = selectors(QUERIES[place])

    assert selected
    for one in selected:
        assert one.name in exported
        assert {m.name for m in one.matchers.matchers} <= exported[str(one.name)]


def test_every_alert_says_what_to_do() -> None:
    """A severity, a summary and a description, and no name twice."""
    assert len(ALERTS) == sum(len(group["rules"]) for group in GROUPS)
    for rule in ALERTS.values():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_states_and_outcomes_in_queries_are_real() -> None:
    """A state that is misspelt would never be seen."""
    known = {state.value for state in State} | {"error"}
    for query in QUERIES.values():
        for one in selectors(query):
            for matcher in one.matchers.matchers:
                if matcher.name in {"leaf_state", "leaf_outcome"}:
                    assert set(matcher.value.split("|")) <= known


def test_the_dashboard_can_be_imported() -> None:
    """Of the schema of Grafana 10.4 and later; panels have ids and places of their own, and ask the
    data source that is chosen on the page."""
    assert DASHBOARD["schemaVersion"] == 39
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        right, bottom = at["x"] + at["w"], at["y"] + at["h"]
        cells = {(x, y) for x in range(at["x"], right) for y in range(at["y"], bottom)}
        assert right <= 24
        assert not cells & taken
        taken |= cells
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in asked} == {"${datasource}"}
