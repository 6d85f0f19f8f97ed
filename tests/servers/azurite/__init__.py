"""Azurite, Microsoft's storage emulator, over TLS and with tokens instead of keys."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.npm import npm_folder

_LISTENS = re.compile(r"listens on https://127\.0\.0\.1:(\d+)")
_OPTIONS = (
    *("--blobPort", "0", "--oauth", "basic", "--silent"),
    *("--skipApiVersionCheck", "--disableTelemetry"),
)


@dataclass(frozen=True)
class Azurite:
    """A running server. Its account is `devstoreaccount1`."""

    port: int

    def container(self, name: str, port: int | None = None) -> str:
        """The URL of a container, over another port where one is given."""
        return f"https://127.0.0.1:{port or self.port}/devstoreaccount1/{name}"


@contextlib.contextmanager
def running_azurite(folder: Path, certificate: Path, key: Path) -> Iterator[Azurite]:
    """A server for the length of the block, its data in `folder`. Skips the test where it cannot
    be installed."""
    packages = npm_folder(Path(__file__).parent)
    program = packages / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    where = ("--location", str(folder), "--cert", str(certificate), "--key", str(key))
    with subprocess.Popen(
        ["node", str(program), *_OPTIONS, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            said = ""
            for line in server.stdout:
                said += line
                if found := _LISTENS.search(line):
                    yield Azurite(int(found[1]))
                    break
            else:
                raise AssertionError(said)
        finally:
            server.kill()
