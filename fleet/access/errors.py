"""What can be wrong with a credential.

FleetError
  AccessRefused    the credential names nobody: it is missing, spent, or not genuine
"""

from fleet.errors import FleetError


class AccessRefused(FleetError):
    """Nobody was identified. The message can be shown to whoever asked; it repeats nothing."""
