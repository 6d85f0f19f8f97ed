"""The bus's administration: make the fleet's queues, read their depths."""

from datetime import timedelta
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.servicebus.management import ServiceBusAdministrationClient

from contracts.fact import Fact
from contracts.lane import LaneTable
from fleet.bus.bus import INTAKE_QUEUE
from fleet.bus.errors import BusUnavailable

_LOCK = timedelta(seconds=60)
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
        for name in (INTAKE_QUEUE, *(lane.queue for lane in lanes)):
            try:
                self._client.create_queue(
                    name,
                    lock_duration=_LOCK,
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
