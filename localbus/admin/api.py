"""What management requests do: create, get, list, update and delete queues.

An answer is given once what it says is on disk. Tokens are not checked.
Source: Service Bus REST reference, entities; azure-servicebus 7.15 for what its client sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from localbus.admin import atom
from localbus.admin.http import HttpRequest, HttpResponse
from localbus.broker.entity import MessagingEntity
from localbus.broker.errors import BrokerError, EntityNotFound
from localbus.broker.properties import InvalidProperties
from localbus.bus import Bus

_FEED = "application/atom+xml;type=feed;charset=utf-8"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
_PAGE = 100


class AdminApi:
    """See the module. `detach` closes the links to a queue that was deleted."""

    def __init__(self, bus: Bus, namespace: str, detach: Callable[[MessagingEntity], None]) -> None:
        self._bus = bus
        self._namespace = namespace
        self._detach = detach
        self._created_ms = bus.clock.now_ms()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        try:
            response = self._answer(request)
        except BrokerError as refused:
            return _error(refused.status, str(refused))
        except InvalidProperties as invalid:
            return _error(400, str(invalid))
        if request.method != "GET":
            await self._bus.committed()
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        base = f"https://{request.headers.get('host', 'localbus')}"
        name = request.path.strip("/")
        match request.method:
            case "GET":
                return self._get(request, name, base)
            case "PUT":
                return self._put(request, name, base)
            case "DELETE":
                self._detach(self._bus.namespace.delete(name))
                return HttpResponse(200)
            case _:
                return _error(405, f"{request.method} is not a method of this resource")

    def _get(self, request: HttpRequest, name: str, base: str) -> HttpResponse:
        match name.lower():
            case "$namespaceinfo":
                text = atom.render_namespace(self._namespace, base, self._created_ms)
                return _entry(200, text)
            case "$resources/queues":
                return self._list(request, base)
            case "$resources/topics":
                return _feed(atom.render_feed("Topics", base, [], None))
            case "$health":
                return HttpResponse(200, b"ok", "text/plain; charset=utf-8")
        try:
            return _entry(200, atom.render_queue(self._bus.namespace.queue(name), base))
        except EntityNotFound:
            # the service answers with an empty feed, and its clients look for that
            return _feed(atom.render_feed("Publicly Listed Services", base, [], None))

    def _put(self, request: HttpRequest, name: str, base: str) -> HttpResponse:
        if not _NAME.fullmatch(name) or "//" in name:
            raise InvalidProperties(f"'{name}' is not a name for an entity")
        properties = atom.read_queue(request.body)
        now_ms = self._bus.clock.now_ms()
        if "if-match" in request.headers:
            queue = self._bus.namespace.update(name, properties, now_ms)
            return _entry(200, atom.render_queue(queue, base))
        queue = self._bus.namespace.create(name, properties, now_ms)
        return _entry(201, atom.render_queue(queue, base))

    def _list(self, request: HttpRequest, base: str) -> HttpResponse:
        skip, top = _number(request, "$skip", 0), _number(request, "$top", _PAGE)
        queues = self._bus.namespace.queues()
        page = queues[skip : skip + top]
        following = None
        if skip + top < len(queues):
            following = f"{base}/$Resources/queues?$skip={skip + top}&$top={top}"
        entries = [atom.render_queue(queue, base) for queue in page]
        return _feed(atom.render_feed("Queues", base, entries, following))


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise InvalidProperties(f"{name} is not a number")
    return min(int(text), 1_000_000)


def _entry(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, text.encode())


def _feed(text: str) -> HttpResponse:
    return HttpResponse(200, text.encode(), _FEED)


def _error(status: int, detail: str) -> HttpResponse:
    body = atom.render_error(status, detail).encode()
    return HttpResponse(status, body, "application/xml; charset=utf-8")
