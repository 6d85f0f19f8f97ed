"""A PostgreSQL server of the tests' own: its data in a new folder, reached by a socket in it.

No TCP port is taken, so nothing can be in the way. It is never run as root, which PostgreSQL
refuses; what makes a disk write durable is off, since nothing here outlives the run.
"""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

_READY = "database system is ready to accept connections"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=")


class PostgreSQL:
    """A running server and its one database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, user: str = "fleet") -> str:
        """The SQLAlchemy URL of the database."""
        return f"postgresql+psycopg://{user}@/postgres?host={self._folder}"

    def emptied(self) -> str:
        """The URL of the database, rid of every table and of whoever was connected to it."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # Far quicker than a database for each test, which is some 300 files.
        self.run("DROP SCHEMA public CASCADE")
        self.run("CREATE SCHEMA public")
        return self.url()

    def run(self, statement: str) -> None:
        """Run one statement as the owner of the server."""
        address = f"host={self._folder} user=fleet dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A server for the length of the block. Skips the test where PostgreSQL is not installed."""
    initdb, postgres = _program("initdb"), _program("postgres")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, account = Path(name), _account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        who: dict[str, Any] = {}
        if account is not None:
            who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        how = who | {"cwd": folder, "env": {"LC_ALL": "C", "PATH": os.defpath}}
        data = folder / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", "fleet", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            **how,
        )
        settings = [word for each in _FAST for word in ("-c", each)]
        with subprocess.Popen(
            [postgres, "-D", data, "-k", folder, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        ) as server:
            assert server.stderr is not None
            said = _until_ready(server.stderr)
            draining = threading.Thread(target=server.stderr.read, daemon=True)
            draining.start()
            try:
                assert server.poll() is None, said
                yield PostgreSQL(folder)
            finally:
                server.send_signal(signal.SIGQUIT)  # at once: nothing is worth a last checkpoint
                draining.join()


def _until_ready(log: IO[str]) -> str:
    said = []
    for line in log:
        said.append(line)
        if _READY in line:
            break
    return "".join(said)


def _program(name: str) -> str:
    places = [os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


def _account() -> pwd.struct_passwd | None:
    """Who the server runs as: root lends itself to somebody harmless, others are themselves."""
    if getpass.getuser() != "root" and os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")
