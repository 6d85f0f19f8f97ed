"""Whether messages of a queue can be reached: one look that takes nothing."""

from azure.servicebus.exceptions import ServiceBusError

from fleet.bus.address import blocking_client
from fleet.bus.errors import BusUnavailable


def probe(address: str, queue: str) -> None:
    """Peek at a queue. Raises BusUnavailable, its words without an address or a key."""
    try:
        with (
            blocking_client(address, retry_total=0) as client,
            client.get_queue_receiver(queue) as receiver,
        ):
            receiver.peek_messages(1, timeout=10)
    except (ServiceBusError, ValueError, OSError) as cause:
        raise BusUnavailable(f"queue {queue} does not answer ({type(cause).__name__})") from None
