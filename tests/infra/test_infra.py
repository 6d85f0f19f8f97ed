"""The Bicep files by their structure, and what they must agree on with the rest.

Read by pycep, which knows Bicep's grammar but not Azure's types: no compiler is in a registry that
CI reaches (npm and PyPI have wrappers, which fetch one from elsewhere). `az bicep build --file
infra/main.bicep` is for a machine that has it.
"""

import inspect
import json
import re
from pathlib import Path
from typing import Any, cast

import pycep
import pytest
import yaml

from fleet.lanes import load_lanes
from fleet.telemetry import measures, names
from tests.k8s.manifests import K8S, of_kind

_INFRA = Path(__file__).parents[2] / "infra"
_FILES = sorted(_INFRA.rglob("*.bicep"))
_TEXTS = {path.relative_to(_INFRA).as_posix(): path.read_text(encoding="utf-8") for path in _FILES}
_QUERIES = {path.name: path.read_text(encoding="utf-8") for path in _INFRA.glob("queries/*.kql")}


def _parsed(name: str) -> dict[str, Any]:
    told = cast(dict[str, Any], pycep.BicepParser().parse(text=_TEXTS[name]))
    return told


@pytest.mark.parametrize("name", _TEXTS)
def test_a_file_is_bicep(name: str) -> None:
    """As far as the grammar goes, with something in it."""
    told = _parsed(name)

    assert told.get("resources") or told.get("modules")


def test_every_module_gets_what_it_asks_for_and_nothing_else() -> None:
    """And every file of modules/ is used; every output that is read is there."""
    main = _TEXTS["main.bicep"]
    used = dict(re.findall(r"^module (\w+) '([^']+)'", main, re.M))

    assert set(used.values()) == {name for name in _TEXTS if name != "main.bicep"}
    for module, path in used.items():
        block = re.search(rf"^module {module} '.*?^}}$", main, re.M | re.S)
        assert block
        params = re.search(r"params: \{(.*?)\n  \}", block[0], re.S)
        assert params
        given = set(re.findall(r"^    (\w+):", params[1], re.M))
        assert given == set(_parsed(path)["parameters"]), path
        read = set(re.findall(rf"\b{module}\.outputs\.(\w+)", main))
        assert read <= set(_parsed(path).get("outputs", {})), path


def test_the_lanes_are_those_of_the_lanes_file() -> None:
    """Each has a service account that must be able to sign in."""
    told = re.search(r"param lanes array = \[(.*?)\]", _TEXTS["main.bicep"], re.S)
    assert told

    assert re.findall(r"'([\w-]+)'", told[1]) == [lane.name for lane in load_lanes()]


def test_every_service_account_that_signs_in_is_federated() -> None:
    """By the very name that it has on the cluster; and KEDA's operator."""
    text = _TEXTS["modules/identities.bicep"]
    accounts = {one["metadata"]["name"] for place, one in of_kind("ServiceAccount")}
    accounts -= {"fleet-worker"}  # of the dev overlay, which knows no Azure
    subjects = set(re.findall(r"subject: '([^']+)'", text))
    of_lanes = {f"lane-{lane.name}" for lane in load_lanes()}

    own = "system:serviceaccount:${kubernetesNamespace}:"
    named = {subject.removeprefix(own) for subject in subjects if subject.startswith(own)}
    assert named == (accounts - of_lanes) | {"lane-${lane}"}
    assert "system:serviceaccount:kube-system:keda-operator" in subjects


def test_nothing_signs_in_with_a_key() -> None:
    """Keys are switched off at the services, and no file asks for one."""
    # Application Insights' is its address, since local authentication is off (below).
    whole = "\n".join(_TEXTS.values()).replace("insights.properties.ConnectionString", "")

    assert "disableLocalAuth: true" in _TEXTS["modules/bus.bicep"]
    assert "allowSharedKeyAccess: false" in _TEXTS["modules/storage.bicep"]
    assert "azureADOnlyAuthentication: true" in _TEXTS["modules/ledger.bicep"]
    assert "DisableLocalAuth: true" in _TEXTS["modules/monitor.bicep"]
    assert not re.search(
        r"listKeys|connectionString|administratorLoginPassword|@secure", whole, re.I
    )


def test_workers_and_the_dispatcher_own_nothing() -> None:
    """Only who must count messages may manage the bus."""
    rights = re.findall(
        r"principal: (\w+)PrincipalId\n\s+role: ([\w.]+)", _TEXTS["modules/rights.bicep"]
    )

    assert {who for who, role in rights if role == "dataOwner"} == {"console", "keda"}
    assert {role for who, role in rights if who == "worker"} == {
        "dataSender",
        "dataReceiver",
        "artifactWriter.name",
    }


