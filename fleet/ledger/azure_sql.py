"""Connecting to Azure SQL, or another SQL Server, through pyodbc and Microsoft's driver.

A URL without a user signs in with an Entra token of this process's identity; nothing secret is
configured then. A token is asked for each time a connection is opened, and a connection is given up
before a token of an hour would end.

Sources: SQLAlchemy "Connecting to databases with access tokens", Microsoft "Using Entra ID with the
ODBC driver".
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine, event

from fleet.identity import Credential, default_credential
from fleet.ledger.errors import DriverMissing

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.pool import ConnectionPoolEntry

SCOPE = "https://database.windows.net/.default"
DRIVER = "ODBC Driver 18 for SQL Server"

_ACCESS_TOKEN = 1256
"""SQL_COPT_SS_ACCESS_TOKEN: the attribute that is set before connecting."""
_RECYCLE = 1800
"""Seconds after which a connection is opened anew."""


def open_sql_server(
    url: URL, *, ping: bool, credential: Callable[[], Credential] = default_credential
) -> Engine:
    """An engine by a URL as `mssql+pyodbc://SERVER.database.windows.net/DATABASE`.

    `ping`: ask each connection whether it lives before it is used. The URL's query may hold any
    keyword of the driver, `driver` included. Raises DriverMissing, and
    IdentityMissing where a token is needed and azure-identity is not installed.
    """
    _driver()
    engine = create_engine(
        URL.create("mssql+pyodbc", query={"odbc_connect": odbc_text(url)}),
        hide_parameters=True,
        # One round trip for a batch, not one for each row. FreeTDS crashes on it.
        fast_executemany="FreeTDS" not in str(url.query.get("driver", DRIVER)),
        pool_pre_ping=ping,
        pool_recycle=_RECYCLE,
        pool_use_lifo=True,
    )
    if url.username is None:
        event.listen(engine, "do_connect", signing_in(credential()))
    return engine


def odbc_text(url: URL) -> str:
    """The driver's connection string: encrypted, and with NVARCHAR(max) for long text."""
    words = {
        "DRIVER": DRIVER,
        "SERVER": f"tcp:{url.host},{url.port or 1433}",
        "DATABASE": url.database or "",
        "Encrypt": "yes",
        "LongAsMax": "yes",
        "ConnectRetryCount": "3",
        "APP": "leaf-fleet",
    }
    if url.username is not None:
        words |= {"UID": url.username, "PWD": str(url.password or "")}
    known = {name.casefold(): name for name in words}
    for name, value in url.query.items():
        words[known.get(name.casefold(), name)] = value if isinstance(value, str) else value[-1]
    return ";".join(f"{name}={_braced(value)}" for name, value in words.items())


def token_attribute(token: str) -> bytes:
    """An access token as the driver takes it: its UTF-16 bytes after their count."""
    text = token.encode("utf-16-le")
    return struct.pack(f"<I{len(text)}s", len(text), text)


def signing_in(
    credential: Credential,
) -> "Callable[[Dialect, ConnectionPoolEntry, list[Any], dict[str, Any]], None]":
    """A listener of `do_connect` that hands the driver a token."""

    def sign_in(
        _: "Dialect", __: "ConnectionPoolEntry", ___: list[Any], parameters: dict[str, Any]
    ) -> None:
        token = credential.get_token(SCOPE).token
        parameters["attrs_before"] = {_ACCESS_TOKEN: token_attribute(token)}

    return sign_in


def _braced(value: str) -> str:
    if value and not set(value) & set(";{}[]()?*=!@ "):
        return value
    return "{" + value.replace("}", "}}") + "}"


def _driver() -> None:
    try:
        import pyodbc
    except ImportError as cause:
        raise DriverMissing(
            f"FLEET_LEDGER_URL names SQL Server, and pyodbc cannot be loaded ({cause}): install "
            "leaf-fleet[azure], and unixODBC and the driver (on Debian: unixodbc, msodbcsql18)"
        ) from None
    # The driver manager would keep connections with other tokens; SQLAlchemy's pool does it all.
    # It must be said before the first connection.
    pyodbc.pooling = False
