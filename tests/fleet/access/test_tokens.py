"""Logins by token: whose are believed, what they give, and that no forgery gets through."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from contracts.access import Identity, Role
from fleet.access.access_file import AccessFileRefused, Issuer, IssuerKind, load_access
from fleet.access.errors import AccessRefused
from fleet.access.source import Credentials
from fleet.access.tokens import TokenSource
from tests.fleet.access.issuer import AUDIENCE, LoopbackIssuer, issuing

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def issuer() -> Iterator[LoopbackIssuer]:
    with issuing() as one:
        yield one


@pytest.fixture
def source(issuer: LoopbackIssuer, tmp_path: Path) -> TokenSource:
    return TokenSource(load_access(written(tmp_path, issuer)))


def written(folder: Path, issuer: LoopbackIssuer, kind: str = "entra") -> Path:
    path = folder / "access.toml"
    path.write_text(
        f"""
        [[issuer]]
        kind = "{kind}"
        issuer = "{issuer.address}"
        audience = "{AUDIENCE}"
        keys = "{issuer.keys_address}"

        [[grant]]
        claim = "roles"
        value = "Fleet.Viewer"
        roles = ["viewer"]

        [[grant]]
        claim = "roles"
        value = "Fleet.Operator"
        roles = ["operator"]
        tenants = ["acme"]

        [[grant]]
        claim = "email"
        value = "grace@example.org"
        roles = ["approver"]
        """
    )
    return path


def asking(source: TokenSource, token: str, now: datetime = NOW) -> Identity:
    return source.identified(bearing(token), now).identity


def bearing(token: str, header: str = "authorization") -> Credentials:
    value = f"Bearer {token}" if header == "authorization" else token
    return Credentials(headers={header: value}, cookies={}, peer="10.0.0.1")


def test_a_token_names_somebody_and_their_roles(
    source: TokenSource, issuer: LoopbackIssuer
) -> None:
    """Roles come from the claims that the file grants something for."""
    identity = asking(source, issuer.token(NOW))

    assert identity == Identity(
        name="ada@example.org", roles=(Role.VIEWER,), tenants=None, source=issuer.address
    )


def test_one_grant_that_keeps_to_a_tenant_keeps_all(
    source: TokenSource, issuer: LoopbackIssuer
) -> None:
    """Somebody kept to a tenant by one grant is not let out by another."""
    identity = asking(source, issuer.token(NOW, roles=["Fleet.Viewer", "Fleet.Operator"]))

    assert identity.roles == (Role.OPERATOR, Role.VIEWER)
    assert identity.tenants == ("acme",)


def test_a_program_is_named_by_its_application(source: TokenSource, issuer: LoopbackIssuer) -> None:
    """Entra ID's tokens of programs have no user name."""
    token = issuer.token(NOW, preferred_username=None, azp="salesforce-sync")

    assert asking(source, token).name == "salesforce-sync"


def test_cloudflare_puts_its_token_in_its_own_header(
    issuer: LoopbackIssuer, tmp_path: Path
) -> None:
    """The header of Cloudflare Access is read; a token of Entra ID in it is refused."""
    source = TokenSource(load_access(written(tmp_path, issuer, "cloudflare")))
    token = issuer.token(NOW, email="grace@example.org", roles=None)

    found = source.identified(bearing(token, "cf-access-jwt-assertion"), NOW)

    assert (found.identity.name, found.identity.roles) == ("grace@example.org", (Role.APPROVER,))
    entra = TokenSource(load_access(written(tmp_path, issuer, "entra")))
    with pytest.raises(AccessRefused, match="another issuer"):
        entra.identified(bearing(token, "cf-access-jwt-assertion"), NOW)


def test_keys_are_followed_as_they_are_rotated(source: TokenSource, issuer: LoopbackIssuer) -> None:
    """A token of a new key is believed at once, one of a key that was taken back no longer."""
    old = issuer.token(NOW)
    asking(source, old)
    issuer.rotate_to_rsa("second")
    later = NOW + timedelta(minutes=1)

    assert asking(source, issuer.token(later), later).name == "ada@example.org"
    with pytest.raises(AccessRefused, match="does not have"):
        asking(source, old, later)


