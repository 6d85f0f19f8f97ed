"""Shared access signatures: whether a token proves knowledge of a key, for what, and until when.

Pure: the time is an argument. Rights (Send, Listen, Manage) are not told apart: a key may do all.
The host in a token's resource is not compared, since one bus is reached under several names; its
path is. Source: Azure Service Bus documentation, access control with shared access signatures.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

_PREFIX = "SharedAccessSignature "


class TokenRefused(Exception):
    """This token proves nothing; the words are those of the service."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token allows: every path at or below `scope`, until `until_ms`."""

    scope: str
    until_ms: int

    def covers(self, path: str, now_ms: int) -> bool:
        """Whether `path` may be used now."""
        return now_ms < self.until_ms and _within(resource_path(path), self.scope)


@dataclass(frozen=True, slots=True)
class SasKeys:
    """The bus's keys by name; its `repr` keeps them to itself."""

    keys: Mapping[str, str]

    def __repr__(self) -> str:
        return f"SasKeys({sorted(self.keys)})"

    def grant(self, token: str, audience: str, now_ms: int) -> Grant:
        """Check a token that is to open `audience`, a path or URI. Raises TokenRefused."""
        if not token.startswith(_PREFIX):
            raise TokenRefused("MalformedToken: The token is no shared access signature.")
        fields = dict(
            part.partition("=")[::2] for part in token.removeprefix(_PREFIX).strip().split("&")
        )
        try:
            resource, signature = fields["sr"], unquote_plus(fields["sig"])
            until, name = fields["se"], unquote_plus(fields["skn"])
        except KeyError as missing:
            raise TokenRefused(f"MalformedToken: The token lacks {missing}.") from None
        if not (until.isascii() and until.isdecimal() and len(until) < 16):
            raise TokenRefused("MalformedToken: The token's expiry is not a number.")
        key = self.keys.get(name)
        # a digest is made for unknown names too: the time taken tells nobody which names exist
        expected = sign(key or "", resource, int(until))
        if key is None or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise TokenRefused("InvalidSignature: The token has an invalid signature.")
        if int(until) * 1000 <= now_ms:
            raise TokenRefused("ExpiredToken: The token is expired.")
        scope, wanted = resource_path(unquote_plus(resource)), resource_path(audience)
        if not _within(wanted, scope):
            raise TokenRefused("InvalidAudience: The token is for another resource.")
        return Grant(wanted, int(until) * 1000)

    def knows(self, name: str, key: str) -> bool:
        """Whether this is one of the keys."""
        return hmac.compare_digest(self.keys.get(name, "").encode(), key.encode()) and bool(key)


def sign(key: str, encoded_resource: str, until_s: int) -> str:
    """The signature of a URL-encoded resource and an expiry in seconds since the epoch."""
    text = f"{encoded_resource}\n{until_s}".encode()
    return b64encode(hmac.new(key.encode(), text, hashlib.sha256).digest()).decode()


def resource_path(uri: str) -> str:
    """The path of a resource, lower case, without authority and query."""
    _, separator, rest = uri.partition("://")
    path = rest.partition("/")[2] if separator else uri
    return path.partition("?")[0].strip("/").lower()


def _within(path: str, scope: str) -> bool:
    return not scope or path == scope or path.startswith(scope + "/")
