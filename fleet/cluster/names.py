"""Names and labels on the cluster, which the manifests give and everything here goes by."""

NAMESPACE = "leaf-fleet"
NAME, PART = "leaf-fleet", "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
LANE_LABEL = "fleet.leaf/lane"

KEDA_GROUP, KEDA_VERSION = "keda.sh", "v1alpha1"
PAUSED = "autoscaling.keda.sh/paused"
PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
PAUSED_BY, PAUSED_WHY = "fleet.leaf/paused-by", "fleet.leaf/paused-why"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def of_lane(lane: str) -> str:
    """The name of a lane's Deployment or ScaledJob, scaler, account, budget and network policy."""
    return f"lane-{lane}"


def alone(lane: str) -> str:
    """The name of the template for a task's own pod."""
    return f"lane-{lane}-alone"
