"""What can go wrong at the bus, by what a caller can do about it.

FleetError
├── BusUnavailable   not reached or refused: try again later, nothing was taken
├── MessageTooLarge  the bus will never take this message
└── SettleFailed     the delivery was not settled: it comes back, and the ledger knows it
"""

from fleet.errors import FleetError


class BusUnavailable(FleetError):
    """The bus could not be reached, or refused the connection or entity."""


class MessageTooLarge(FleetError):
    """A message is over the bus's limit and was not sent."""


class SettleFailed(FleetError):
    """A delivery could not be settled, most often because its lock was lost."""
