"""The login for the person at this machine."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.access import Identity, Role
from fleet.access.errors import AccessRefused
from fleet.access.local import COOKIE, LASTS, LocalSessions, local_key
from fleet.access.source import Credentials

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ADA = Identity(name="ada", roles=(Role.ADMIN,), source="local")
KEY = "k" * 43


def brought(
    cookie: str | None = None, *, host: str = "127.0.0.1:8790", peer: str = "127.0.0.1"
) -> Credentials:
    cookies = {} if cookie is None else {COOKIE: cookie}
    return Credentials(headers={"host": host}, cookies=cookies, peer=peer)


@pytest.fixture
def sessions() -> LocalSessions:
    return LocalSessions(KEY)


def test_who_has_the_key_is_who_they_say(sessions: LocalSessions) -> None:
    """The cookie that the key opened tells the identity again; a restart changes nothing."""
    cookie = sessions.opened(KEY, ADA, brought(), NOW)

    assert LocalSessions(KEY).identified(brought(cookie), NOW).identity == ADA


def test_another_key_opens_nothing(sessions: LocalSessions) -> None:
    """Neither a login with a wrong key, nor a cookie sealed with one."""
    with pytest.raises(AccessRefused, match="not the key"):
        sessions.opened("x" * 43, ADA, brought(), NOW)
    cookie = sessions.opened(KEY, ADA, brought(), NOW)
    with pytest.raises(AccessRefused, match="not given by this server"):
        LocalSessions("x" * 43).identified(brought(cookie), NOW)


def test_a_cookie_cannot_be_edited(sessions: LocalSessions) -> None:
    """One character more or another, and it names nobody."""
    cookie = sessions.opened(KEY, ADA, brought(), NOW)

    for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "A" + cookie, ".", "", "é."):
        with pytest.raises(AccessRefused):
            sessions.identified(brought(forged), NOW)


def test_a_login_ends(sessions: LocalSessions) -> None:
    """After its hours the cookie names nobody."""
    cookie = sessions.opened(KEY, ADA, brought(), NOW)

    sessions.identified(brought(cookie), NOW + LASTS - timedelta(seconds=1))
    with pytest.raises(AccessRefused, match="has ended"):
        sessions.identified(brought(cookie), NOW + LASTS)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("127.0.0.1:8790", "10.0.0.9"),
        ("console.example.com", "127.0.0.1"),
        ("127.0.0.1.example.com:8790", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_it_is_for_the_loopback_alone(sessions: LocalSessions, host: str, peer: str) -> None:
    """Neither another machine, nor a name that somebody points at this one, gets in."""
    cookie = sessions.opened(KEY, ADA, brought(host="localhost:8790"), NOW)

    with pytest.raises(AccessRefused, match="this machine alone"):
        sessions.opened(KEY, ADA, brought(host=host, peer=peer), NOW)
    with pytest.raises(AccessRefused, match="this machine alone"):
        sessions.identified(brought(cookie, host=host, peer=peer), NOW)


def test_the_key_is_its_owners(tmp_path: Path) -> None:
    """Made once, long, and readable by nobody else."""
    key = local_key(tmp_path / "home")

    assert local_key(tmp_path / "home") == key
    assert len(key) >= 43
    assert stat.S_IMODE((tmp_path / "home" / "console.key").stat().st_mode) == 0o600
