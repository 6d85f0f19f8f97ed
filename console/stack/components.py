"""The parts of the local stack: how each is started. All take `--ready-file`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from console.stack.process import Component
from fleet.settings import Settings

BUS = "localbus"
"""The name of the bus's process."""
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class LocalBus:
    """The embedded bus. It takes free ports when it is first started, and keeps them after that, so
    that a restart has the same address."""

    data: Path
    amqp_port: int = 0
    admin_port: int = 0
    plain_admin_port: int = 0

    def at(self, told: Mapping[str, Any]) -> Self:
        """The same on the ports that its process tells."""
        return replace(
            self,
            amqp_port=told["amqp_port"],
            admin_port=told["admin_port"],
            plain_admin_port=told["admin_http_port"],
        )

    @property
    def connection(self) -> str:
        return bus_connection(self.amqp_port)

    @property
    def certificate(self) -> Path:
        """Of the admin API; there once the bus is ready."""
        return self.data / "certificate.pem"

    def component(self, environment: Mapping[str, str]) -> Component:
        ports = {
            "--port": self.amqp_port,
            "--admin-port": self.admin_port,
            "--admin-http-port": self.plain_admin_port,
        }
        arguments = [word for name, port in ports.items() for word in (name, str(port))]
        return Component(
            name=BUS,
            module="localbus",
            arguments=["--host", _LOOPBACK, "--data", str(self.data), *arguments],
            environment=environment,
        )

    def environment(self) -> dict[str, str]:
        """What the other processes have to know of it."""
        return {
            "FLEET_BUS_CONNECTION": self.connection,
            "FLEET_BUS_CERTIFICATE": str(self.certificate),
        }


def bus_connection(port: int) -> str:
    """A connection string for the local bus's AMQP port, or for its admin port.

    A local bus checks no key, but every client insists on one.
    """
    return (
        f"Endpoint=sb://{_LOOPBACK}:{port};SharedAccessKeyName=local;"
        "SharedAccessKey=local;UseDevelopmentEmulator=true;"
    )


def dispatcher(port: int, environment: Mapping[str, str]) -> Component:
    """The dispatcher, listening on `port`; 0 is a free one."""
    return Component(
        name="dispatcher",
        module="dispatcher",
        environment={**environment, "FLEET_HTTP_PORT": str(port)},
    )


def console(port: int, environment: Mapping[str, str]) -> Component:
    """The operators' pages, on `port`, 0 as above. They find the stack's bus in stack.json, as
    `fleet` does: its administration has an address of its own."""
    return Component(
        name="console",
        module="console",
        environment={**environment, "FLEET_CONSOLE_PORT": str(port)},
    )


def worker(number: int, environment: Mapping[str, str]) -> Component:
    """A worker of every lane; `number` tells the stack's workers apart."""
    return Component(name=f"worker-{number}", module="workers", environment=environment)


def asked_ports(settings: Settings) -> tuple[int, int]:
    """The dispatcher's and the console's port where they were asked for; else 0, for a free one:
    the process that binds it chooses it, so nobody can take it in between."""
    asked = settings.model_fields_set
    return (
        settings.http_port if "http_port" in asked else 0,
        settings.console_port if "console_port" in asked else 0,
    )
