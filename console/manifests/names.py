"""Names that the manifests share, and what every pod mounts."""

from dataclasses import dataclass
from typing import Any

from fleet.cluster.names import COMPONENT, LANE_LABEL, NAME, NAMESPACE, PART

Manifest = dict[str, Any]

IMAGE = "leaf-fleet"
"""An overlay says where the image is kept, by digest."""
SETTINGS, RULES, LANES = "fleet-settings", "fleet-rules", "fleet-lanes"
"""ConfigMaps: the settings as variables, the rules of the policy gate, and the lanes file."""
METRICS_PORT = 9464
"""As FLEET_METRICS_PORT in base/settings.yaml; OpenTelemetry's own choice for Prometheus."""
ACCESS = "fleet-access"
"""The ConfigMap whose one file, access.toml, says whose tokens are believed."""
CONSOLE_SECRETS = "fleet-console"
"""The Secret with the console's session key, a file named as its setting."""
SOURCES = "fleet-sources"
"""The Secret whose one file, sources.toml, says where source systems are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What pods read that is no setting."""

    digest: str
    """Of the lanes file: another one makes new pods."""
    rules: tuple[tuple[str, str], ...]
    """Each key of the rules' ConfigMap with its place in the mounted folder."""


def labels(component: str, lane: str | None = None) -> dict[str, str]:
    """Of everything that belongs to a part of the fleet, or to one lane."""
    own = {PART: NAME, COMPONENT: component}
    return own if lane is None else own | {LANE_LABEL: lane}


def metadata(name: str, labelled: dict[str, str]) -> Manifest:
    return {"name": name, "namespace": NAMESPACE, "labels": labelled}
