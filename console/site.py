"""The settings in force for a command, and where each came from.

An option wins over the environment, the environment over a running stack's own record, and that
over the defaults. So commands find a stack that `fleet up` started without being told its ports.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from console.errors import Unreachable
from console.stack.record import StackRecord, read_record, read_secret
from fleet.settings import Settings, load_settings

if TYPE_CHECKING:
    from console.intake import Intake
    from fleet.artifacts.store import ArtifactStore
    from fleet.ledger.browse import LedgerBrowser
    from fleet.ledger.reader import LedgerReader


@dataclass(frozen=True, kw_only=True)
class Site:
    """One home, its settings, and its stack while that runs."""

    settings: Settings
    origins: dict[str, str]
    """By setting: `option`, `environment`, `stack` or `default`."""
    stack: StackRecord | None

    @classmethod
    def find(cls, home: Path | None) -> "Site":
        """Raises SettingsRefused with every fault."""
        given: dict[str, object] = {} if home is None else {"home": home}
        settings = load_settings(**given)
        stack = read_record(settings.stack_file)
        found = _told_by(stack, settings)
        origins = dict.fromkeys(Settings.model_fields, "default")
        origins |= dict.fromkeys(found, "stack")
        origins |= {
            name: "environment" for name in origins if f"FLEET_{name.upper()}" in os.environ
        }
        origins |= dict.fromkeys(given, "option")
        if found:
            settings = load_settings(**given, **found)
        return cls(settings=settings, origins=origins, stack=stack)

    @property
    def is_local(self) -> bool:
        """Whether the workers, and so the registered sources, are this machine's."""
        return self.stack is not None

    @property
    def found(self) -> bool:
        """Whether there is a dispatcher to talk to: a running stack's, or one that was named."""
        named = {self.origins["http_host"], self.origins["http_port"]}
        return self.is_local or "environment" in named

    @property
    def own_ledger(self) -> bool:
        """Whether the ledger is the file under the home."""
        return self.settings.ledger_url is None

    @property
    def bus_admin(self) -> str | None:
        """Connection string of the bus's administration; None where no bus is known."""
        from console.stack.components import bus_connection

        if self.origins["bus_connection"] == "stack" and self.stack is not None:
            return bus_connection(self.stack.bus_admin_port) if self.stack.bus_admin_port else None
        return self.settings.bus_address if self.settings.names_bus else None

    def store(self) -> "ArtifactStore":
        """The artifacts. Raises StoreAway, and FleetError where it is set wrongly."""
        from fleet.artifacts.opened import open_store

        return open_store(self.settings.artifacts_address, self.settings.artifacts_folder)

    def intake(self) -> "Intake":
        """The dispatcher's HTTP intake, for a `with` block."""
        from console.intake import Intake, bearing

        settings = self.settings
        return Intake(settings.http_host, settings.http_port, login=bearing(settings.token))

    def reader(self) -> "LedgerReader":
        """The ledger, for reading. Raises Unreachable where there is none yet."""
        from fleet.ledger.reader import LedgerReader

        return LedgerReader(self._ledger())

    def browser(self) -> "LedgerBrowser":
        """The ledger's lists, a page at a time. Raises Unreachable where there is none yet."""
        from fleet.ledger.browse import LedgerBrowser

        return LedgerBrowser(self._ledger())

    def _ledger(self) -> str:
        if self.own_ledger and not (self.settings.home / "ledger.db").exists():
            raise Unreachable(
                f"there is no ledger in {self.settings.home}: start the stack with `fleet up`, "
                "or name the folder with --home"
            )
        return self.settings.ledger_reading_address


def _told_by(stack: StackRecord | None, settings: Settings) -> dict[str, object]:
    """What the running stack says of itself, but for what was set otherwise."""
    if stack is None:
        return {}
    told: dict[str, object] = {"http_host": stack.http_host, "http_port": stack.http_port}
    if stack.console_port is not None:
        told |= {"console_host": stack.console_host, "console_port": stack.console_port}
    connection = read_secret(settings.home)
    # The certificate goes with the stack's own bus and no other.
    if connection is not None and not settings.names_bus:
        told["bus_connection"] = connection
        told["bus_certificate"] = stack.bus_certificate
    return {name: value for name, value in told.items() if name not in settings.model_fields_set}
