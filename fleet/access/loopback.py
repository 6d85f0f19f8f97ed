"""Whoever asks from this machine, where no token is asked for.

They could read the home and its ledger anyway, so they say themselves in whose name they ask. From
anywhere else nobody is believed: a server that others reach is given an access file.
"""

from datetime import datetime

from contracts.access import Identity, Role
from fleet.access.errors import AccessRefused
from fleet.access.local import check_is_local
from fleet.access.source import Credentials, Identified

SOURCE = "loopback"


class LoopbackTrust:
    """An IdentitySource for a server on the loopback."""

    def identified(self, given: Credentials, now: datetime) -> Identified:
        """See IdentitySource."""
        try:
            check_is_local(given)
        except AccessRefused:
            raise AccessRefused(
                "only this machine is answered without a login: set FLEET_ACCESS_FILE, and send a "
                "token"
            ) from None
        return Identified(
            identity=Identity(name="local", roles=tuple(Role), source=SOURCE), binding=SOURCE
        )
