"""The bus's administration: make the fleet's queues, read their depths."""

from pathlib import Path

from azure.core.exceptions import AzureError

from contracts.fact import Fact
from contracts.lane import LaneTable
from fleet.bus import provision
from fleet.bus.address import administration_client
from fleet.bus.errors import BusUnavailable
from fleet.bus.provision import Difference
from fleet.bus.topology import Topology, wanted


class Counts(Fact):
    """Messages of one queue, by where they are."""

    active: int
    scheduled: int
    dead_letter: int


class BusAdmin:
    """One namespace, by a connection string or by name. `certificate` is a local bus's own."""

    def __init__(self, address: str, certificate: Path | None = None) -> None:
        verify = {"connection_verify": str(certificate)} if certificate else {}
        self._client = administration_client(address, **verify)

    def __enter__(self) -> "BusAdmin":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ensure_queues(self, lanes: LaneTable) -> list[str]:
        """Create the lanes' queues that are missing, and leave what is there; the names of what was
        created. Raises BusUnavailable."""
        there = self.counts()
        topology = wanted(lanes)
        missing = {name: lock for name, lock in topology.queues.items() if name not in there}
        made = self.apply(topology.model_copy(update={"queues": missing}))
        return [one.entity for one in made]

    def differences(self, topology: Topology) -> list[Difference]:
        """What is not as it must be. Raises BusUnavailable."""
        return provision.differences(self._client, topology)

    def apply(self, topology: Topology) -> list[Difference]:
        """Mend what differs; what did. Raises BusUnavailable."""
        return provision.apply(self._client, topology)

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
