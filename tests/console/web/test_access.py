"""Who gets in, what they may, and what a page lets a browser do."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.access import Role
from fleet.access.access_file import load_access
from fleet.access.tokens import TokenSource, login_headers
from fleet.ledger.browse import RunFilter
from tests.console.web.conftest import Web
from tests.fleet.access.issuer import issuing
from tests.fleet.access.test_tokens import written

PAGES = ("/", "/runs")


def csrf_in(text: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)
    assert found is not None
    return found[1]


def test_nobody_sees_anything_before_they_log_in(web: Web) -> None:
    """Every page leads to the login, which leads back; a stream and a refresh say 401."""
    browser = web.somebody(None)

    assert browser.get("/runs?state=failed").headers["location"] == (
        "/login?next=%2Fruns%3Fstate%3Dfailed"
    )
    assert browser.get("/live").status_code == 401
    assert browser.get("/", headers={"x-live": "1"}).status_code == 401
    assert browser.post("/runs/cancel", data={}).headers["location"].startswith("/login")


def test_the_login_leads_to_this_site_alone(web: Web) -> None:
    """An address elsewhere in `next` leads to the first page."""
    browser = web.somebody(None)
    form = {"key": web.key, "name": "ada", "role": "viewer"}

    for asked in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"):
        assert browser.post("/login", data=form | {"next": asked}).headers["location"] == "/"
    assert browser.post("/login", data=form | {"next": "/runs"}).headers["location"] == "/runs"


def test_a_wrong_key_is_refused(web: Web) -> None:
    """With a reason, and without a session; a name that is none likewise."""
    browser = web.somebody(None)

    refused = browser.post("/login", data={"key": "x", "name": "ada", "role": "admin"})
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    assert "This is not the key" in refused.text or "this is not the key" in refused.text
    bad = browser.post("/login", data={"key": web.key, "name": "<b>", "role": "admin"})
    assert bad.status_code == 400


@pytest.mark.parametrize("path", [*PAGES, "/login", "/static/console.css", "/no/such/page"])
def test_every_answer_keeps_the_browser_at_home(web: Web, path: str) -> None:
    """Nothing is loaded from, framed by or sent to another address, and no style is inline."""
    answer = web.somebody().get(path)

    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.headers["content-type"].startswith("text/html"):
        assert answer.headers["cache-control"] == "no-store"
        assert re.search(r"<script(?! src=)|\sstyle=|\son[a-z]+=|https?://", answer.text) is None


def test_the_session_is_no_scripts_business(web: Web) -> None:
    """The cookie is for this site's own requests, and no page holds it or the key."""
    browser = web.somebody(None)
    form = {"key": web.key, "name": "ada", "role": "admin"}
    cookie = browser.post("/login", data=form).headers["set-cookie"].casefold()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    text = browser.get("/runs").text
    assert web.key not in text
    assert browser.cookies["fleet_session"] not in text


def test_a_form_from_elsewhere_is_refused(web: Web) -> None:
    """Without this login's own mark, from another site, or with another login's mark."""
    browser, other = web.somebody(), web.somebody(name="grace")
    mark, foreign = csrf_in(browser.get("/runs").text), csrf_in(other.get("/runs").text)
    form = {"run": "x", "reason": "because"}

    assert browser.post("/runs/cancel", data=form).status_code == 403
    assert browser.post("/runs/cancel", data=form | {"csrf": foreign}).status_code == 403
    evil = {"origin": "https://evil.example"}
    assert browser.post("/runs/cancel", data=form | {"csrf": mark}, headers=evil).status_code == 403
    cross = {"sec-fetch-site": "cross-site"}
    assert (
        browser.post("/runs/cancel", data=form | {"csrf": mark}, headers=cross).status_code == 403
    )
    assert browser.post("/runs/cancel", data=form | {"csrf": mark}).status_code == 404  # no run x


def test_a_button_one_may_not_press_says_why(web: Web) -> None:
    """It is shown, disabled, with the reason; and pressing it all the same is refused."""
    viewer = web.somebody(Role.VIEWER)
    page = viewer.get("/runs").text

    assert '<button class="danger" disabled>Cancel them</button>' in page
    assert "This needs the role operator or admin; you are viewer." in page
    form = {"run": "x", "reason": "because", "csrf": csrf_in(page)}
    assert viewer.post("/runs/cancel", data=form).status_code == 403


def test_people_of_a_tenant_see_their_own_alone(web: Web) -> None:
    """Of another tenant not even that a run exists; what is the whole fleet's is closed."""
    run = web.site.browser.runs(RunFilter()).rows[0]
    theirs, others = web.somebody(tenants="acme"), web.somebody(tenants="beta")

    assert theirs.get(f"/runs/{run.run}").status_code == 200
    assert run.run[:13] in theirs.get("/runs").text
    assert others.get(f"/runs/{run.run}").status_code == 404
    assert run.run[:13] not in others.get("/runs").text
    assert others.get("/").headers["location"] == "/runs"


def test_people_come_with_a_token_where_tokens_are_believed(web: Web, tmp_path: Path) -> None:
    """Nobody logs in here then: without a token nothing is shown; with one, its name and role. The
    dispatcher is asked with the same token, and with nothing else that came along."""
    with issuing() as issuer:
        source = TokenSource(load_access(written(tmp_path, issuer)))
        site = replace(web.site, identities=source, local=None, secure=True)
        browser = Web(site, web.key).somebody(None)
        form = {"key": web.key, "name": "ada", "role": "admin"}

        assert browser.get("/runs").status_code == 401
        assert "Whoever lets you in says who you are" in browser.get("/login").text
        assert browser.post("/login", form).status_code == 404
        token = issuer.token(web.site.clock.now())
        headers = {"authorization": f"Bearer {token}", "x-other": "1"}
        page = browser.get("/runs", headers).text
        assert "ada@example.org" in page
        assert "you are viewer" in page
        assert "Log out" not in page
        assert token not in page
        assert login_headers(headers) == {"authorization": f"Bearer {token}"}