def test_nobody_may_delete_an_artifact() -> None:
    """Whoever writes has the role of our own, on the container alone; it has no wildcard either."""
    text = _TEXTS["modules/rights.bicep"]
    role = re.search(r"^resource artifactWriter .*?^}$", text, re.M | re.S)
    assert role

    allowed = re.findall(r"'\$\{onBlobs\}/([\w/]+)'", role[0])
    assert allowed == ["read", "blobs/read", "blobs/write", "blobs/add/action"]
    assert "scope: container" in text
    assert "storageAccounts@" not in text, "a right on the whole account"


def test_an_alert_sees_as_far_back_as_its_query_looks() -> None:
    """The service cuts a query's data to the rule's range, whatever `ago` says in it."""
    text = _TEXTS["modules/alerts.bicep"]
    ranges = dict(re.findall(r"queries/([\w-]+\.kql)'\)\n\s+looksBack: 'PT(\w+)'", text))
    minutes = {"15M": 15}

    assert "overrideQueryTimeRange: alert.looksBack" in text
    assert set(ranges) == set(re.findall(r"queries/([\w-]+\.kql)", text))
    for query, looks_back in ranges.items():
        asked = [int(told) for told in re.findall(r"ago\((\d+)m\)", _QUERIES[query])]
        assert max(asked, default=0) <= minutes[looks_back], query


def test_the_overlay_is_filled_from_the_outputs() -> None:
    """Each value of azure.yaml has the output of its name."""
    config = yaml.safe_load((K8S / "overlays" / "aks" / "azure.yaml").read_text())

    assert set(config["data"]) <= set(_parsed("main.bicep")["outputs"])


def test_queries_ask_for_names_that_the_fleet_writes() -> None:
    """A renamed attribute would leave an alert that never fires."""
    written = {
        value
        for name, value in vars(names).items()
        if isinstance(value, str) and value.startswith("leaf.")
    }

    measured = set(re.findall(r'"(leaf\.[\w.]+)"', inspect.getsource(measures)))

    asked = {name for text in _QUERIES.values() for name in re.findall(r'"(leaf\.[\w.]*\w)"', text)}
    assert {"leaf.lane.oldest.age", names.OUTCOME} <= asked
    assert asked <= written | measured


def test_the_workbook_shows_the_committed_queries() -> None:
    """It carries their text; both change together."""
    told = json.loads((_INFRA / "workbook.json").read_text(encoding="utf-8"))
    shown = {
        f"{item['name']}.kql": item["content"]["query"]
        for item in told["items"]
        if item["content"].get("version") == "KqlItem/1.0"
    }

    assert shown
    assert {name: _QUERIES[name] for name in shown} == shown
    loaded = set(re.findall(r"queries/([\w-]+\.kql)", _TEXTS["modules/alerts.bicep"]))
    assert set(_QUERIES) == loaded | set(shown), "a query that nobody uses"


def test_the_workbook_asks_where_its_tables_are() -> None:
    """`AppRequests` is the workspace's name: Application Insights itself calls it otherwise. The
    ids are put in when it is deployed."""
    items = json.loads((_INFRA / "workbook.json").read_text(encoding="utf-8"))["items"]
    queries = [one["content"] for one in items if one["type"] == 3]
    metrics = [one["content"] for one in items if one["type"] == 10]

    assert queries
    for query in queries:
        assert re.search(r"^App[A-Z]", query["query"], re.M)
        assert query["resourceType"] == "microsoft.operationalinsights/workspaces"
        assert query["crossComponentResources"] == ["WORKSPACE-ID"]
    assert {tuple(one["resourceIds"]) for one in metrics} == {("BUS-ID",)}
    put_in = set(re.findall(r"'([A-Z]+-ID)', (\w+)\)", _TEXTS["modules/workbook.bicep"]))
    assert put_in == {("WORKSPACE-ID", "workspaceId"), ("BUS-ID", "busId")}


def test_alerts_and_workbook_name_metrics_of_the_bus_that_there_are() -> None:
    """As Microsoft lists them for a namespace: a metric that is misspelt is an alert that fails."""
    known = {"ActiveMessages", "DeadletteredMessages", "ThrottledRequests"}
    text = (_INFRA / "workbook.json").read_text(encoding="utf-8")
    shown = set(re.findall(r"namespaces--(\w+)", text))
    block = re.findall(
        r"metric: '(\w+)'\n\s+type: 'Microsoft.ServiceBus", _TEXTS["modules/alerts.bicep"]
    )

    assert shown == known
    assert set(block) <= known
