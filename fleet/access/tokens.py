"""Logins by token: Entra ID's in `Authorization`, Cloudflare Access's in its own header.

A token is believed when it is signed by a key of an issuer of the access file, meant for this
application and within its time; what its bearer may do is what the file grants for its claims.
Sources: RFC 7519 and 8725; Microsoft identity platform, access token claims; Cloudflare Access,
Validate JWTs.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from pydantic import ValidationError

from contracts.access import Identity, Role
from fleet.access.access_file import AccessFile, Grant, Issuer, IssuerKind
from fleet.access.errors import AccessRefused
from fleet.access.keys import KeySet
from fleet.access.source import Credentials, Identified

_ALGORITHMS = ["RS256", "ES256"]
"""What both providers sign with. Never taken from the token, which could say `none` or HS256."""
_LEEWAY = timedelta(seconds=60)
_CLOUDFLARE_HEADER = "cf-access-jwt-assertion"
_NAMES = {
    # People first, then programs: an app's id, a service token's name.
    IssuerKind.ENTRA: ("preferred_username", "upn", "email", "azp", "appid"),
    IssuerKind.CLOUDFLARE: ("email", "common_name"),
}
_LONGEST = 16_384


class TokenSource:
    """An IdentitySource of signed tokens. May be shared between threads."""

    def __init__(self, access: AccessFile) -> None:
        self._grants = access.grant
        self._issuers = {one.issuer: (one, KeySet(one.keys_address)) for one in access.issuer}

    def identified(self, given: Credentials, now: datetime) -> Identified:
        """See IdentitySource."""
        for token, kinds in _tokens(given):
            issuer, claims = self._claims(token, kinds, now)
            return Identified(
                identity=_identity(issuer, claims, self._grants),
                binding=f"{issuer.issuer}\n{claims['sub']}",
            )
        raise AccessRefused("no login came with this; send a token in the Authorization header")

    def _claims(
        self, token: str, kinds: frozenset[IssuerKind], now: datetime
    ) -> tuple[Issuer, dict[str, Any]]:
        try:
            unproven = jwt.decode(token, options={"verify_signature": False})
            issuer, keys = self._issuers[str(unproven.get("iss"))]
            key = keys.key(str(jwt.get_unverified_header(token).get("kid")), now)
            if issuer.kind not in kinds:
                raise AccessRefused("this login came in the header of another issuer")
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=issuer.audience,
                issuer=issuer.issuer,
                # Times are compared below, with the clock that is an argument.
                options={
                    "require": ["exp", "iat", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except KeyError:
            raise AccessRefused("this login is of an issuer that is not known here") from None
        except jwt.InvalidTokenError:
            raise AccessRefused("this login is not genuine, or not for this application") from None
        _check_times(claims, now)
        return issuer, claims


def login_headers(given: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request that say who asks: to be sent along by who asks in their behalf."""
    return {name: given[name] for name in (_CLOUDFLARE_HEADER, "authorization") if name in given}


def _tokens(given: Credentials) -> Iterator[tuple[str, frozenset[IssuerKind]]]:
    """What came along, each with the kinds of issuer that may have sent it there."""
    if token := given.headers.get(_CLOUDFLARE_HEADER):
        yield _bounded(token), frozenset({IssuerKind.CLOUDFLARE})
    scheme, _, token = given.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and token:
        yield _bounded(token.strip()), frozenset(IssuerKind)


def _bounded(token: str) -> str:
    if len(token) > _LONGEST:
        raise AccessRefused("this login is too long to be one")
    return token


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    try:
        starts = datetime.fromtimestamp(float(claims.get("nbf", claims["iat"])), UTC)
        ends = datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise AccessRefused("this login does not say when it ends") from None
    if now >= ends + _LEEWAY:
        raise AccessRefused("this login has ended; log in again")
    if now < starts - _LEEWAY:
        raise AccessRefused("this login begins in the future: is this server's clock right?")


def _identity(issuer: Issuer, claims: dict[str, Any], grants: tuple[Grant, ...]) -> Identity:
    names = (claims.get(name) for name in _NAMES[issuer.kind])
    name = next((one for one in names if isinstance(one, str) and one), None)
    if name is None:
        raise AccessRefused("this login names nobody")
    given = [grant for grant in grants if _has(claims, grant)]
    if not given:
        raise AccessRefused("this login is genuine, and nothing was granted to it here")
    roles: set[Role] = {role for grant in given for role in grant.roles}
    kept = [grant.tenants for grant in given if grant.tenants is not None]
    tenants = tuple(sorted({one for some in kept for one in some})) if kept else None
    try:
        return Identity(name=name, roles=tuple(roles), tenants=tenants, source=issuer.issuer)
    except ValidationError:
        raise AccessRefused("this login's name cannot be recorded") from None


def _has(claims: dict[str, Any], grant: Grant) -> bool:
    told = claims.get(grant.claim)
    return grant.value in told if isinstance(told, list) else told == grant.value
