"""What is done to lanes on the cluster, from the workers' page: pause, resume, drain a pod.

Done as the console itself, whose rights on the cluster are for exactly this (k8s/base/rbac.yaml).
Who asked for it and why stands on the scaler, and in the console's log.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Response

from console.web.cluster_view import told_of
from console.web.faults import NotThere, Unusable
from console.web.site import WebSite
from console.web.visit import Acting, FleetVisited
from contracts.access import Action
from contracts.lane import Lane
from fleet.cluster.cluster import Cluster
from fleet.errors import FleetError

_log = logging.getLogger("console")
_BACK = "/workers#pods"


def serve(app: FastAPI) -> None:
    """Add the forms' addresses to `app`."""

    @app.post("/cluster/lane")
    def lane(visit: FleetVisited, form: Acting) -> Response:
        """Pause a lane (`way`: pause, keep) or let it scale again (resume)."""
        from fleet.cluster.steer import pause, resume

        visit.must(Action.LANE_PAUSE)
        chosen, way = _lane(visit.site, form.said("lane", "which lane")), form.get("way")
        reason, actor = form.said("reason", "why"), visit.identity.name
        with _cluster(visit.site) as cluster:
            match way:
                case "pause" | "keep":
                    pause(cluster, chosen, actor=actor, reason=reason, keep=way == "keep")
                    told = "does not scale until it is resumed"
                case "resume":
                    resume(cluster, chosen)
                    told = "scales again"
                case _:
                    raise Unusable("say whether to pause or to resume")
        _log.info("%s: lane %s %s: %s", actor, chosen.name, told, reason)
        return visit.back_to(_BACK, f"Lane {chosen.name} {told}.")

    @app.post("/cluster/drain")
    def drain(visit: FleetVisited, form: Acting) -> Response:
        from fleet.cluster.steer import drain as drain_pod

        visit.must(Action.WORKER_DRAIN)
        pod, reason = form.said("pod", "which pod"), form.said("reason", "why")
        lanes = visit.site.cluster.refreshed().lanes.values()
        # Its rights reach every pod of the namespace: this page's are the lanes' own.
        if pod not in {one.name for lane in lanes for one in lane.pods}:
            raise NotThere(f"no lane has a pod {pod}")
        with _cluster(visit.site) as cluster:
            drain_pod(cluster, pod)
        _log.info("%s: pod %s is to end: %s", visit.identity.name, pod, reason)
        return visit.back_to(_BACK, f"{pod} takes nothing more, and ends.")


def _lane(site: WebSite, name: str) -> Lane:
    found = next((lane for lane in site.lanes if lane.name == name), None)
    if found is None:
        raise NotThere(f"there is no lane {name}")
    return found


@contextmanager
def _cluster(site: WebSite) -> Iterator[Cluster]:
    """The cluster, its faults in words for a page. Raises NotThere where none is set, Unusable."""
    from fleet.cluster.cluster import open_cluster

    settings = site.settings
    if settings.cluster is None:
        raise NotThere("no cluster is set here: FLEET_CLUSTER names the fleet's namespace")
    try:
        with open_cluster(namespace=settings.cluster, kubeconfig=settings.kubeconfig) as cluster:
            yield cluster
    except FleetError as cause:
        if isinstance(cause, Unusable):
            raise
        raise Unusable(told_of(cause)) from cause
