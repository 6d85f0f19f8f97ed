"""No operation takes a secret in: what has a body is looked through before anything is done."""

from collections.abc import Iterator
from typing import Any

import httpx

from dispatcher.http import api
from tests.dispatcher.conftest import Served
from tests.policies.secrets import PLANTED, core_of

_NAMES = {"name": "nightly", "queue": "lane-compute", "sequence_number": "1"}
_IDS = dict.fromkeys(("run", "task", "job", "worker"), "abc")
_WHY = {"requester": "ana", "reason": "why"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and a right body of each operation that takes one."""
    for path, methods in api().openapi()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                yield method, path, content.get("example", _WHY)


async def test_every_operation_refuses_a_secret_by_its_field(served: Served) -> None:
    """In words that it would record, whether what it names is there or not."""
    told, wanted = {}, {}
    async with httpx.AsyncClient(base_url=served.address) as client:
        for method, path, body in operations():
            field = "comment" if "comment" in body else "reason"
            given: dict[str, Any] = {field: PLANTED["jwt"][1]}
            if path == "/v1/runs":  # the only one that records no words of its own
                field, given = "parameters.client", {"parameters": {"client": PLANTED["jwt"][1]}}

            answer = await client.request(
                method, path.format(**_NAMES, **_IDS), json={**body, **given}
            )

            problem = answer.json()
            told[method, path] = (problem["type"], [f["field"] for f in problem.get("faults", ())])
            wanted[method, path] = ("urn:leaf-fleet:secret-given", [field])
            assert core_of("jwt") not in answer.text

    assert told == wanted
    assert len(told) >= 18
