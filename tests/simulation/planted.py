"""Bugs planted on purpose: each must be found, or the simulation proves nothing."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, bindparam, func, update

from contracts.states import State
from fleet.ledger import record, tables
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Record, Recorded
from fleet.ledger.types import UtcTime
from tests.simulation.world import World, a_story
from workers.leases import LeaseKeeper

_t = tables.task.c

_unguarded = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"), _t.state == State.RUNNING.value)
    .values(
        state=bindparam("b_state"),
        was=_t.state,
        token=bindparam("b_token"),
        attempt=_t.attempt + bindparam("b_more"),
        queued=func.coalesce(bindparam("b_queued", type_=UtcTime), _t.queued),
        lease_until=None,
        ended=bindparam("b_ended"),
        fault=bindparam("b_fault"),
    )
)


class SettlesFirst(Ledger):
    """Settles the delivery, and then records."""

    keeper: LeaseKeeper

    async def record(self, record_: Record) -> Recorded:
        for lease in self.keeper.held:
            if lease.claimed.task == record_.task:
                await lease.delivery.complete()
        return await super().record(record_)


@contextlib.contextmanager
def _without_the_epoch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "_end", _unguarded)
        yield


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def a_world(
    seed: int, engine: Engine, *, sweeps: bool = True, ledger_of: type[Ledger] | None = None
) -> World:
    return World(seed, a_story(seed), engine, sweeps=sweeps, ledger_of=ledger_of)


Planted = tuple[Callable[[], contextlib.AbstractContextManager[None]], Callable[..., World]]

PLANTED: dict[str, Planted] = {
    "settle before record": (
        _nothing,
        lambda seed, engine: a_world(seed, engine, ledger_of=SettlesFirst),
    ),
    "epoch guard removed": (_without_the_epoch, a_world),
    "sweep removed": (_nothing, lambda seed, engine: a_world(seed, engine, sweeps=False)),
}
