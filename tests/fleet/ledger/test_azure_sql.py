"""Setting up a connection to Azure SQL, as far as it goes without one."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from sqlalchemy import make_url

from fleet.ledger.azure_sql import odbc_text, signing_in

WITHOUT_PYODBC = """
import sys
sys.modules["pyodbc"] = None  # as where it is not installed
from fleet.errors import FleetError
from fleet.ledger.database import open_engine
try:
    open_engine("mssql+pyodbc://server/ledger")
except FleetError as refused:
    print(refused)
"""


class Tokens:
    """A credential that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_token(self, *scopes: str) -> AccessToken:
        self.asked += scopes
        return AccessToken(f"token-{len(self.asked)}", 0)


def test_a_driver_that_is_not_there_is_named() -> None:
    """Who lacks pyodbc or the ODBC driver is told which packages to install, in one line."""
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYODBC],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.count("\n") == 1
    for package in ("leaf-fleet[azure]", "unixodbc", "msodbcsql18"):
        assert package in told


def test_the_default_installation_needs_no_driver() -> None:
    """pyodbc is imported for SQL Server alone: the ledger on SQLite never asks for it."""
    code = "import sys, fleet.ledger.ledger; sys.exit('pyodbc' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_each_connection_signs_in_with_a_token_of_its_own() -> None:
    """The token goes to the driver as the attribute it reads before it connects."""
    tokens = Tokens()
    given: list[dict[str, Any]] = [{}, {}]
    sign_in: Any = signing_in(tokens)

    for parameters in given:
        sign_in(None, None, [], parameters)

    assert tokens.asked == ["https://database.windows.net/.default"] * 2
    [(first, text)] = given[0]["attrs_before"].items()
    assert first == 1256
    (size,) = struct.unpack_from("<I", text)
    assert (size, text[4:].decode("utf-16-le")) == (14, "token-1")
    assert given[0] != given[1]


def test_a_url_becomes_the_drivers_words() -> None:
    """Encrypted, long text as NVARCHAR(max), nothing of Trusted_Connection; the query overrides."""
    text = odbc_text(make_url("mssql+pyodbc://s.example/led?driver=/opt/d.so&encrypt=strict"))

    words = dict(word.split("=", 1) for word in text.split(";"))
    assert words["SERVER"] == "tcp:s.example,1433"
    assert words["DRIVER"] == "/opt/d.so"
    assert (words["Encrypt"], words["LongAsMax"]) == ("strict", "yes")
    assert not {"UID", "PWD", "Trusted_Connection"} & set(words)


@pytest.mark.parametrize("secret", ["a;b", "a}b", "{a", "p w", "plain"])
def test_a_password_cannot_become_another_word(secret: str) -> None:
    """What has a meaning in a connection string is braced."""
    url = make_url("mssql+pyodbc://s/led").set(username="u", password=secret)

    assert ("PWD=" + (secret if secret == "plain" else "{" + secret.replace("}", "}}") + "}")) in (
        odbc_text(url)
    )
