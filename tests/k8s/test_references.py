"""What a schema does not see: sizes, names, and whether what a manifest points at is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils import parse_quantity

from tests.k8s.manifests import K8S, Document, containers, documents, of_kind, pods, template

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MADE_BY_HAND = {"fleet-sources", "fleet-console"}
"""Secrets, which no manifest holds: docs/how-to/deploy-to-aks.md makes them."""


def _names(*kinds: str) -> set[str]:
    return {one["metadata"]["name"] for _, one in of_kind(*kinds)} | {
        made["name"]
        for _, own in _kustomizations()
        for made in own.get("configMapGenerator", [])
        if "ConfigMap" in kinds
    }


def _kustomizations() -> list[tuple[Path, Document]]:
    return [
        (path.parent, yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted(K8S.rglob("kustomization.yaml"))
    ]


def test_every_name_is_one_that_the_cluster_takes() -> None:
    """63 characters, lower-case, no dots: some become names of hosts and values of labels."""
    wrong = [
        f"{place}: {one['metadata']['name']}"
        for place, one in documents()
        if not _LABEL.fullmatch(one["metadata"]["name"])
    ]

    assert wrong == []


def test_every_size_is_a_quantity_and_no_request_is_over_its_limit() -> None:
    """`1GB` passes the schema, which takes any text; the API server does not."""
    for place, container in containers():
        asked, most = (container["resources"][kind] for kind in ("requests", "limits"))
        for what, size in asked.items():
            assert 0 < parse_quantity(size) <= parse_quantity(most[what]), f"{place} {what}"
    for place, spec in pods():
        for volume in spec["volumes"]:
            limit = volume.get("emptyDir", {}).get("sizeLimit")
            assert limit is None or parse_quantity(limit) > 0, f"{place} {volume['name']}"


def test_every_volume_of_scratch_fits_what_the_pod_may_hold() -> None:
    """Files of an emptyDir count as the pod's own storage: over its limit the pod is evicted."""
    for place, spec in pods():
        (container, *_) = spec["containers"]
        own = parse_quantity(container["resources"]["limits"]["ephemeral-storage"])
        for volume in spec["volumes"]:
            directory = volume.get("emptyDir", {})
            if directory.get("medium") != "Memory" and "sizeLimit" in directory:
                assert parse_quantity(directory["sizeLimit"]) <= own, f"{place} {volume['name']}"


def _pointed_at_by_pods() -> Iterator[tuple[str, str, str]]:
    for place, spec in pods():
        # The dev overlay's bus has neither: the namespace's own account, with no token.
        if account := spec.get("serviceAccountName"):
            yield place, "ServiceAccount", account
        if priority := spec.get("priorityClassName"):
            yield place, "PriorityClass", priority
        for container in spec["containers"]:
            for source in container.get("envFrom", []):
                yield place, "ConfigMap", source["configMapRef"]["name"]
        for volume in spec["volumes"]:
            if told := volume.get("configMap"):
                yield place, "ConfigMap", told["name"]
            if told := volume.get("secret"):
                yield place, "Secret", told["secretName"]
            if told := volume.get("persistentVolumeClaim"):
                yield place, "PersistentVolumeClaim", told["claimName"]


def _pointed_at_by_others() -> Iterator[tuple[str, str, str]]:
    for place, one in of_kind("RoleBinding"):
        yield place, one["roleRef"]["kind"], one["roleRef"]["name"]
        yield from ((place, subject["kind"], subject["name"]) for subject in one["subjects"])
    for place, one in of_kind("ScaledObject"):
        yield place, "Deployment", one["spec"]["scaleTargetRef"]["name"]
    for place, one in of_kind("ScaledObject", "ScaledJob"):
        for trigger in one["spec"]["triggers"]:
            yield place, "TriggerAuthentication", trigger["authenticationRef"]["name"]
    for place, one in of_kind("ValidatingAdmissionPolicyBinding"):
        yield place, "ValidatingAdmissionPolicy", one["spec"]["policyName"]


def test_whatever_a_manifest_points_at_is_there() -> None:
    """A pod with a volume of no ConfigMap waits for ever, and says so only in its events."""
    pointed = [*_pointed_at_by_pods(), *_pointed_at_by_others()]

    assert {kind for _, kind, _ in pointed} >= {"ConfigMap", "ServiceAccount", "Role", "Deployment"}
    missing = [
        f"{place}: no {kind} {name}"
        for place, kind, name in pointed
        if name not in (_MADE_BY_HAND if kind == "Secret" else _names(kind))
    ]
    assert missing == []


def test_every_selector_meets_a_pod() -> None:
    """One that meets none is a budget, a service or a network policy that does nothing."""
    labelled = [
        template(one)["metadata"]["labels"]
        for _, one in of_kind("Deployment", "ScaledJob", "PodTemplate")
    ]
    for place, one in of_kind("Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one["spec"]
        asked: dict[str, Any] = spec.get("selector") or spec.get("podSelector") or {}
        wanted = asked if one["kind"] == "Service" else asked.get("matchLabels", {})
        assert any(wanted.items() <= labels.items() for labels in labelled), place
        for way in (*spec.get("ingress", []), *spec.get("egress", [])):
            for peer in (*way.get("from", []), *way.get("to", [])):
                # Pods of another namespace are not ours to know.
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    peers = peer["podSelector"].get("matchLabels", {}).items()
                    assert any(peers <= labels.items() for labels in labelled), place


def test_a_service_and_a_probe_lead_to_a_port_that_the_pod_has() -> None:
    """By its name."""
    for place, one in of_kind("Service"):
        for _, runs in of_kind("Deployment"):
            labels = template(runs)["metadata"]["labels"]
            if one["spec"]["selector"].items() <= labels.items():
                named = {p["name"] for p in template(runs)["spec"]["containers"][0]["ports"]}
                assert {p["targetPort"] for p in one["spec"]["ports"]} <= named, place
    for place, container in containers():
        named = {p["name"] for p in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for how in ("httpGet", "tcpSocket"):
                if asked := container[probe].get(how):
                    numbers = {p["containerPort"] for p in container["ports"]}
                    assert asked["port"] in named | numbers, place


@pytest.mark.parametrize(
    ("folder", "own"),
    _kustomizations(),
    ids=[folder.relative_to(K8S).as_posix() for folder, _ in _kustomizations()],
)
def test_a_kustomization_names_every_file_beside_it_and_none_that_is_not(
    folder: Path, own: Document
) -> None:
    """Without kustomize at hand too: a file that is not named is a file that is never applied."""
    named = [*own.get("resources", []), *own.get("components", [])]
    named += [patch["path"] for patch in own.get("patches", []) if "path" in patch]
    named += [name for made in own.get("configMapGenerator", []) for name in made["files"]]

    assert [name for name in named if not (folder / name).exists()] == []
    beside = {path.name for path in folder.iterdir() if path.is_file()} - {"kustomization.yaml"}
    assert beside <= set(named)
