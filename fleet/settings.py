"""Settings: read once from the environment, checked whole, every fault reported together.

A component is handed only what it uses; nothing but a process's `__main__` calls `load_settings`.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

import pipelines
import policies
from fleet.errors import FleetError
from fleet.lanes import LANES_FILE

_PREFIX = "FLEET_"


class SettingsRefused(FleetError):
    """The settings cannot be used. The message lists every fault with its variable's name."""


class Settings(BaseSettings):
    """Everything that can be set, each by the variable FLEET_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    home: Path = Path(".fleet")
    """Where local state lives: ledger, bus, artifacts, sources, logs."""
    bus_connection: SecretStr | None = None
    """Service Bus connection string; absent means the local stack's own bus."""
    bus_namespace: str | None = None
    """Service Bus namespace, such as `NAME.servicebus.windows.net`, that this process signs in to
    by its identity, without a key. A connection string goes before it."""
    bus_certificate: Path | None = None
    """Certificate of a local bus's admin API."""
    ledger_url: SecretStr | None = None
    """SQLAlchemy URL; absent means SQLite under `home`. `mssql+pyodbc://SERVER/DATABASE` without a
    user signs in by this process's identity."""
    ledger_read_url: SecretStr | None = None
    """SQLAlchemy URL of an account that only reads, for what only looks; absent means
    `ledger_url`."""
    artifacts_url: SecretStr | None = None
    """Container for artifacts, `https://ACCOUNT.blob.core.windows.net/CONTAINER`; signed in to by
    this process's identity. Absent means a folder under `home`."""
    pipelines: Annotated[tuple[Path, ...], NoDecode] = (Path(pipelines.__file__).parent,)
    """Folders of pipeline folders, searched in order; `:` between them in the variable."""
    rules: Path = Path(policies.__file__).parent / "rules"
    """Folder of the policy rules."""
    secrets: Path | None = None
    """A folder with a file for each secret setting, named as its variable. A variable wins. So a
    Kubernetes Secret is mounted and never stands in the environment."""
    sources: Path | None = None
    """The file that says where source systems are; absent means `sources.toml` under `home`."""
    lanes_file: Path = LANES_FILE
    """The lanes: their queues, the stage kinds they serve, their limits."""
    http_host: str = "127.0.0.1"
    """Address that the dispatcher listens on."""
    http_port: int = Field(default=8780, ge=0, le=65535)
    """Port that the dispatcher listens on; 0 takes a free one. The local stack takes a free one
    unless this is set."""
    console_host: str = "127.0.0.1"
    """Address that the console's pages are served on. The local login works on a loopback only."""
    console_port: int = Field(default=8790, ge=0, le=65535)
    """Port of the console's pages; 0 takes a free one. The local stack takes a free one unless this
    is set."""
    access_file: Path | None = None
    """Whose tokens are believed over HTTP, and what they may do (docs/how-to/let-people-in.md).
    Without it only this machine is answered, and may do everything."""
    session_key: SecretStr | None = Field(default=None, min_length=32)
    """What the console seals its forms with, at least 32 characters: the same for each of several
    replicas. Absent means `console.key` under `home`, made where there is none."""
    token: SecretStr | None = None
    """A token for a dispatcher that asks for one: `fleet` sends it along."""
    metrics_host: str = "127.0.0.1"
    """Address that metrics are served on, as Prometheus text."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Its port; 0 takes a free one. Absent means that they are not served."""
    relay_every: float = Field(default=0.5, gt=0)
    """Seconds between looks for envelopes that a crash left in the outbox."""
    sweep_every: float = Field(default=2.0, gt=0)
    """Seconds between sweeps of what passed its deadline."""
    keep_days: float = Field(default=0.0, ge=0)
    """Days that runs which have ended stay in the ledger. Older ones the dispatcher moves into
    archives in the artifact store; 0 keeps them for ever."""
    grace: float = Field(default=25.0, ge=0)
    """Seconds that running work has to finish when a worker stops."""
    cluster: str | None = None
    """On Kubernetes, the namespace that the fleet is in: the console, `fleet top` and `fleet lanes`
    then show each lane's replicas. Asked by the pod's account, else as kubectl would."""
    kubeconfig: Path | None = None
    """With `cluster`: a kubeconfig file to ask it by."""
    pod: str | None = None
    """On Kubernetes, the name of this worker's pod: it then says there while it is busy, so that
    scale-down takes idle ones. Set by the manifests."""
    pod_namespace: str | None = None
    """Its namespace."""

    @field_validator("pipelines", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return tuple(value.split(os.pathsep)) if isinstance(value, str) else value

    @field_validator("pipelines", "rules", "lanes_file", "secrets", "sources", "access_file")
    @classmethod
    def _exists(cls, value: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
        for path in (value,) if isinstance(value, Path) else value or ():
            if not path.exists():
                raise ValueError(f"{path} does not exist")
        return value

    @property
    def ledger_address(self) -> str:
        """The ledger's SQLAlchemy URL. May hold a secret."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def metrics_at(self) -> tuple[str, int] | None:
        """Where metrics are to be served."""
        return None if self.metrics_port is None else (self.metrics_host, self.metrics_port)

    @property
    def ledger_reading_address(self) -> str:
        """The SQLAlchemy URL for what only looks. May hold a secret."""
        if self.ledger_read_url is not None:
            return self.ledger_read_url.get_secret_value()
        return self.ledger_address

    @property
    def names_bus(self) -> bool:
        """Whether a bus was named."""
        return self.bus_connection is not None or self.bus_namespace is not None

    @property
    def bus_address(self) -> str:
        """The bus's connection string, or its namespace. Raises SettingsRefused without either."""
        if self.bus_connection is not None:
            return self.bus_connection.get_secret_value()
        if self.bus_namespace is not None:
            return self.bus_namespace
        raise SettingsRefused(
            "FLEET_BUS_CONNECTION is not set: give a Service Bus connection string, or a namespace "
            "in FLEET_BUS_NAMESPACE, or start the local stack with `fleet up`"
        )

    @property
    def artifacts_address(self) -> str | None:
        """The URL of the artifacts' container, if they lie in one. May hold a secret."""
        return None if self.artifacts_url is None else self.artifacts_url.get_secret_value()

    @property
    def artifacts_folder(self) -> Path:
        """The artifacts, or the local copies of those in a container."""
        return self.home / "artifacts"

    @property
    def sources_file(self) -> Path:
        return self.sources or self.home / "sources.toml"

    @property
    def stack_file(self) -> Path:
        """Where a running local stack says its ports and process ids."""
        return self.home / "stack.json"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; `overrides` win. Raises SettingsRefused with every fault."""
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    faults = [
        f"{name}: no such setting"
        for name in sorted(os.environ)
        if name.startswith(_PREFIX) and name not in known
    ]
    folder = _secrets_folder()
    faults += [
        f"{file.name} in FLEET_SECRETS: no such setting"
        for file in (sorted(folder.iterdir()) if folder else ())
        if file.name.upper() not in known and not file.name.startswith(".")
    ]
    try:
        settings = Settings.model_validate(Settings(**overrides, _secrets_dir=folder))  # type: ignore[arg-type]  # checked by the model
    except ValidationError as cause:
        for fault in cause.errors(include_url=False, include_input=False):
            name = _PREFIX + "_".join(str(step) for step in fault["loc"][:1]).upper()
            faults.append(f"{name if fault['loc'] else 'FLEET_*'}: {fault['msg']}")
        settings = None
    if faults or settings is None:
        raise SettingsRefused("the settings cannot be used:\n  " + "\n  ".join(faults))
    return settings


def _secrets_folder() -> Path | None:
    """FLEET_SECRETS where it is one; one that is not there is a fault that the model tells."""
    named = os.environ.get(f"{_PREFIX}SECRETS")
    return Path(named) if named and Path(named).is_dir() else None
