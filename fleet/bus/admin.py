"""The bus's administration: make the fleet's queues, read their depths."""

from datetime import timedelta
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.servicebus.management import ServiceBusAdministrationClient

from contracts.fact import Fact
from contracts.lane import Lane, LaneTable
from fleet.bus.bus import INTAKE_QUEUE
from fleet.bus.errors import BusUnavailable

_INTAKE_LOCK = timedelta(seconds=30)
_SHORTEST_LOCK, _LONGEST_LOCK = 5.0, 300.0
"""Seconds that Service Bus allows for a lock."""
_DELIVERIES = 20
"""The broker's backstop: after so many deliveries it dead-letters by itself."""
_DUPLICATE_WINDOW = timedelta(minutes=10)


class Counts(Fact):
    """Messages of one queue, by where they are."""

    active: int
    scheduled: int
    dead_letter: int


class BusAdmin:
    """Queues of one namespace. `certificate` is a local bus's own."""

    def __init__(self, connection: str, certificate: Path | None = None) -> None:
        verify = {"connection_verify": str(certificate)} if certificate else {}
        self._client = ServiceBusAdministrationClient.from_connection_string(connection, **verify)

    def __enter__(self) -> "BusAdmin":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ensure_queues(self, lanes: LaneTable) -> list[str]:
        """Create what is missing, leave what is there; the names of what was created.

        Raises BusUnavailable.
        """
        created = []
        locks = {INTAKE_QUEUE: _INTAKE_LOCK} | {lane.queue: _lock(lane) for lane in lanes}
        for name, lock in locks.items():
            try:
                self._client.create_queue(
                    name,
                    lock_duration=lock,
                    max_delivery_count=_DELIVERIES,
                    requires_duplicate_detection=True,
                    duplicate_detection_history_time_window=_DUPLICATE_WINDOW,
                )
            except ResourceExistsError:
                continue
            except AzureError as cause:
                raise BusUnavailable(f"queue {name} cannot be created: {cause}") from None
            created.append(name)
        return created

    def counts(self) -> dict[str, Counts]:
        """Depths by queue. Raises BusUnavailable."""
        try:
            return {
                queue.name: Counts(
                    active=queue.active_message_count or 0,
                    scheduled=queue.scheduled_message_count or 0,
                    dead_letter=queue.dead_letter_message_count or 0,
                )
                for queue in self._client.list_queues_runtime_properties()
            }
        except AzureError as cause:
            raise BusUnavailable(f"queue depths cannot be read: {cause}") from None


def _lock(lane: Lane) -> timedelta:
    """As long as the lane's lease: what died before its claim comes back as soon as what died
    after it."""
    return timedelta(seconds=min(max(lane.lease, _SHORTEST_LOCK), _LONGEST_LOCK))
