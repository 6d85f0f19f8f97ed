"""The parts of the local stack: how each is started. All take `--ready-file`."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from console.stack.process import Component
from fleet.settings import Settings

BUS = "localbus"
"""The name of the bus's process."""
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class LocalBus:
    """The embedded bus, its ports chosen beforehand so that a restart keeps its address."""

    data: Path
    amqp_port: int
    admin_port: int
    plain_admin_port: int

    @classmethod
    def planned(cls, home: Path) -> Self:
        amqp, admin, plain = free_ports(3)
        return cls(data=home / "bus", amqp_port=amqp, admin_port=admin, plain_admin_port=plain)

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
    """The dispatcher, listening on `port`."""
    return Component(
        name="dispatcher",
        module="dispatcher",
        environment={**environment, "FLEET_HTTP_PORT": str(port)},
    )


def console(port: int, environment: Mapping[str, str]) -> Component:
    """The operators' pages, on `port`. They find the stack's bus in stack.json, as `fleet` does:
    its administration has an address of its own."""
    return Component(
        name="console",
        module="console",
        environment={**environment, "FLEET_CONSOLE_PORT": str(port)},
    )


def worker(number: int, environment: Mapping[str, str]) -> Component:
    """A worker of every lane; `number` tells the stack's workers apart."""
    return Component(name=f"worker-{number}", module="workers", environment=environment)


def http_port(settings: Settings) -> int:
    """The port that was asked for, else a free one."""
    asked = settings.http_port if "http_port" in settings.model_fields_set else 0
    return asked or free_ports(1)[0]


def console_port(settings: Settings) -> int:
    """The same for the console."""
    asked = settings.console_port if "console_port" in settings.model_fields_set else 0
    return asked or free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, all different."""
    held = [socket.create_server((_LOOPBACK, 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in held]
    finally:
        for server in held:
            server.close()
