"""The fleet's screens: lanes, workers, dead letters, approvals, policies, audit."""

import asyncio
import html
import re
from contextlib import ExitStack

import pytest

from console.web.bus_view import BusView
from contracts.access import Role
from contracts.artifact import Scope
from contracts.schedule import Schedule
from fleet.bus.admin import Counts
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause
from fleet.ledger.rows import NewRedrive, Selection
from fleet.ledger.schedules import Put
from tests.console.ledgers import HOSTILE, Home
from tests.console.web.conftest import HomeClock, Web, a_web
from tests.console.web.test_access import csrf_in
from tests.console.web.test_runs import words

SCREENS = (
    "/",
    "/runs",
    "/lanes",
    "/workers",
    "/dead-letters",
    "/approvals",
    "/schedules",
    "/artifacts",
    "/policies",
    "/audit",
)


def test_a_new_fleet_has_every_screen(home: Home) -> None:
    """Before anything ran, each answers and none says that something is wrong with it."""
    asyncio.run(_opened(home))
    with ExitStack() as opened:
        browser = a_web(home, opened).somebody(Role.VIEWER)

        assert {browser.get(path).status_code for path in SCREENS} == {200}
        assert "Nothing waits for approval" in browser.get("/approvals").text
        assert "No worker is live" in browser.get("/workers").text
        nav = set(re.findall(r'<li><a href="(/[a-z-]*)"', browser.get("/").text))
        assert nav == set(SCREENS)


async def _opened(home: Home) -> None:
    await (await Ledger.open(home.url)).aclose()


def test_dead_letters_by_cause(web: Web, home: Home) -> None:
    """A group of tasks and one of messages, each with its count, cause, and its own page."""
    home.dead_letter("no such lane")
    browser = web.somebody()
    text = browser.get("/dead-letters").text
    groups = re.findall(r'href="(/dead-letters/groups/[0-9a-f]+)"', text)

    assert len(groups) == 2
    told = words("".join(browser.get(group).text for group in groups))
    assert "rules.broken" in told
    assert HOSTILE[:3] in told
    assert "lane-mirror/7" in told
    message = words(browser.get("/dead-letters/messages/lane-mirror/7").text)
    assert "no such lane" in message
    assert browser.get("/dead-letters/groups/00ff").status_code == 404
    assert browser.get("/dead-letters/messages/lane-mirror/8").status_code == 404


def test_a_queue_that_the_two_sides_count_otherwise(home: Home) -> None:
    """Bus and ledger stand side by side; the difference is shown, and how long it has stood."""
    home.run(1)
    with ExitStack() as opened:
        web = a_web(home, opened)
        counts = {"lane-mirror": Counts(active=3, scheduled=0, dead_letter=0)}
        object.__setattr__(web.site, "bus", BusView(lambda: counts, HomeClock(home)))
        web.site.bus.refreshed()
        browser = web.somebody(Role.VIEWER)

        first = words(browser.get("/lanes").text)
        assert "Active queued and running 3 0 +3" in first
        assert "moving" in first
        home.pass_time(11)
        assert "differs for 11.0 s" in words(browser.get("/lanes").text)


def test_the_dispatcher_being_away_is_said(web: Web) -> None:
    """An action that nobody can carry out is no broken page: it says what to do."""
    browser = web.somebody()
    page = browser.get("/dead-letters").text

    form = {"csrf": csrf_in(page), "way": "dry_run"}
    answer = browser.post("/dead-letters/redrive", form)
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_a_decision_is_tried(web: Web) -> None:
    """By hand, with the rules in force; nonsense is answered with what is wrong with it."""
    browser = web.somebody(Role.VIEWER)
    page = browser.get("/policies").text
    facts = re.search(r'<textarea id="facts"[^>]*>([^<]*)<', page)
    assert facts is not None
    text = html.unescape(facts[1])
    form = {"csrf": csrf_in(page), "gate": "publish", "facts": text}

    assert "publish : allowed" in words(browser.post("/policies/try", form).text)
    denied = browser.post("/policies/try", form | {"facts": text.replace("true", "false")})
    assert "leaving.not_scanned" in denied.text
    assert browser.post("/policies/try", form | {"facts": "["}).status_code == 400
    assert browser.post("/policies/try", form | {"gate": "x"}).status_code == 400


