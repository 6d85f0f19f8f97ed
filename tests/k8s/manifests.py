"""The committed manifests as data, each with the file it is in."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).parents[2] / "k8s"
Document = dict[str, Any]
_WITH_PODS = ("Deployment", "ScaledJob", "PodTemplate", "Job")


@cache
def documents() -> list[tuple[str, Document]]:
    """Every manifest but kustomize's own files, as (place, document). Copy what you change."""
    found = []
    for path in sorted(K8S.rglob("*.yaml")):
        name = path.relative_to(K8S).as_posix()
        for number, document in enumerate(yaml.safe_load_all(path.read_text(encoding="utf-8"))):
            if isinstance(document, dict) and not document["apiVersion"].startswith("kustomize."):
                found.append((f"{name}#{number}", document))
    return found


def of_kind(*kinds: str) -> list[tuple[str, Document]]:
    return [(place, one) for place, one in documents() if one["kind"] in kinds]


def pods() -> list[tuple[str, Document]]:
    """Every pod's spec, as (place, spec)."""
    return [(place, template(one)["spec"]) for place, one in of_kind(*_WITH_PODS)]


def template(document: Document) -> Document:
    """The pod template of whatever makes pods."""
    if document["kind"] == "PodTemplate":
        found: Document = document["template"]
        return found
    spec = document["spec"]
    found = spec.get("jobTargetRef", spec)["template"]
    return found


def containers() -> Iterator[tuple[str, Document]]:
    """Every container, as (place, container)."""
    for place, spec in pods():
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{place} {container['name']}", container
