"""What no manifest may do: run as root, hold a secret in a variable, lack limits, talk freely."""

from pathlib import Path
from typing import Any

import pytest

from contracts.scale import Shape
from fleet.access.access_file import load_access
from fleet.cluster.names import COMPONENT, LANE_LABEL
from fleet.lanes import load_lanes
from fleet.settings import Settings
from tests.k8s.manifests import containers, of_kind, pods, template

_CONTAINERS = list(containers())
_PODS = pods()


def test_there_are_pods_to_look_at() -> None:
    """Seven lanes, one task's own pod, dispatcher, console, and the dev overlay's two."""
    assert len(_PODS) >= len(list(load_lanes())) + 5


@pytest.mark.parametrize(
    ("place", "container"), _CONTAINERS, ids=[place for place, _ in _CONTAINERS]
)
def test_a_container_is_locked_down(place: str, container: dict[str, Any]) -> None:
    """Read-only files, no way up, no capabilities; limits; probes; no secret in a variable."""
    context = container["securityContext"]

    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context.get("privileged")
    for kind in ("requests", "limits"):
        assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"][kind])
    assert not [v for v in container.get("env", []) if "secretKeyRef" in v.get("valueFrom", {})]
    assert not [f for f in container.get("envFrom", []) if "secretRef" in f]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize(("place", "spec"), _PODS, ids=[place for place, _ in _PODS])
def test_a_pod_is_nobody_on_its_node(place: str, spec: dict[str, Any]) -> None:
    """Not root, by number; nothing of the host; a profile for system calls."""
    context = spec["securityContext"]

    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] >= 10_000
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


@pytest.mark.parametrize(("place", "spec"), _PODS, ids=[place for place, _ in _PODS])
def test_the_rules_are_mounted_so_that_a_change_is_seen(place: str, spec: dict[str, Any]) -> None:
    """A mount by subPath never changes."""
    for container in spec["containers"]:
        assert not [m for m in container["volumeMounts"] if "subPath" in m or "subPathExpr" in m]


@pytest.mark.parametrize(("place", "spec"), _PODS, ids=[place for place, _ in _PODS])
def test_a_pod_starts_with_settings_that_are_known(place: str, spec: dict[str, Any]) -> None:
    """An unknown FLEET_ variable stops a process; Kubernetes would inject some for each Service."""
    known = {f"FLEET_{name.upper()}" for name in Settings.model_fields}
    given = {v["name"] for container in spec["containers"] for v in container.get("env", [])}
    for _, config in of_kind("ConfigMap"):
        if config["metadata"]["name"] == "fleet-settings":
            given |= set(config["data"])

    assert spec["enableServiceLinks"] is False
    assert {name for name in given if name.startswith("FLEET_")} <= known


def test_the_grace_outlasts_the_drain() -> None:
    """A pod is killed only after its worker had its time to hand work back."""
    for place, spec in _PODS:
        for container in spec["containers"]:
            for told in container.get("env", []):
                if told["name"] == "FLEET_GRACE":
                    assert spec["terminationGracePeriodSeconds"] >= float(told["value"]) + 30, place


def test_everything_is_denied_unless_allowed() -> None:
    """A default deny for all pods in both directions, and no rule that lets anybody in."""
    policies = [one["spec"] for _, one in of_kind("NetworkPolicy")]

    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    for policy in policies:
        for rule in policy.get("ingress", []):
            assert rule.get("from"), "an ingress rule without `from` lets everybody in"
            assert rule.get("ports")
        for rule in policy.get("egress", []):
            assert rule.get("to"), "an egress rule without `to` lets everything out"
            assert rule.get("ports")


def test_no_pod_reaches_the_nodes_identity() -> None:
    """The address that hands out the node's own token is always taken out."""
    for place, one in of_kind("NetworkPolicy"):
        for rule in one["spec"].get("egress", []):
            for peer in rule["to"]:
                if "ipBlock" in peer:
                    assert "169.254.169.254/32" in peer["ipBlock"]["except"], place


def test_who_reaches_azure_sql_reaches_where_it_redirects_to() -> None:
    """Its gateway on 1433 is only asked where the database is; else every connection would hang."""
    rules = [
        rule["ports"]
        for _, one in of_kind("NetworkPolicy")
        for rule in one["spec"].get("egress", [])
        if {"protocol": "TCP", "port": 1433} in rule["ports"]
    ]

    assert len(rules) == len(list(load_lanes())) + 2
    assert all({"protocol": "TCP", "port": 11000, "endPort": 11999} in ports for ports in rules)


