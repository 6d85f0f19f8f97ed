"""People's words on what is held: what is asked of them, and what a vote comes to."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime
from sqlalchemy import Connection, insert, select

from contracts.approval import NEEDED, others, person
from contracts.decision import Gate
from contracts.fact import Fact
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import VoteRefused

_v = tables.vote.c

OPEN, APPROVED, REFUSED, EXPIRED = "open", "approved", "refused", "expired"
"""The states of what is asked."""


class ApprovalRow(Fact):
    """A held task, or a run held before it has tasks, that waits for people."""

    gate: Gate
    """`execute` for a task, `admit` for a run."""
    task: str
    """What is voted on: the task; for a run held at `admit`, the run."""
    run: str
    stage: str
    partition: str
    kind: str
    lane: str
    """These four are empty for a run."""
    tenant: str
    pipeline: str
    requester: str
    digest: str
    """Of what is approved."""
    reasons: str
    asked: AwareDatetime
    expires: AwareDatetime
    approved_by: tuple[str, ...]
    needed: int = NEEDED


class Voted(Fact):
    """What a vote came to."""

    task: str
    run: str
    state: State
    """Of the task or run now: `held` while more approvals are needed, and for a run until there is
    a moment to start it."""
    approved_by: tuple[str, ...]
    needed: int = NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's word on what `digest` names. `comment` says why."""

    task: str
    digest: str
    person: str
    approves: bool
    comment: str
    now: datetime


def cast(
    connection: Connection, asked: Vote, *, digest: str, requester: str, epoch: int
) -> str | VoteRefused:
    """Write the vote down; who cast it, as people are compared. Refused where it does not count."""
    if digest != asked.digest:
        return VoteRefused(asked.task, "it is not what it was: look at it again")
    who = person(asked.person)
    if not others([who], requester):
        return VoteRefused(asked.task, "who asked for it cannot approve or refuse it")
    if who in voters(connection, asked.task, epoch):
        return VoteRefused(asked.task, f"{who} has said so already")
    connection.execute(
        insert(tables.vote),
        {
            "task": asked.task,
            "epoch": epoch,
            "person": who,
            "approves": asked.approves,
            "comment": asked.comment,
            "at": asked.now,
        },
    )
    return who


def voters(connection: Connection, task: str, epoch: int) -> set[str]:
    """Everyone who said anything."""
    query = select(_v.person).where(_v.task == task, _v.epoch == epoch)
    return set(connection.execute(query).scalars())


def approved_by(connection: Connection, task: str, epoch: int) -> tuple[str, ...]:
    """Who approved it, sorted."""
    query = (
        select(_v.person).where(_v.task == task, _v.epoch == epoch, _v.approves).order_by(_v.person)
    )
    return tuple(connection.execute(query).scalars())
