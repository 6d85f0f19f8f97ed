"""What a lane's pods may reach. Everything else is denied, in both directions (base/network.yaml).

A network policy knows addresses and ports, not names. Where you have private endpoints, narrow
`everywhere` to them in an overlay for bus and ledger; 443 stays wide, for Entra has no private
endpoint. By name it is Cilium's to say (FQDN policies), which not every cluster has.
"""

from console.manifests.names import Manifest, labels, metadata
from contracts.lane import Lane
from fleet.cluster.names import LANE_LABEL, of_lane

_NODE_METADATA = "169.254.169.254/32"
"""Hands out the node's own identity: no pod has business there."""
_REDIRECTED = {"protocol": "TCP", "port": 11000, "endPort": 11999}
"""Within Azure, Azure SQL answers on 1433 with the node that has the database, on one of these
(Microsoft, Azure SQL connectivity architecture: connection policy)."""


def lane_network(lane: Lane) -> Manifest:
    """Egress only: nobody calls a worker."""
    everywhere = [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [_NODE_METADATA]}}]
    ports: list[Manifest] = [{"protocol": "TCP", "port": port} for port in _ports(lane)]
    egress = [{"to": everywhere, "ports": [*ports, _REDIRECTED]}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(of_lane(lane.name), labels("lane", lane.name)),
        "spec": {
            "podSelector": {"matchLabels": {LANE_LABEL: lane.name}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": egress,
        },
    }


def _ports(lane: Lane) -> list[int]:
    """Bus, identity, store and the cluster's own API; the ledger; and what the lane names."""
    return sorted({443, 1433, 5671, *lane.scale.ports})
