"""Runs, one run, one task: what the pages tell."""

import html
import re
from contextlib import ExitStack

from contracts.states import State
from fleet.ledger.browse import RunFilter
from tests.console.ledgers import Home
from tests.console.web.conftest import Web, a_web


def run_in(web: Web, state: State) -> str:
    return web.site.browser.runs(RunFilter(state=state)).rows[0].run


def words(text: str) -> str:
    """What a person reads of a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def test_the_overview_says_what_needs_people(web: Web) -> None:
    """Dead letters and failed runs of the day, each with where to go."""
    text = web.somebody().get("/").text

    assert '<a href="/dead-letters">1 dead letter</a>' in text
    assert '<a href="/runs?state=failed">2 runs of the last day failed</a>' in text


def test_runs_are_filtered(web: Web) -> None:
    """By state, pipeline, tenant, time and text; each leaves out what is not meant."""
    browser = web.somebody()
    failed = run_in(web, State.FAILED)

    def shown(query: str) -> set[str]:
        return set(re.findall(r'href="/runs/([0-9a-f-]{36})"', browser.get(f"/runs?{query}").text))

    assert shown("state=failed") == {failed}
    assert len(shown("pipeline=guarantee_report&tenant=acme")) == 3
    assert shown("pipeline=other") == set()
    assert shown("until=2026-01-01T00:00") == set()
    assert len(shown("since=2026-01-01T00:00")) == 3
    assert shown(f"text={failed[-8:]}") == {failed}
    assert shown("text=%25") == set()  # no wildcard
    assert browser.get("/runs?state=nonsense").status_code == 400
    assert browser.get("/runs?since=nonsense").status_code == 400
    assert browser.get("/runs?after=nonsense").status_code == 404


def test_a_run_tells_its_story(web: Web) -> None:
    """State, stages as a graph, attempts on a waterfall, artifacts, the decision, what failed."""
    text = web.somebody().get(f"/runs/{run_in(web, State.FAILED)}").text

    seen = words(text)
    assert "rules.broken" in seen
    assert text.count('class="box ') == 3
    assert text.count('<path class="edge"') == 2
    assert text.count('<rect class="s-') == 3  # mirror, typed twice; packet never began
    assert (
        text.count(' pale" x=') == text.count('<rect class="part ') == 2
    )  # the third has no trace
    assert "run mirror, 500.0 ms" in text
    assert "permit.lane this is why" in seen
    assert "mirror.json" in seen


def test_a_task_tells_everything(web: Web) -> None:
    """Attempts, history, decision, spans, log lines, outputs, envelope."""
    run = run_in(web, State.SUCCEEDED)
    task = web.site.browser.tasks(run, stage="mirror").rows[0].task
    seen = words(web.somebody().get(f"/tasks/{task}").text)

    for told in ("worker-a", "queued", "running", "process lane-mirror", "permit.lane", "read it"):
        assert told in seen
    assert "leaf.task.mirror.sql.v1" in seen
    assert "mirror.json" in seen


def test_a_run_is_compared_with_the_one_before(web: Web, home: Home) -> None:
    """The same request again: which artifacts are the same bytes, and what each stage took."""
    run = home.run(4)
    browser = web.somebody()
    assert f'href="/runs/{run}/compare"' in browser.get(f"/runs/{run}").text

    found = browser.get(f"/runs/{run}/compare")

    assert found.status_code == 303
    assert found.headers["location"].startswith(f"/runs/{run}/compare/")
    seen = words(browser.get(found.headers["location"]).text)
    assert "of 4 are the same, byte for byte" in seen


def test_a_run_without_one_before_says_so(web: Web, home: Home) -> None:
    """The first of its request leads back to itself, with the reason."""
    home.parameters = {"client": "nobody before"}
    run = home.run(4)
    browser = web.somebody()

    found = browser.get(f"/runs/{run}/compare")

    assert found.headers["location"] == f"/runs/{run}"
    assert "no earlier run of the same request" in browser.get(f"/runs/{run}").text


HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    '"><img src=x onerror=alert(1)>',
    "{{ 'tem' ~ 'plate' }}",
    "x" * 50_000,
)


def test_hostile_values_are_inert(home: Home) -> None:
    """As a fault's words, wherever they are shown: no markup, no control, no template, not long."""
    home.words = " ".join(HOSTILE)
    run = home.run(1, broken=True)
    with ExitStack() as opened:
        web = a_web(home, opened)
        browser = web.somebody()
        task = web.site.browser.tasks(run, state=State.FAILED).rows[0].task
        told = web.site.browser.tasks(run, stage="mirror").rows[0].task
        for path in (f"/runs/{run}", f"/tasks/{task}", f"/runs/{run}/tasks", f"/tasks/{told}"):
            text = browser.get(path).text

            assert "alert(1)" in text
            assert not re.search(r"<script(?! src=\"/static/)|<img", text)
            assert not any(c in text for c in "\x1b\x07\u202e")
            assert "template" not in text
            assert len(text) < 100_000