def test_the_audit_tells_who_did_what_and_why(web: Web, home: Home) -> None:
    """A redrive of many is one line, and a run's cancellation another."""

    async def act() -> None:
        async with await Ledger.open(home.url) as ledger:
            await ledger.start_redrive(
                NewRedrive(
                    job="job-1",
                    selection=Selection(everything=True),
                    actor="grace",
                    reason="the source is back",
                    now=home.now,
                )
            )
            await ledger.step_redrives(home.now)
            running = next(r.run for r in web.site.reader.runs() if r.state == "running")
            await ledger.cancel_run(running, "ada", "asked for twice", home.now)

    asyncio.run(act())
    told = words(web.somebody().get("/audit").text)
    without = words(web.somebody().get("/audit?submissions=no").text)

    assert "grace dead_letter.redrive 1 of everything" in told
    assert "run.submit guarantee_report for acme" in told
    assert "run.submit" not in without
    assert "grace dead_letter.redrive 1 of everything" in without
    assert "ada run.cancel the run" in told
    assert "cancellation asked for: asked for twice" in told
    assert told.count("the source is back") == 1


@pytest.mark.parametrize("path", ["/audit", "/lanes", "/dead-letters", "/policies"])
def test_the_fleets_screens_are_closed_to_a_tenants_people(web: Web, path: str) -> None:
    """They are told why, and the navigation shows it."""
    theirs = web.somebody(tenants="acme")

    assert theirs.get(path).status_code == 403
    assert "belongs to the whole fleet" in theirs.get("/runs").text


def test_schedules_and_pauses_say_who_and_why(web: Web, home: Home) -> None:
    """A paused schedule with its coming times, a paused lane, and both in the audit."""
    schedule = Schedule(
        name="nightly",
        cron="30 2 * * *",
        zone="Europe/Berlin",
        pipeline="guarantee_report",
        scope=Scope(tenant="acme"),
        requester="ana",
    )

    async def act() -> None:
        async with await Ledger.open(home.url) as ledger:
            await ledger.put_schedule(
                Put(
                    schedule=schedule,
                    next_fire=schedule.next(home.now),
                    actor="ana",
                    reason="every night",
                    now=home.now,
                )
            )
            await ledger.pause(
                Pause(
                    what="lane",
                    name="mirror",
                    resume=False,
                    actor="ada",
                    reason="the source is down",
                    now=home.now,
                )
            )

    asyncio.run(act())
    browser = web.somebody(Role.VIEWER)

    assert "2026-01-06 01:30:00Z" in words(browser.get("/schedules").text)
    one = browser.get("/schedules/nightly").text
    assert 'value="pause" disabled' in one
    assert "2026-01-07 01:30:00Z" in words(one)
    assert browser.get("/schedules/other").status_code == 404
    assert "by ada since" in words(browser.get("/lanes").text)
    assert "Lane mirror is paused" in words(browser.get("/").text)
    audit = words(browser.get("/audit").text)
    assert "ada lane.pause pause lane mirror the source is down" in audit
    assert "ana schedule.change" in audit


def test_a_worker_is_drained_from_its_page_and_a_viewer_is_told_why_not(
    web: Web, home: Home
) -> None:
    """The button stands there disabled with the reason; a form sent anyway is refused."""
    home.worker("pod-a-1", "mirror")

    viewer, operator = web.somebody(Role.VIEWER), web.somebody(Role.OPERATOR)
    seen = viewer.get("/workers").text

    assert "Drain: This needs the role operator or admin; you are viewer." in words(seen)
    form = {"csrf": csrf_in(seen), "worker": "pod-a-1", "reason": "patched"}
    assert viewer.post("/workers/drain", form).status_code == 403
    theirs = operator.get("/workers").text
    assert "<option>pod-a-1</option>" in theirs
    assert "Drain: This needs" not in words(theirs)
