"""Every manifest against the schema of its kind, strictly: a field nobody knows is a fault."""

from copy import deepcopy

import kubernetes_validate
import pytest

from tests.k8s.keda import trigger_faults, validator
from tests.k8s.manifests import Document, documents, of_kind

_OLDEST, _NEWEST = "1.32", "1.37"
_OTHERS = ("keda.sh", "secrets-store.csi.x-k8s.io")
"""Of KEDA, below; of the driver of key vaults, in test_overlays: its parameters are free text."""
_OURS = [(place, one) for place, one in documents() if not one["apiVersion"].startswith(_OTHERS)]
_KEDAS = [(place, one) for place, one in documents() if one["apiVersion"].startswith("keda.sh")]


def _faults(document: Document) -> list[str]:
    return [fault.message for fault in validator(document["kind"]).iter_errors(document)]


@pytest.mark.parametrize("version", [_OLDEST, _NEWEST])
def test_kubernetes_knows_every_field(version: str) -> None:
    """In the oldest and the newest version that the fleet is for."""
    assert len(_OURS) > 50

    for place, document in _OURS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as fault:
            pytest.fail(f"{place}: {fault.message}")


@pytest.mark.parametrize(("place", "document"), _KEDAS, ids=[place for place, _ in _KEDAS])
def test_keda_knows_every_field(place: str, document: Document) -> None:
    """By its own custom resource definitions, with unknown fields refused."""
    assert not _faults(document), place


def test_a_misspelt_field_of_keda_would_be_found() -> None:
    """The schemas are strict all the way down."""
    _, scaled = of_kind("ScaledObject")[0]
    for path in (["spec"], ["spec", "advanced", "horizontalPodAutoscalerConfig", "behavior"]):
        broken = deepcopy(scaled)
        inner = broken
        for step in path:
            inner = inner[step]
        inner["minReplicas"] = 1

        assert _faults(broken), path


def test_every_trigger_is_one_that_the_scaler_understands() -> None:
    """Its parameters are free text to the schema: names and values are held to KEDA's list."""
    triggers = [
        t for _, one in of_kind("ScaledObject", "ScaledJob") for t in one["spec"]["triggers"]
    ]

    assert triggers
    assert [fault for trigger in triggers for fault in trigger_faults(trigger)] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"queueNane": "lane-mirror"},
        {"messageCount": "0"},
        {"messageCount": 5},
        {"namespace": "ns.servicebus.windows.net"},
    ],
)
def test_a_wrong_trigger_would_be_found(changed: dict[str, object]) -> None:
    """A slip of the pen there means a lane that never scales."""
    _, scaled = of_kind("ScaledObject")[0]
    trigger = deepcopy(scaled["spec"]["triggers"][0])
    trigger["metadata"] |= changed

    assert trigger_faults(trigger)
