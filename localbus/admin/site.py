"""What answers on an admin port, by path: the control API, the status page, the management API.

With keys, everything but `/$health` needs a shared access signature, or a key's name and the key
as Basic authentication, for a person with a browser.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from localbus.admin.api import AdminApi
from localbus.admin.control import PREFIX, ControlApi, json_response
from localbus.admin.http import HttpRequest, HttpResponse
from localbus.admin.status import StatusPages
from localbus.clock import Clock
from localbus.sas import SasKeys, TokenRefused


class Site:
    """See the module. What is not given is not there: its paths are those of unknown entities."""

    def __init__(
        self,
        api: AdminApi,
        keys: SasKeys | None,
        clock: Clock,
        *,
        status: StatusPages | None = None,
        control: ControlApi | None = None,
    ) -> None:
        self._api = api
        self._keys = keys
        self._clock = clock
        self._status = status
        self._control = control

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        path = request.path
        if path.lower() != "/$health":
            refused = self._refusal(request)
            if refused is not None:
                return refused
        if self._control is not None and (path == PREFIX or path.startswith(PREFIX + "/")):
            return await self._control.handle(request)
        if self._status is not None and request.method == "GET" and path in StatusPages.PATHS:
            return self._status.answer(path)
        return await self._api.handle(request)

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if self._keys is None:
            return None
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, key = b64decode(secret, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                name = key = ""
            if self._keys.knows(name, key):
                return None
        try:
            token = request.headers.get("authorization", "")
            self._keys.grant(token, request.path, self._clock.now_ms())
        except TokenRefused as refused:
            answer = json_response(401, {"error": str(refused)})
            headers = {"WWW-Authenticate": 'Basic realm="localbus"'}
            return HttpResponse(401, answer.body, answer.content_type, headers)
        return None
