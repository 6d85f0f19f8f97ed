"""What servers count of their own work: statements, and how often they were asked.

A round trip of PostgreSQL is a statement here (BEGIN and COMMIT are statements too; drivers that
pipeline have fewer). A round trip of Redis is a read of a socket.
"""

import socket
import subprocess
from collections.abc import Mapping

_SQL = (
    "SELECT coalesce(sum(calls), 0), (SELECT xact_commit FROM pg_stat_database "
    "WHERE datname = 'bench') FROM pg_stat_statements"
)


def read(environment: Mapping[str, str]) -> dict[str, float]:
    """Counts so far, of the servers that the environment names."""
    counted: dict[str, float] = {}
    if address := environment.get("BENCH_POSTGRES"):
        done = subprocess.run(
            ["psql", "-At", "-F", " ", "-d", address, "-c", _SQL],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        statements, commits = map(float, done.stdout.split())
        counted |= {"statements": statements, "commits": commits, "round_trips": statements}
    if port := environment.get("BENCH_REDIS_PORT"):
        said = _redis_info(int(port))
        counted["commands"] = said["total_commands_processed"]
        counted["round_trips"] = said["total_reads_processed"]
    return counted


def _redis_info(port: int) -> dict[str, float]:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"INFO stats\r\n")
        text = b""
        while b"total_writes_processed" not in text:
            text += connection.recv(65_536)
    lines = (line.split(":") for line in text.decode("ascii").splitlines() if ":" in line)
    return {name: float(value) for name, value in lines if value.replace(".", "").isdigit()}
