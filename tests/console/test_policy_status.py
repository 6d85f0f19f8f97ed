"""`fleet policy status`: rules that are not in force do not go unnoticed."""

import asyncio

from fleet.ledger.ledger import Ledger
from tests.console.conftest import Fleet
from tests.console.ledgers import Home

GOOD = {"generation": 3, "bundle": "abc", "refused": []}
BAD = {"generation": 2, "bundle": "def", "refused": ["agent.cedar: must hold rules"]}


def tell(home: Home, **policies: object) -> None:
    """Workers by name, with what their heartbeats say of their rules."""

    async def seen() -> None:
        async with await Ledger.open(f"sqlite:///{home.folder / 'ledger.db'}") as ledger:
            for worker, policy in policies.items():
                await ledger.worker_seen(worker, ["mirror"], home.now, {"policy": policy})

    asyncio.run(seen())


def test_a_worker_that_refused_changed_rules_is_named_with_the_reason(
    fleet: Fleet, home: Home
) -> None:
    """It is told which process, why, and that the fleet is not of one mind; exit code 1."""
    home.run(1)
    tell(home, one=GOOD, two=BAD)

    done = fleet("policy", "status")

    assert done.code == 1
    assert "one: generation 3 abc" in done.out
    assert "two: generation 2 def\n  changed rules are refused: agent.cedar" in done.out
    assert "not every process" in done.out


def test_a_dispatcher_that_is_away_is_told_as_such(fleet: Fleet, home: Home) -> None:
    """The workers are told all the same."""
    home.run(1)
    tell(home, one=GOOD)

    done = fleet("policy", "status", "--json")

    assert done.code == 1
    assert '"process":"dispatcher","generation":null' in done.out
    assert '"process":"one","generation":3' in done.out
