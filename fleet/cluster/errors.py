"""What can go wrong at the cluster, by what a caller can do about it.

FleetError
├── ClusterUnavailable  not reached, or it had too much to do: try again, nothing was changed
├── ClusterRefused      it said no, and would again: rights, a name, a field
└── DrainRefused        a disruption budget keeps the pod for now
"""

from fleet.errors import FleetError


class ClusterUnavailable(FleetError):
    """The cluster's API was not reached, or asks to come back later."""


class ClusterRefused(FleetError):
    """The cluster's API refused; asking again changes nothing."""

    def __init__(self, words: str, status: int | None = None) -> None:
        super().__init__(words)
        self.status = status
        """Of HTTP, where the API answered."""


class DrainRefused(FleetError):
    """Evicting the pod now would leave fewer than its budget allows. Nothing was done."""
