"""What management requests do: create, get, list, update and delete entities and rules.

An answer is given once what it says is on disk. Tokens are not checked.
Source: Service Bus REST reference, entities; azure-servicebus 7.15 for what its client sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from xml.etree.ElementTree import Element

from localbus.admin import atom
from localbus.admin.atom import render_entity
from localbus.admin.http import HttpRequest, HttpResponse
from localbus.admin.rule_xml import SERVICE_BUS, read_rule
from localbus.broker.entity import MessagingEntity
from localbus.broker.errors import BrokerError, EntityNotFound
from localbus.broker.properties import (
    InvalidProperties,
    SubscriptionProperties,
    TopicProperties,
)
from localbus.broker.rules import DEFAULT_RULE
from localbus.bus import Bus

_FEED = "application/atom+xml;type=feed;charset=utf-8"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
_SHORT_NAME = re.compile(r"\$?[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")
_BELOW_TOPIC = re.compile(
    r"(?P<topic>.+?)/subscriptions(/(?P<subscription>[^/]+)(?P<rules>/rules(/(?P<rule>[^/]+))?)?)?",
    re.IGNORECASE,
)
_PAGE = 100
_Listed = TypeVar("_Listed")


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
        place = _Place.of(name)
        match request.method:
            case "GET" if place is not None:
                return self._get_below_topic(request, place, base)
            case "GET":
                return self._get(request, name, base)
            case "PUT":
                return self._put(request, name, place, base)
            case "DELETE" if place is not None and place.rules:
                self._bus.namespace.subscription(place.topic, place.subscription).remove_rule(
                    place.rule
                )
                return HttpResponse(200)
            case "DELETE":
                self._detach(self._bus.namespace.delete(name))
                return HttpResponse(200)
            case _:
                return _error(405, f"{request.method} is not a method of this resource")

    def _get(self, request: HttpRequest, name: str, base: str) -> HttpResponse:
        def show(entity: MessagingEntity) -> str:
            return render_entity(entity, base)

        match name.lower():
            case "$namespaceinfo":
                text = atom.render_namespace(self._namespace, base, self._created_ms)
                return _entry(200, text)
            case "$resources/queues":
                return _page(request, "Queues", base, self._bus.namespace.queues(), show)
            case "$resources/topics":
                return _page(request, "Topics", base, self._bus.namespace.topics(), show)
            case "$health":
                return HttpResponse(200, b"ok", "text/plain; charset=utf-8")
        try:
            return _entry(200, render_entity(self._bus.namespace.entity(name), base))
        except EntityNotFound:
            # the service answers with an empty feed, and its clients look for that
            return _feed(atom.render_feed("Publicly Listed Services", base, [], None))

    def _get_below_topic(self, request: HttpRequest, place: _Place, base: str) -> HttpResponse:
        topic = self._bus.namespace.topic(place.topic)
        if not place.subscription:
            found = [topic.subscriptions[name] for name in sorted(topic.subscriptions)]
            return _page(
                request, "Subscriptions", base, found, lambda each: render_entity(each, base)
            )
        subscription = self._bus.namespace.subscription(place.topic, place.subscription)
        if place.rule:
            rule = subscription.rule(place.rule)
            return _entry(200, atom.render_rule_entry(subscription, rule, base))
        if place.rules:
            rules = subscription.list_rules()
            return _page(
                request,
                "Rules",
                base,
                rules,
                lambda rule: atom.render_rule_entry(subscription, rule, base),
            )
        return _entry(200, render_entity(subscription, base))

    def _put(
        self, request: HttpRequest, name: str, place: _Place | None, base: str
    ) -> HttpResponse:
        kind, description = atom.read_description(request.body)
        update = "if-match" in request.headers
        status = 200 if update else 201
        if place is None:
            entity = self._put_entity(kind, description, name, update=update)
            return _entry(status, render_entity(entity, base))
        if not place.subscription:
            raise InvalidProperties("a subscription has a name")
        if not place.rules:
            entity = self._put_subscription(kind, description, place, update=update)
            return _entry(status, render_entity(entity, base))
        subscription = self._bus.namespace.subscription(place.topic, place.subscription)
        if kind != "RuleDescription":
            raise InvalidProperties(f"a {kind} is no rule")
        _check_name(place.rule, _SHORT_NAME, "a rule")
        rule = read_rule(description, place.rule, self._bus.clock.now_ms())
        (subscription.update_rule if update else subscription.add_rule)(rule)
        kept = subscription.rule(place.rule)
        return _entry(status, atom.render_rule_entry(subscription, kept, base))

    def _put_entity(
        self, kind: str, description: Element, name: str, *, update: bool
    ) -> MessagingEntity:
        _check_name(name, _NAME, "an entity")
        namespace, now_ms = self._bus.namespace, self._bus.clock.now_ms()
        if kind not in {"QueueDescription", "TopicDescription"}:
            raise InvalidProperties(f"a {kind} is neither queue nor topic")
        properties = atom.read_properties(kind, description)
        if isinstance(properties, TopicProperties):
            put_topic = namespace.update_topic if update else namespace.create_topic
            return put_topic(name, properties, now_ms)
        put_queue = namespace.update if update else namespace.create
        return put_queue(name, properties, now_ms)

    def _put_subscription(
        self, kind: str, description: Element, place: _Place, *, update: bool
    ) -> MessagingEntity:
        namespace, now_ms = self._bus.namespace, self._bus.clock.now_ms()
        _check_name(place.subscription, _SHORT_NAME, "a subscription")
        if kind != "SubscriptionDescription":
            raise InvalidProperties(f"a {kind} is no subscription")
        properties = atom.read_properties(kind, description)
        assert isinstance(properties, SubscriptionProperties)
        if update:
            return namespace.update_subscription(
                place.topic, place.subscription, properties, now_ms
            )
        first = description.find(f"{{{SERVICE_BUS}}}DefaultRuleDescription")
        rule = None
        if first is not None:
            name = first.findtext(f"{{{SERVICE_BUS}}}Name") or DEFAULT_RULE
            rule = read_rule(first, name, now_ms)
        subscription = namespace.create_subscription(
            place.topic, place.subscription, properties, now_ms
        )
        if rule is not None:
            subscription.remove_rule(DEFAULT_RULE)
            subscription.add_rule(rule)
        return subscription


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path below a topic names; empty is not named."""

    topic: str
    subscription: str
    rules: bool
    rule: str

    @classmethod
    def of(cls, path: str) -> _Place | None:
        match = _BELOW_TOPIC.fullmatch(path)
        if match is None:
            return None
        return cls(
            match["topic"],
            match["subscription"] or "",
            match["rules"] is not None,
            match["rule"] or "",
        )


def _check_name(name: str, pattern: re.Pattern[str], what: str) -> None:
    if not pattern.fullmatch(name) or "//" in name:
        raise InvalidProperties(f"'{name}' is not a name for {what}")


def _page(
    request: HttpRequest,
    title: str,
    base: str,
    found: Sequence[_Listed],
    render: Callable[[_Listed], str],
) -> HttpResponse:
    skip, top = _number(request, "$skip", 0), _number(request, "$top", _PAGE)
    following = None
    if skip + top < len(found):
        following = f"{base}/{request.path.strip('/')}?$skip={skip + top}&$top={top}"
    entries = [render(each) for each in found[skip : skip + top]]
    return _feed(atom.render_feed(title, base, entries, following))


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
