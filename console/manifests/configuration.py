"""The rules and the lanes as ConfigMaps, which running pods see change.

Keys of a ConfigMap are flat: `guardrails/agent.cedar` becomes `guardrails.agent.cedar`, and the
volume lays it out as a folder again. The rules' cases travel along, so that a pod can prove what it
takes up.
"""

import hashlib
from pathlib import Path

from console.manifests.names import LANES, RULES, Configuration, Manifest, labels, metadata
from policies.proof import cases_folder


def configuration_of(lanes_file: Path, rules: Path) -> Configuration:
    """What pods mount of these."""
    return Configuration(
        digest=hashlib.sha256(lanes_file.read_bytes()).hexdigest()[:16],
        rules=tuple((key, place) for key, place, _ in _rule_files(rules)),
    )


def lanes_config(lanes_file: Path) -> Manifest:
    """The lanes file as a ConfigMap."""
    return _config(LANES, {"lanes.toml": lanes_file.read_text(encoding="utf-8")})


def rules_config(rules: Path) -> Manifest:
    """A folder of rules, with its cases, as a ConfigMap."""
    return _config(
        RULES, {key: path.read_text(encoding="utf-8") for key, _, path in _rule_files(rules)}
    )


def _rule_files(rules: Path) -> list[tuple[str, str, Path]]:
    files = {
        path.relative_to(rules).as_posix(): path for path in rules.rglob("*") if path.is_file()
    }
    cases = cases_folder(rules)
    files |= {f"cases/{path.name}": path for path in cases.glob("*.yaml")}
    return [(place.replace("/", "."), place, files[place]) for place in sorted(files)]


def _config(name: str, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, labels("configuration")),
        "data": data,
    }
