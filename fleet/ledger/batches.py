"""Carrying out a batch of operations: in one transaction, or each alone where that fails.

An operation is a function over a connection and a batch of arguments. It answers each argument with
a result, or with a LedgerError for one that is refused; it must have written nothing for those.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from fleet.ledger.errors import LedgerBusy, LedgerError
from fleet.ledger.transient import is_transient

A = TypeVar("A")
R = TypeVar("R")
Operation = Callable[[Connection, Sequence[A]], Sequence[R | LedgerError]]
Batch = Sequence[tuple[Operation[Any, Any], Any]]
"""Operations, each with one argument."""

PATIENCE = 30.0
"""Seconds for which a locked or lost database is waited for."""


def carried_out(engine: Engine, batch: Batch) -> list[Any]:
    """The answer to each of `batch`, committed: a result or an exception."""
    try:
        return _transaction(engine, batch)
    except Exception as failure:
        if len(batch) == 1 or isinstance(failure, LedgerBusy):
            return [failure] * len(batch)
    return [_alone(engine, each) for each in batch]


def _alone(engine: Engine, each: tuple[Operation[Any, Any], Any]) -> Any:
    try:
        return _transaction(engine, [each])[0]
    except Exception as failure:
        return failure


def _transaction(engine: Engine, batch: Batch) -> list[Any]:
    """Apply and commit, waiting for a locked or lost database. Raises LedgerBusy."""
    patience = time.monotonic() + PATIENCE
    pause = 0.005
    while True:
        try:
            with engine.begin() as connection:
                return _applied(connection, batch)
        except DBAPIError as failure:
            if not is_transient(failure):
                raise
            if time.monotonic() > patience:
                raise LedgerBusy(
                    f"the ledger's database could not be written for {PATIENCE:.0f} s"
                ) from failure
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def _applied(connection: Connection, batch: Batch) -> list[Any]:
    places: dict[Operation[Any, Any], list[int]] = {}
    for place, (operation, _) in enumerate(batch):
        places.setdefault(operation, []).append(place)
    answers: list[Any] = [None] * len(batch)
    for operation, at in places.items():
        results = operation(connection, [batch[place][1] for place in at])
        for place, result in zip(at, results, strict=True):
            answers[place] = result
    return answers
