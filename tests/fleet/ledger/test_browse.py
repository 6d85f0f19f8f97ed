"""Lists a page at a time, and what moved since the last look."""

from datetime import timedelta

import pytest
from sqlalchemy import insert

from contracts.states import State
from fleet.ledger import browse, tables
from fleet.ledger.browse import LedgerBrowser, RunFilter
from fleet.ledger.errors import UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.paging import cursor_of
from fleet.ledger.pulse import Pulse
from fleet.ledger.rows import RunRow
from tests.fleet.ledger.story import NOW, a_run

RUNS = 7


async def _submitted(ledger: Ledger, count: int = RUNS) -> set[str]:
    """Runs of the very same moment, and one a second later."""
    made = set()
    for number in range(count):
        later = timedelta(seconds=number // (RUNS - 1))
        made.add((await ledger.start_run(a_run(key=f"k{number}", submitted=NOW + later))).run)
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_hold_every_run_once(url: str, size: int) -> None:
    """Whatever a page's size, and though most runs are of one moment; the newest first."""
    async with await Ledger.open(url) as ledger:
        made = await _submitted(ledger)
    seen: list[tuple[object, str]] = []
    with LedgerBrowser(url) as browser:
        cursor = None
        while True:
            page = browser.runs(RunFilter(), cursor, size)
            assert len(page.rows) <= size
            seen += [(row.submitted, row.run) for row in page.rows]
            if (cursor := page.next) is None:
                break

    assert {run for _, run in seen} == made
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == RUNS


async def test_words_are_looked_for_in_a_stretch(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks through so many runs and no more; its cursor goes on behind them, and none is
    left out."""
    monkeypatch.setattr(browse, "STRETCH", 2)
    async with await Ledger.open(url) as ledger:
        for number in range(6):
            submitted = NOW + timedelta(seconds=number)
            await ledger.start_run(a_run(key=f"k{number}", submitted=submitted))
    found: list[RunRow] = []
    pages, cursor = 0, None
    with LedgerBrowser(url) as browser:
        while pages < 10:
            page = browser.runs(RunFilter(text="k0"), cursor)
            found += page.rows
            pages += 1
            if (cursor := page.next) is None:
                break

    assert [row.submitted for row in found] == [NOW]
    assert pages > 2


@pytest.mark.parametrize(
    "cursor", ["", "x", "e30", "é", cursor_of("a", "b"), cursor_of(1), "A" * 9]
)
async def test_a_cursor_of_elsewhere_is_refused(url: str, cursor: str) -> None:
    """What comes back from a browser may be anything; it is never a fault of the server."""
    async with await Ledger.open(url):
        pass
    with LedgerBrowser(url) as browser, pytest.raises(UnknownRow):
        browser.runs(RunFilter(), cursor)


async def test_the_pulse_tells_each_move_once(url: str) -> None:
    """Nothing at the first look; then the runs that moved, even where a lower number is committed
    after a higher one."""
    async with await Ledger.open(url) as ledger:
        first = (await ledger.start_run(a_run(key="a"))).run
        with Pulse(url) as pulse:
            looks = [pulse.moved().runs]
            second = (await ledger.start_run(a_run(key="b"))).run
            looks += [pulse.moved().runs, pulse.moved().runs]
            with ledger.engine.begin() as connection:
                late = {"at": NOW, "run": first, "actor": "w", "new": "running", "detail": ""}
                top = connection.exec_driver_sql("SELECT max(seq) FROM event").scalar_one()
                connection.execute(insert(tables.event), late | {"seq": top + 2})
                looks.append(pulse.moved().runs)
            looks.append(pulse.moved().runs)
            with ledger.engine.begin() as connection:
                connection.execute(insert(tables.event), late | {"seq": top + 1})
            looks.append(pulse.moved().runs)

    assert looks == [set(), {second}, set(), set(), {first}, {first}]


async def test_what_ended_is_counted_by_lane_and_minute(url: str) -> None:
    """From an index: lane, minute and state of what ended in a stretch of time."""
    async with await Ledger.open(url) as ledger:
        run = (await ledger.start_run(a_run(key="a"))).run
        await ledger.cancel_run(run, "ada", "why", NOW + timedelta(seconds=61))
    with Pulse(url) as pulse:
        (one, *_) = pulse.ended(NOW, NOW + timedelta(minutes=5))
        nothing = pulse.ended(NOW + timedelta(minutes=2), NOW + timedelta(minutes=5))

    assert one.minute == NOW + timedelta(minutes=1)
    assert set(one.states) == {State.CANCELLED}
    assert nothing == []
