"""The control API for tests: faults and the clock, as JSON under `/$control`. Off by default.

    GET    /$control                 seed, clock and rules, with how often each struck
    POST   /$control/faults          add a rule (see `localbus.faults.Rule`); answers its id
    DELETE /$control/faults/{id}     lift one rule
    POST   /$control/reset           lift all rules and draw anew from {"seed": 7}; with
                                     {"clock": true} back to the machine's time, if nothing is held
    POST   /$control/clock           {"advance_s": 61}: answers once all that became due is done
    POST   /$control/connections     {}: cut every connection

A page in a browser could reach a loopback port too: requests that change something must be JSON,
which a browser asks permission for first and does not get, and the host must be this machine's.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

from localbus.admin.http import HttpRequest, HttpResponse
from localbus.bus import Bus
from localbus.clock import DrivenClock
from localbus.faults import Faults, InvalidRule, Rule

PREFIX = "/$control"
_JSON = "application/json"
_MAX_ADVANCE_S = 10 * 365 * 86_400


class ControlApi:
    """See the module. `drop_connections` cuts every client's connection."""

    def __init__(
        self, bus: Bus, clock: DrivenClock, faults: Faults, drop_connections: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._faults = faults
        self._drop_connections = drop_connections

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        if not _is_local(request.headers.get("host", "")):
            return _problem(403, "the host is not an address of this machine")
        if request.method == "POST":
            if request.headers.get("content-type", "").partition(";")[0].strip() != _JSON:
                return _problem(415, f"the content type is {_JSON}")
            try:
                body = json.loads(request.body or b"{}")
            except ValueError as error:
                return _problem(400, f"the body is not JSON: {error}")
            if not isinstance(body, dict):
                return _problem(400, "the body is a JSON object")
        else:
            body = {}
        try:
            status, answer = self._answer(request, request.path.rstrip("/"), body)
        except InvalidRule as invalid:
            return _problem(400, str(invalid))
        await self._bus.committed()
        return json_response(status, answer)

    def _answer(self, request: HttpRequest, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        match request.method, path.removeprefix(PREFIX):
            case "GET", "":
                return 200, self._state()
            case "POST", "/faults":
                rule_id = self._faults.add(Rule.from_dict(body), self._clock.now_ms())
                return 201, {"id": rule_id}
            case "DELETE", rest if rest.startswith("/faults/"):
                number = rest.removeprefix("/faults/")
                if number.isdecimal() and len(number) < 12 and self._faults.remove(int(number)):
                    return 200, {}
                return 404, {"error": "there is no such rule"}
            case "POST", "/reset":
                self._faults.reset(int(_number(body, "seed", 0)))
                if body.get("clock") is True:
                    self._clock.reset()
            case "POST", "/clock":
                self._clock.advance(_number(body, "advance_s", 0))
            case "POST", "/connections":
                self._drop_connections()
            case _:
                return 404, {"error": "there is nothing of this name to control"}
        return 200, self._state()

    def _state(self) -> dict[str, Any]:
        return {
            "seed": self._faults.seed,
            "now_ms": self._clock.now_ms(),
            "faults": [armed.as_dict() for armed in self._faults.rules()],
        }


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRule(f"{name} is not a number")
    if not 0 <= value <= _MAX_ADVANCE_S:  # refuses NaN too
        raise InvalidRule(f"{name} is negative or above ten years in seconds")
    return value


def _is_local(host: str) -> bool:
    """Whether a Host header names an address or localhost, not a name that a page could rebind."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() in {"localhost", ""}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def json_response(status: int, value: Any) -> HttpResponse:
    """A JSON answer, keys in order."""
    body = json.dumps(value, sort_keys=True, indent=1) + "\n"
    return HttpResponse(status, body.encode(), _JSON)


def _problem(status: int, words: str) -> HttpResponse:
    return json_response(status, {"error": words})
