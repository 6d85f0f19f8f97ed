"""`fleet runs`, `audit` and `compare`: filters, lists that go on where they ended, two runs."""

import json

from tests.console.conftest import Fleet
from tests.console.ledgers import Home


def test_runs_are_found_by_words_and_time(fleet: Fleet, home: Home) -> None:
    """`--text` finds a parameter's value; `--since` and `--until` bound when it was asked for."""
    home.parameters = {"client": "C-7"}
    wanted = home.run(1)
    home.parameters = {}
    home.pass_time(7200)
    later = home.run(2)

    def found(*options: str) -> list[str]:
        return [
            json.loads(line)["run"] for line in fleet("runs", "--json", *options).out.splitlines()
        ]

    assert found("--text", "C-7") == [wanted]
    assert found("--since", "2026-01-05T13:00") == [later]
    assert found("--until", "2026-01-05T13:00") == [wanted]
    assert fleet("runs", "--since", "yesterday").code == 2


def test_a_list_goes_on_where_it_ended(fleet: Fleet, home: Home) -> None:
    """What ends a page says the cursor; with it the next page comes, and the last says none."""
    made = [home.run(number) for number in range(3)]

    first = fleet("runs", "--json", "--limit", "2")
    cursor = first.err.split("--after ")[1].strip()
    rest = fleet("runs", "--json", "--limit", "2", "--after", cursor)

    pages = [json.loads(line)["run"] for line in (first.out + rest.out).splitlines()]
    assert pages == made[::-1]
    assert rest.err == ""
    assert fleet("runs", "--after", "nowhere").code == 2


def test_what_people_did_is_listed(fleet: Fleet, home: Home) -> None:
    """Who, what and why, the latest first, page by page."""
    home.words = "the database is back"
    home.acts(home.run(1, broken=True))
    home.held(2)

    everything = [json.loads(line) for line in fleet("audit", "--json").out.splitlines()]
    first = fleet("audit", "--json", "--limit", "1")

    submitted, redriven, voted = "run.submit", "dead_letter.redrive", "approval.vote"
    assert [act["action"] for act in everything] == [voted, submitted, redriven, submitted]
    assert {act["reason"] for act in everything[::2]} == {"the database is back"}
    assert {act["on"] for act in everything[1::2]} == {"guarantee_report for acme"}
    assert json.loads(first.out) == everything[0]
    cursor = first.err.split("--after ")[1].strip()
    acted = fleet("audit", "--json", "--no-submissions").out.splitlines()
    assert [json.loads(line) for line in acted] == everything[::2]
    rest = fleet("audit", "--json", "--after", cursor).out.splitlines()
    assert [json.loads(line) for line in rest] == everything[1:]


def test_a_run_is_compared_with_the_one_before(fleet: Fleet, home: Home) -> None:
    """Of the same request; the same bytes are exit 0, others exit 1 and named."""
    first, second = home.run(1), home.run(2)
    home.packet = b"other bytes"
    third = home.run(3)

    same, differs = fleet("compare", second, "--json"), fleet("compare", third, "--json")

    assert (same.code, differs.code, fleet("compare", first).code) == (0, 1, 2)
    assert {json.loads(line)["verdict"] for line in same.out.splitlines()} == {"same"}
    told = [json.loads(line) for line in differs.out.splitlines()]
    assert [one["place"] for one in told if one["verdict"] == "differs"] == ["packet"]
