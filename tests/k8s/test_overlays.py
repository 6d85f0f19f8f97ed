"""The overlays as kustomize builds them. Skipped where neither kubectl nor kustomize is there."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.lanes import load_lanes
from fleet.settings import Settings
from tests.k8s.manifests import K8S


def _built(overlay: str, k8s: Path = K8S) -> list[dict[str, Any]]:
    command = next(
        (words for words in (["kubectl", "kustomize"], ["kustomize", "build"]) if _there(words[0])),
        None,
    )
    if command is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    done = subprocess.run(
        [*command, str(k8s / "overlays" / overlay)], capture_output=True, text=True, check=False
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
    told = yaml.safe_dump([d for d in built if d["kind"] == "Deployment"])
    assert "FLEET_ACCESS_FILE" not in told, "a port-forward would be asked for a token"
    assert "secretName" not in told, "nobody is asked to make one"
    assert all(d["metadata"].get("namespace") == "leaf-fleet" for d in built if _namespaced(d))


def test_a_key_vault_takes_the_place_of_the_consoles_secret(tmp_path: Path) -> None:
    """The same folder, from the driver; a file there is named as a setting that is a secret."""
    k8s = shutil.copytree(K8S, tmp_path / "k8s")
    with (k8s / "overlays" / "aks" / "kustomization.yaml").open("a") as file:
        file.write("components:\n  - ../../components/key-vault\n")

    built = _built("aks", k8s)

    ((console, provider),) = [
        (one, other)
        for one in built
        for other in built
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", "fleet-console")
        and other["kind"] == "SecretProviderClass"
    ]
    (volume,) = [
        v for v in console["spec"]["template"]["spec"]["volumes"] if v["name"] == "secrets"
    ]
    attributes = {"secretProviderClass": provider["metadata"]["name"]}
    assert volume["csi"]["volumeAttributes"] == attributes
    assert "secret" not in volume
    for one in yaml.safe_load(provider["spec"]["parameters"]["objects"])["array"]:
        name = yaml.safe_load(one)["objectAlias"].removeprefix("FLEET_").lower()
        assert "SecretStr" in str(Settings.model_fields[name].annotation)


def _namespaced(document: dict[str, Any]) -> bool:
    return not document["kind"].startswith(("Namespace", "PriorityClass", "ValidatingAdmission"))
