"""What the options before a command's name say, handed to the command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from console.site import Site


@dataclass
class Session:
    """One call of `fleet`."""

    home: Path | None = None
    debug: bool = False

    def site(self, home: Path | None = None) -> "Site":
        """The settings in force, and the running stack if there is one.

        `home` is a command's own option and wins. Raises SettingsRefused.
        """
        from console.site import Site

        return Site.find(home or self.home)


def session_of(context: typer.Context) -> Session:
    """The session that a command runs in."""
    return context.ensure_object(Session)
