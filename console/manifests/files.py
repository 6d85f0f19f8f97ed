"""The rendered files of k8s/, and where those of a folder differ from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from console.manifests.configuration import configuration_of, lanes_config, rules_config
from console.manifests.dev import bus_topology, one_worker
from console.manifests.lane import lane_documents
from console.manifests.names import Manifest
from console.manifests.services import console_documents, dispatcher_documents
from contracts.lane import LaneTable

_HEAD = "# Written by `fleet k8s render` from {source}: change that, not this.\n"
_LANES, _CODE = "fleet/lanes.toml", "console/manifests"


def rendered(lanes: LaneTable, lanes_file: Path, rules: Path) -> dict[str, str]:
    """The text of each file, by its path under k8s/."""
    configuration = configuration_of(lanes_file, rules)
    files = {
        "base/lanes-config.yaml": _text([lanes_config(lanes_file)], _LANES),
        "base/rules-config.yaml": _text([rules_config(rules)], "policies/rules"),
        "base/dispatcher.yaml": _text(dispatcher_documents(configuration), _CODE),
        "base/console.yaml": _text(console_documents(configuration), _CODE),
    }
    files["overlays/dev/worker.yaml"] = _text(one_worker(configuration), _CODE)
    files["overlays/dev/topology.json"] = bus_topology(lanes)
    names = []
    for lane in lanes:
        names.append(f"{lane.name}.yaml")
        files[f"lanes/{lane.name}.yaml"] = _text(lane_documents(lane, configuration), _LANES)
    whole = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(names),
    }
    files["lanes/kustomization.yaml"] = _text([whole], _LANES)
    return files


def differences(folder: Path, files: dict[str, str]) -> list[str]:
    """What is not as rendered, each in a line; empty where nothing is."""
    found = []
    for name, text in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{name} differs")
    found += [f"lanes/{name} belongs to no lane" for name in _left_over(folder, files)]
    return sorted(found)


def write(folder: Path, files: dict[str, str]) -> list[str]:
    """Write what differs and remove the files of lanes that are gone; the names of what changed."""
    changed = []
    for name, text in files.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        changed.append(name)
    for name in _left_over(folder, files):
        (folder / "lanes" / name).unlink()
        changed.append(f"lanes/{name}")
    return sorted(changed)


def _left_over(folder: Path, files: dict[str, str]) -> list[str]:
    """Rendered files of lanes that are no more. What a person put there is not ours to judge."""
    own = _HEAD.format(source=_LANES)
    return sorted(
        path.name
        for path in (folder / "lanes").glob("*.yaml")
        if f"lanes/{path.name}" not in files and path.read_text(encoding="utf-8").startswith(own)
    )


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stay readable; nothing is an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _as_text)


def _text(documents: Iterable[Manifest], source: str) -> str:
    parts = [
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
        for document in documents
    ]
    return _HEAD.format(source=source) + "---\n".join(parts)
