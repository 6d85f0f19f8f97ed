"""The pages for people whom an identity provider vouches for."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from console.web.app import create_app
from console.web.serve import sealer_of
from fleet.access.access_file import load_access
from fleet.access.tokens import TokenSource
from fleet.settings import Settings
from tests.console.ledgers import Home
from tests.console.web.conftest import Browser, Web, a_web
from tests.fleet.access.issuer import AUDIENCE, LoopbackIssuer, issuing

ACCESS = """
[[issuer]]
kind = "cloudflare"
issuer = "{address}"
audience = "{audience}"
keys = "{keys}"

[[grant]]
claim = "email"
value = "ada@example.org"
roles = ["operator"]
"""


@pytest.fixture
def issuer() -> Iterator[LoopbackIssuer]:
    with issuing() as one:
        yield one


@pytest.fixture
def asked() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Who listens where the dispatcher is asked, and the headers that came."""
    came: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(404)
            self.send_header("content-type", "application/problem+json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, came
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def web(
    home: Home, issuer: LoopbackIssuer, asked: tuple[int, Any], tmp_path: Path
) -> Iterator[Web]:
    home.run(1)
    path = tmp_path / "access.toml"
    path.write_text(
        ACCESS.format(address=issuer.address, audience=AUDIENCE, keys=issuer.keys_address)
    )
    with ExitStack() as opened:
        web = a_web(home, opened, ("127.0.0.1", asked[0]))
        site = replace(web.site, identities=TokenSource(load_access(path)), local=None)
        yield replace(web, site=site)


def login(issuer: LoopbackIssuer, home: Home, email: str = "ada@example.org") -> dict[str, str]:
    return {"cf-access-jwt-assertion": issuer.token(home.now, email=email)}


def test_people_are_known_by_the_token_before_the_page(
    web: Web, issuer: LoopbackIssuer, home: Home
) -> None:
    """Behind Cloudflare Access a page greets whoever its token names; nobody logs in here."""
    browser = Browser(create_app(web.site))

    page = browser.get("/", login(issuer, home))

    assert page.status_code == 200
    assert "ada@example.org" in page.text
    assert browser.post("/login", data={}).status_code == 404


@pytest.mark.parametrize("email", [None, "eve@example.org"])
def test_others_are_told_why_not(
    web: Web, issuer: LoopbackIssuer, home: Home, email: str | None
) -> None:
    """Without a token, and with one that nothing was granted to, there is no page."""
    headers = {} if email is None else login(issuer, home, email)

    page = Browser(create_app(web.site)).get("/runs", headers)

    assert page.status_code == 401
    assert "login" in page.text
    assert "guarantee_report" not in page.text


def test_the_dispatcher_is_asked_in_their_name(
    web: Web, issuer: LoopbackIssuer, home: Home, asked: tuple[int, list[dict[str, str]]]
) -> None:
    """What somebody does on a page goes on with their own token, so that the dispatcher decides
    about them and not about the console."""
    given = login(issuer, home)
    browser = Browser(create_app(web.site))
    [run] = web.site.reader.runs()
    page = browser.get(f"/runs/{run.run}", given)
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]

    browser.post(f"/runs/{run.run}/cancel", {"csrf": csrf, "reason": "a test"}, given)

    [headers] = asked[1]
    assert headers["cf-access-jwt-assertion"] == given["cf-access-jwt-assertion"]


@pytest.mark.parametrize(("other", "asked_for"), [("k" * 43, 1), ("x" * 43, 0)])
def test_a_form_of_one_replica_is_good_at_another_with_the_same_key(
    web: Web,
    issuer: LoopbackIssuer,
    home: Home,
    asked: tuple[int, list[dict[str, str]]],
    other: str,
    asked_for: int,
) -> None:
    """Whichever of them a load balancer picks; with another key it is a form of somebody else's."""
    given = login(issuer, home)
    first, second = (
        Browser(create_app(replace(web.site, sealer=sealer_of(Settings(session_key=key)))))
        for key in ("k" * 43, other)
    )
    [run] = web.site.reader.runs()
    page = first.get(f"/runs/{run.run}", given)
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]

    second.post(f"/runs/{run.run}/cancel", {"csrf": csrf, "reason": "a test"}, given)

    assert len(asked[1]) == asked_for
