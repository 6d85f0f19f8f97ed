"""The base of every error that the fleet raises for a caller to act on."""


class FleetError(Exception):
    """Something the fleet can name. Subclasses say what was and was not done."""
