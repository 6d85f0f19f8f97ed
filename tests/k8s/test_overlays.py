"""The overlays as kustomize builds them. Skipped where neither kubectl nor kustomize is there."""

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from fleet.lanes import load_lanes
from tests.k8s.manifests import K8S


def _built(overlay: str) -> list[dict[str, Any]]:
    command = next(
        (words for words in (["kubectl", "kustomize"], ["kustomize", "build"]) if _there(words[0])),
        None,
    )
    if command is None:
        pytest.skip("neither kubectl nor kustomize is installed; no registry here has them")
    done = subprocess.run(
        [*command, str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.casefold()
    return list(yaml.safe_load_all(done.stdout))


def _there(program: str) -> bool:
    return shutil.which(program) is not None


def test_aks_has_every_lane_and_leaves_nothing_to_fill_in() -> None:
    """Identities, the bus's namespace and the image come from azure.yaml and kustomization.yaml."""
    built = _built("aks")

    scaled = {d["metadata"]["name"]: d for d in built if d["kind"] in ("ScaledObject", "ScaledJob")}
    assert set(scaled) == {f"lane-{lane.name}" for lane in load_lanes()}
    for one in scaled.values():
        assert one["spec"]["triggers"][0]["metadata"]["namespace"] == "leaf-fleet-bus"
    accounts = [d for d in built if d["kind"] == "ServiceAccount"]
    assert all(
        "azure.workload.identity/client-id" in d["metadata"]["annotations"] for d in accounts
    )
    assert "set-by" not in yaml.safe_dump(built)
    assert "set-from" not in yaml.safe_dump(built)
    assert not [d for d in built if d["metadata"]["name"] == "azure"], "it is for kustomize alone"


def test_dev_runs_without_azure() -> None:
    """A bus, one worker for all lanes, one shared volume; no KEDA and no identity."""
    built = _built("dev")

    assert not [d for d in built if d["apiVersion"].startswith("keda.sh")]
    homes = {
        d["metadata"]["name"]: d["spec"]["template"]["spec"]["volumes"][0]
        for d in built
        if d["kind"] == "Deployment" and d["metadata"]["name"] != "fleet-bus"
    }
    assert set(homes) == {"fleet-dispatcher", "fleet-console", "fleet-worker"}
    assert {home["persistentVolumeClaim"]["claimName"] for home in homes.values()} == {"fleet-home"}
    assert all(d["metadata"].get("namespace") == "leaf-fleet" for d in built if _namespaced(d))


def _namespaced(document: dict[str, Any]) -> bool:
    return not document["kind"].startswith(("Namespace", "PriorityClass", "ValidatingAdmission"))
