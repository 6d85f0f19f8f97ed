"""Bugs planted on purpose: each must be found, or the simulation proves nothing."""

from collections.abc import Callable

from sqlalchemy import Engine, text

from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Record, Recorded
from tests.simulation.world import World, a_story
from workers.leases import LeaseKeeper


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
        return await super().record(record_.model_copy(update={"epoch": epoch}))


def a_world(
    seed: int, engine: Engine, *, sweeps: bool = True, ledger_of: type[Ledger] | None = None
) -> World:
    return World(seed, a_story(seed), engine, sweeps=sweeps, ledger_of=ledger_of)


PLANTED: dict[str, Callable[[int, Engine], World]] = {
    "settle before record": lambda seed, engine: a_world(seed, engine, ledger_of=SettlesFirst),
    "epoch guard removed": lambda seed, engine: a_world(seed, engine, ledger_of=ForgetsTheEpoch),
    "sweep removed": lambda seed, engine: a_world(seed, engine, sweeps=False),
}
