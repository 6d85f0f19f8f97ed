"""Tasks that ask for a pod of their own, handed over: the message is deferred, a Job takes it.

The job first, then the deferral: a crash between the two delivers the message again, and the job is
found there. The job is named for the message; its pod takes that one message by its number, and
claims, runs and settles it as any worker does (`python -m workers --deferred NUMBER`). Should its
pods all fail, the ledger's lease and deadline bring the task back, as they would anywhere.
"""

import asyncio
import logging

from contracts.envelope import MalformedEnvelope, attempt_of, attributes_of
from contracts.lane import Lane
from fleet.bus.receiver import Delivery
from fleet.cluster.apart import start_apart
from fleet.cluster.cluster import Cluster

_log = logging.getLogger(__name__)

_SPARE = 900
"""Seconds beyond the task's own limit that its pod may live: a node, an image, the drain."""


class Apart:
    """Where pods can be had."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def took(self, delivery: Delivery, lane: Lane) -> bool:
        """Whether the delivery was handed over; then it is settled here.

        Raises ClusterUnavailable, ClusterRefused or SettleFailed: it comes back, and is asked for
        again.
        """
        attributes = attributes_of(delivery.message.properties)
        if not lane.scale.isolation or attributes.get("leafisolated") is not True:
            return False
        try:
            task, *_ = attempt_of(attributes)
        except MalformedEnvelope:
            return False  # refused here, as any other
        number = delivery.sequence_number
        limit = lane.timeout + _SPARE

        def start() -> bool:
            return start_apart(self._cluster, lane=lane.name, task=task, number=number, limit=limit)

        made = await asyncio.to_thread(start)
        await delivery.defer()
        _log.info("task %s has a pod of its own%s", task, "" if made else ", as before")
        return True