def test_every_lane_has_what_it_needs_and_is_selected_by_it() -> None:
    """A scaler of the right shape, an account, a way out, and a budget that meets its pods."""
    for lane in load_lanes():
        name = f"lane-{lane.name}"
        kind = "Deployment" if lane.scale.shape is Shape.DEPLOYMENT else "ScaledJob"
        ((_, runs),) = [f for f in of_kind(kind) if f[1]["metadata"]["name"] == name]
        labelled = template(runs)["metadata"]["labels"]
        assert labelled[LANE_LABEL] == lane.name
        assert template(runs)["spec"]["serviceAccountName"] == name
        assert [f for f in of_kind("ServiceAccount") if f[1]["metadata"]["name"] == name]
        selectors = [
            f[1]["spec"]["podSelector"]["matchLabels"]
            for f in of_kind("NetworkPolicy")
            if f[1]["metadata"]["name"] == name
        ]
        assert all(selector.items() <= labelled.items() for selector in selectors)
        assert selectors
        if kind == "Deployment":
            assert runs["spec"]["selector"]["matchLabels"].items() <= labelled.items()
            assert "replicas" not in runs["spec"], "applying again would undo the autoscaler"
            ((_, budget),) = [
                f for f in of_kind("PodDisruptionBudget") if f[1]["metadata"]["name"] == name
            ]
            assert budget["spec"]["selector"]["matchLabels"].items() <= labelled.items()


def test_a_pod_has_the_memory_that_its_handlers_may_take() -> None:
    """Or the node ends the pod with all its tasks, before the lane's limit ends one handler."""
    for lane in load_lanes():
        if lane.memory_mb is not None:
            assert lane.scale.memory.endswith("Gi"), lane.name
            own = lane.concurrency * lane.memory_mb / 1024
            assert float(lane.scale.memory.removesuffix("Gi")) >= own + 0.5, lane.name


def test_a_pod_of_its_own_belongs_to_no_deployment_or_budget() -> None:
    """Its labels are a lane's, for the network, and yet no selector of a lane takes it."""
    for place, one in of_kind("PodTemplate"):
        labelled = one["template"]["metadata"]["labels"]
        assert labelled[COMPONENT] == "lane-alone"
        for _, other in of_kind("Deployment", "PodDisruptionBudget"):
            selector = other["spec"]["selector"]["matchLabels"]
            assert not selector.items() <= labelled.items(), place


def test_who_has_rights_in_the_cluster_has_a_token_and_nobody_else() -> None:
    """A dispatcher that is taken over cannot even ask the API who it is."""
    bound = {s["name"] for _, one in of_kind("RoleBinding") for s in one["subjects"]}

    for place, spec in _PODS:
        assert spec["automountServiceAccountToken"] == (spec.get("serviceAccountName") in bound), (
            place
        )


def test_metrics_are_served_where_they_are_scraped_and_to_the_scraper_alone() -> None:
    """One port in the settings, in each pod, in what a scraper reads, and in the network policy."""
    settings, policy = _named("ConfigMap", "fleet-settings"), _named("NetworkPolicy", "metrics")
    port = int(settings["data"]["FLEET_METRICS_PORT"])
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    measured = set()
    for place, one in of_kind("Deployment", "ScaledJob", "PodTemplate"):
        made = template(one)
        part, notes = made["metadata"]["labels"][COMPONENT], made["metadata"].get("annotations", {})
        ports = {p["name"]: p["containerPort"] for p in made["spec"]["containers"][0]["ports"]}
        serves = ports.get("metrics") == port
        assert serves == (part in expression["values"]), place
        assert (notes.get("prometheus.io/port") == str(port)) == serves, place
        measured |= {part} if serves else set()

    assert settings["data"]["FLEET_METRICS_HOST"] == "0.0.0.0"
    assert measured == set(expression["values"])
    (rule,) = policy["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": port}]
    assert rule["from"] == [
        {"namespaceSelector": {"matchLabels": {"fleet.leaf/monitoring": "true"}}}
    ]


@pytest.mark.parametrize("part", ["dispatcher", "console"])
def test_who_may_ask_is_said_in_a_mounted_file_that_can_be_used(part: str, tmp_path: Path) -> None:
    """Without one, nobody but the pod itself would be answered."""
    spec = template(_named("Deployment", f"fleet-{part}"))["spec"]
    file = tmp_path / "access.toml"
    named = Path(_variables(spec)["FLEET_ACCESS_FILE"])
    volume = _mounted(spec, str(named.parent))

    file.write_text(_named("ConfigMap", volume["configMap"]["name"])["data"][named.name])

    assert load_access(file).issuer[0].issuer.startswith("https://")


def test_replicas_of_the_console_share_a_key_that_is_a_file() -> None:
    """A page of one is good at another; the key stands in no variable."""
    console = _named("Deployment", "fleet-console")
    spec = template(console)["spec"]

    assert console["spec"]["replicas"] > 1
    assert _mounted(spec, _variables(spec)["FLEET_SECRETS"])["secret"]["secretName"]
    assert "FLEET_SESSION_KEY" not in _variables(spec)


def _named(kind: str, name: str) -> dict[str, Any]:
    """Of the base, where an overlay has a patch of the same name."""
    return next(one for _, one in of_kind(kind) if one["metadata"]["name"] == name)


def _variables(spec: dict[str, Any]) -> dict[str, str]:
    return {v["name"]: v.get("value", "") for v in spec["containers"][0]["env"]}


def _mounted(spec: dict[str, Any], place: str) -> dict[str, Any]:
    (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == place]
    (volume,) = [v for v in spec["volumes"] if v["name"] == mount["name"]]
    found: dict[str, Any] = volume
    return found