def test_forged_key_names_do_not_make_it_ask_for_ever(
    source: TokenSource, issuer: LoopbackIssuer
) -> None:
    """However many tokens name unknown keys, the issuer is asked once in half a minute."""
    asking(source, issuer.token(NOW))
    asked = issuer.asked
    issuer.name = "unknown"
    forged = issuer.token(NOW)
    issuer.name = "first"

    for _ in range(20):
        with pytest.raises(AccessRefused):
            asking(source, forged, NOW + timedelta(minutes=1))

    assert issuer.asked == asked + 1


def test_logins_go_on_while_the_issuer_is_away(source: TokenSource, issuer: LoopbackIssuer) -> None:
    """The keys of the last answer stay good for a day, and no longer."""
    asking(source, issuer.token(NOW))
    issuer.away = True
    hours, days = NOW + timedelta(hours=5), NOW + timedelta(days=2)

    assert asking(source, issuer.token(hours), hours).name == "ada@example.org"
    with pytest.raises(AccessRefused, match="cannot be had"):
        asking(source, issuer.token(days), days)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "api://another"}, "not for this application"),
        ({"iss": "https://login.example.org/v2.0"}, "issuer that is not known"),
        ({"exp": int((NOW - timedelta(minutes=5)).timestamp())}, "has ended"),
        ({"nbf": int((NOW + timedelta(minutes=5)).timestamp())}, "in the future"),
        ({"exp": None}, "not genuine"),
        ({"exp": "soon"}, "does not say when"),
        ({"sub": None}, "not genuine"),
        ({"roles": ["Other.Role"]}, "nothing was granted"),
        ({"roles": None}, "nothing was granted"),
        ({"preferred_username": None}, "names nobody"),
        ({"preferred_username": "ada\x1b[2J"}, "cannot be recorded"),
    ],
)
def test_what_is_not_right_about_a_token_refuses_it(
    source: TokenSource, issuer: LoopbackIssuer, claims: dict[str, Any], words: str
) -> None:
    """The refusal says what to do and repeats nothing of the token."""
    with pytest.raises(AccessRefused, match=words):
        asking(source, issuer.token(NOW, **claims))


def _unsigned(token: str) -> str:
    head, body, _ = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "none"}
    return f"{base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip('=')}.{body}."


def _with_more_roles(token: str) -> str:
    head, body, mark = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(body + "==")) | {"roles": ["Fleet.Operator"]}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(told).encode()).decode()}.{mark}"


def test_forgeries_are_refused(source: TokenSource, issuer: LoopbackIssuer) -> None:
    """Unsigned, changed after signing, signed by a secret of the sender's, not a token."""
    good = issuer.token(NOW)
    claims = jwt.decode(good, options={"verify_signature": False})
    by_secret = jwt.encode(claims, "s" * 64, "HS256", headers={"kid": issuer.name})

    for forged in (_unsigned(good), _with_more_roles(good), by_secret, "a.b.c", "x" * 20_000):
        with pytest.raises(AccessRefused):
            asking(source, forged)


def test_without_a_token_nobody_is_here(source: TokenSource) -> None:
    with pytest.raises(AccessRefused, match="Authorization"):
        source.identified(Credentials(headers={}, cookies={}, peer="10.0.0.1"), NOW)


def test_a_file_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    """Each fault is named by its place; a key set is not fetched in the clear."""
    path = tmp_path / "access.toml"
    path.write_text(
        '[[issuer]]\nkind = "okta"\nissuer = "http://login.example.org"\naudience = "x"\n'
        '[[grant]]\nclaim = "roles"\nvalue = "x"\nroles = ["king"]\n'
    )

    with pytest.raises(AccessFileRefused) as refused:
        load_access(path)

    for place in ("issuer.0.kind", "issuer.0.issuer", "grant.0.roles.0"):
        assert place in str(refused.value)


def test_the_providers_own_key_addresses_are_known() -> None:
    """As Microsoft and Cloudflare document them."""
    entra = Issuer(
        kind=IssuerKind.ENTRA, issuer="https://login.microsoftonline.com/t/v2.0", audience="a"
    )
    cloudflare = Issuer(
        kind=IssuerKind.CLOUDFLARE, issuer="https://leaf.cloudflareaccess.com", audience="a"
    )

    assert entra.keys_address == "https://login.microsoftonline.com/t/discovery/v2.0/keys"
    assert cloudflare.keys_address == "https://leaf.cloudflareaccess.com/cdn-cgi/access/certs"
