"""KEDA's own schemas, made strict, and a lint of what they leave open: a trigger's metadata.

The schemas are not part of the project; where they are absent, tests that need them skip.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

_SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas" / "keda"
_FILES = {
    "ScaledObject": "scaledobjects.yaml",
    "ScaledJob": "scaledjobs.yaml",
    "TriggerAuthentication": "triggerauthentications.yaml",
}
_PARAMETERS = {
    "queueName": r"[A-Za-z0-9][A-Za-z0-9._/-]{0,259}",
    "namespace": r"[a-z][a-z0-9-]{4,48}[a-z0-9]",
    "messageCount": r"[1-9][0-9]*",
    "activationMessageCount": r"[0-9]+",
}
"""Those of the azure-servicebus scaler that the fleet uses, and what each may be."""


def validator(kind: str) -> Draft202012Validator:
    """Skips where the schemas are not beside the project."""
    found = validator_if_there(kind)
    if found is None:
        pytest.skip("KEDA's schemas are not at ../shared/schemas/keda")
    return found


@cache
def validator_if_there(kind: str) -> Draft202012Validator | None:
    """None where the schemas are not beside the project."""
    path = _SCHEMAS / _FILES[kind]
    if not path.is_file():
        return None
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    (version,) = (one for one in definition["spec"]["versions"] if one["name"] == "v1alpha1")
    return Draft202012Validator(_strict(version["schema"]["openAPIV3Schema"]))


def _strict(schema: Any) -> Any:
    """Unknown fields are faults, as the API server drops them without a word."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    kept = schema.get("x-kubernetes-preserve-unknown-fields")
    # `metadata` has no properties in a definition: Kubernetes checks it itself.
    if isinstance(schema.get("properties"), dict) and not kept:
        made.setdefault("additionalProperties", False)
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def trigger_faults(trigger: dict[str, Any]) -> list[str]:
    """What is wrong with a trigger that KEDA would only say when it runs."""
    told = trigger["metadata"]
    if trigger["type"] != "azure-servicebus":
        return [f"type {trigger['type']!r}"]
    faults = [f"{name}: no such parameter" for name in told if name not in _PARAMETERS]
    faults += [
        f"{name}: {told.get(name)!r}"
        for name, pattern in _PARAMETERS.items()
        if not isinstance(told.get(name), str) or not re.fullmatch(pattern, told[name])
    ]
    if "authenticationRef" not in trigger:
        faults.append("without authenticationRef it would need a connection string")
    return faults
