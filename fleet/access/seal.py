"""Values that come back from a browser as they were given: JSON, an end, and an HMAC-SHA256.

Sealed is not hidden: whoever holds the text can read it. A value sealed for one purpose opens for
no other.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

from pydantic import JsonValue

from fleet.access.errors import AccessRefused


class Sealer:
    """Seals and opens with one key of at least 32 bytes. Raises ValueError for a shorter one."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("a key for seals has at least 32 bytes")
        self._key = key

    def seal(self, purpose: str, value: JsonValue, until: datetime) -> str:
        """Text for a cookie; good until then."""
        told = json.dumps([value, int(until.timestamp())], separators=(",", ":"))
        body = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
        return f"{body}.{self.mark(purpose, body)}"

    def opened(self, purpose: str, sealed: str, now: datetime) -> JsonValue:
        """The value. Raises AccessRefused for what was not sealed here, or is past its end."""
        body, _, mark = sealed.partition(".")
        if not body.isascii() or not hmac.compare_digest(
            self.mark(purpose, body).encode(), mark.encode()
        ):
            raise AccessRefused("this was not given by this server; log in again")
        padded = body + "=" * (-len(body) % 4)
        value, until = json.loads(base64.urlsafe_b64decode(padded))
        if now >= datetime.fromtimestamp(until, UTC):
            raise AccessRefused("this login has ended; log in again")
        opened: JsonValue = value
        return opened

    def mark(self, purpose: str, text: str) -> str:
        """What only this key makes of `text`: hex."""
        whole = f"{purpose}\n{text}".encode("utf-8", "replace")
        return hmac.new(self._key, whole, hashlib.sha256).hexdigest()
