"""Bugs planted on purpose: each must be found, or the simulation proves nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Engine, text

from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Claim, Claimed, NotClaimed, Record, Recorded
from tests.simulation.invariants import Broken
from tests.simulation.ledger import an_engine, emptied
from tests.simulation.loop import Stuck, virtually
from tests.simulation.world import World, a_story
from workers.leases import LeaseKeeper

WITHIN = 200
"""Seeds in which a planted bug must be found."""


class SettlesFirst(Ledger):
    """Settles the delivery, and then records."""

    keeper: LeaseKeeper

    async def record(self, record_: Record) -> Recorded:
        for lease in self.keeper.held:
            if lease.claimed.task == record_.task:
                await lease.delivery.complete()
        return await super().record(record_)


class ForgetsTheEpoch(Ledger):
    """Records under whatever epoch the task has now: a guard that guards nothing."""

    keeper: LeaseKeeper

    async def record(self, record_: Record) -> Recorded:
        query = text("SELECT epoch FROM task WHERE task = :task")
        with self.engine.connect() as connection:
            epoch = connection.execute(query, {"task": record_.task}).scalar_one()
        return await super().record(replace(record_, epoch=epoch))


class AsksForNoSlot(Ledger):
    """Claims as if nothing were limited."""

    keeper: LeaseKeeper

    async def claim(self, claim_: Claim) -> Claimed | NotClaimed:
        return await super().claim(replace(claim_, slots=()))


def a_world(
    seed: int,
    engine: Engine,
    *,
    sweeps: bool = True,
    wakes: bool = True,
    ledger_of: type[Ledger] | None = None,
) -> World:
    story = a_story(seed)
    return World(seed, story, engine, sweeps=sweeps, wakes=wakes, ledger_of=ledger_of)


PLANTED: dict[str, Callable[[int, Engine], World]] = {
    "settle before record": lambda seed, engine: a_world(seed, engine, ledger_of=SettlesFirst),
    "epoch guard removed": lambda seed, engine: a_world(seed, engine, ledger_of=ForgetsTheEpoch),
    "sweep removed": lambda seed, engine: a_world(seed, engine, sweeps=False),
    "limits forgotten": lambda seed, engine: a_world(seed, engine, ledger_of=AsksForNoSlot),
    "waker removed": lambda seed, engine: a_world(seed, engine, wakes=False),
}


@dataclass(frozen=True, slots=True)
class Found:
    """By which seed a planted bug was found first, and by what."""

    seed: int
    broken: str


def found(bug: str) -> Found | None:
    """The first of WITHIN seeds that finds a bug."""
    logging.disable(logging.ERROR)
    engine = an_engine()
    try:
        for seed in range(WITHIN):
            try:
                virtually(PLANTED[bug](seed, emptied(engine)).told())
            except (Broken, Stuck) as broken:
                return Found(seed, str(broken))
    finally:
        engine.dispose()
        logging.disable(logging.NOTSET)
    return None
