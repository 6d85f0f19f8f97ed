"""The public keys of an issuer, followed as it rotates them.

Keys are asked for when they are first needed, hourly after that, and at once when a token names one
that is not known - but not more often than every half minute, so that forged tokens cannot make
this server ask for ever. While the issuer does not answer, the keys of the last answer stay good
for a day.
"""

import logging
import threading
from datetime import datetime, timedelta

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientError, PyJWKSetError

from fleet.access.errors import AccessRefused

_FRESH = timedelta(hours=1)
_GOOD = timedelta(days=1)
_PATIENCE = timedelta(seconds=30)
_log = logging.getLogger(__name__)


class KeySet:
    """The keys that one address publishes. May be shared between threads."""

    def __init__(self, address: str) -> None:
        self._client = PyJWKClient(address, cache_jwk_set=False, timeout=10)
        self._keys: dict[str, PyJWK] = {}
        self._told: datetime | None = None
        self._asked: datetime | None = None
        self._asking = threading.Lock()

    def key(self, name: str, now: datetime) -> PyJWK:
        """The key of this `kid`. Raises AccessRefused where it has none, or cannot be asked."""
        with self._asking:
            stale = self._told is None or now - self._told > _FRESH
            asked_lately = self._asked is not None and now - self._asked < _PATIENCE
            if (stale or name not in self._keys) and not asked_lately:
                self._ask(now)
            if self._told is None or now - self._told > _GOOD:
                raise AccessRefused("the keys that sign logins cannot be had now; try again soon")
        if name not in self._keys:
            raise AccessRefused("this login is signed with a key that its issuer does not have")
        return self._keys[name]

    def _ask(self, now: datetime) -> None:
        self._asked = now
        try:
            told = PyJWKSet.from_dict(self._client.fetch_data())
        except (PyJWKClientError, PyJWKSetError) as cause:
            _log.warning("the keys of an issuer cannot be had: %s", type(cause).__name__)
            return
        self._keys = {key.key_id: key for key in told.keys if key.key_id}
        self._told = now
