"""Who may do what: roles, actions, and the one table between them.

The console, the HTTP API and the tests read this table. An identity may be kept to some tenants;
then it sees what was published to those tenants' people and acts on their runs, and what belongs to
the whole fleet is closed to it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.artifact import Tenant
from contracts.fact import Fact
from contracts.request import Requester


class Role(StrEnum):
    """What somebody is here for. Nobody is above a table entry: an admin is named in each."""

    VIEWER = "viewer"  # looks
    OPERATOR = "operator"  # looks, and keeps work moving
    APPROVER = "approver"  # looks, and gives a word on held work
    ADMIN = "admin"  # all of it, and the limits that others work in


class Action(StrEnum):
    """Everything that somebody can ask of the fleet, named `subject.verb`."""

    RUN_SEE = "run.see"
    RUN_SUBMIT = "run.submit"
    RUN_CANCEL = "run.cancel"
    RUN_VERIFY = "run.verify"
    TASK_RETRY = "task.retry"
    ARTIFACT_SEE = "artifact.see"
    ARTIFACT_VERIFY = "artifact.verify"
    FLEET_SEE = "fleet.see"
    DEAD_LETTER_REDRIVE = "dead_letter.redrive"
    DEAD_LETTER_EDIT = "dead_letter.edit"
    APPROVAL_VOTE = "approval.vote"
    LANE_PAUSE = "lane.pause"
    SCHEDULE_CHANGE = "schedule.change"
    WORKER_DRAIN = "worker.drain"
    QUOTA_CHANGE = "quota.change"
    POLICY_TRY = "policy.try"


_ALL = frozenset(Role)
_OPERATING = frozenset({Role.OPERATOR, Role.ADMIN})
_APPROVING = frozenset({Role.APPROVER, Role.ADMIN})
_RULING = frozenset({Role.ADMIN})

MAY: dict[Action, frozenset[Role]] = {
    Action.RUN_SEE: _ALL,
    Action.RUN_SUBMIT: _OPERATING,
    Action.RUN_CANCEL: _OPERATING,
    Action.RUN_VERIFY: _OPERATING,
    Action.TASK_RETRY: _OPERATING,
    Action.ARTIFACT_SEE: _ALL,
    Action.ARTIFACT_VERIFY: _ALL,
    Action.FLEET_SEE: _ALL,
    Action.DEAD_LETTER_REDRIVE: _OPERATING,
    Action.DEAD_LETTER_EDIT: _OPERATING,
    # An operator does not approve: who moves work on is not who vouches for it.
    Action.APPROVAL_VOTE: _APPROVING,
    Action.LANE_PAUSE: _OPERATING,
    Action.SCHEDULE_CHANGE: _OPERATING,
    Action.WORKER_DRAIN: _OPERATING,
    Action.QUOTA_CHANGE: _RULING,
    Action.POLICY_TRY: _ALL,
}

OF_A_TENANT = frozenset(
    {
        Action.RUN_SEE,
        Action.RUN_SUBMIT,
        Action.RUN_CANCEL,
        Action.RUN_VERIFY,
        Action.TASK_RETRY,
        Action.ARTIFACT_SEE,
        Action.ARTIFACT_VERIFY,
    }
)
"""Actions on what belongs to one tenant. All others are on the fleet as a whole."""


class Identity(Fact):
    """Somebody, as whoever checked their credentials says."""

    name: Requester
    """As it is recorded with everything they do."""
    roles: Annotated[
        tuple[Role, ...], Field(min_length=1), AfterValidator(lambda r: tuple(sorted(set(r))))
    ]
    tenants: tuple[Tenant, ...] | None = None
    """The tenants that they are kept to; None for people of the fleet itself."""
    source: str
    """Who vouches for them: `local`, or the issuer of a token."""

    @property
    def of_the_fleet(self) -> bool:
        """Whether they are kept to no tenant."""
        return self.tenants is None

    def reaches(self, tenant: str) -> bool:
        """Whether what is this tenant's is theirs to see."""
        return self.tenants is None or tenant in self.tenants


def refusal(identity: Identity, action: Action, tenant: str | None = None) -> str | None:
    """Why not, in a sentence for a person; None where they may.

    `tenant`: whose run or artifact it is about, where it is about one.
    """
    needed = MAY[action]
    if needed.isdisjoint(identity.roles):
        return f"This needs the role {_either(needed)}; you are {_both(identity.roles)}."
    if identity.of_the_fleet:
        return None
    if action not in OF_A_TENANT:
        return "This belongs to the whole fleet; you are kept to " + _both(identity.tenants or ())
    if tenant is not None and not identity.reaches(tenant):
        return "This belongs to a tenant that you are not kept to."
    return None


def _either(roles: frozenset[Role]) -> str:
    return " or ".join(role for role in Role if role in roles)


def _both(words: tuple[str, ...]) -> str:
    return " and ".join(words) or "nobody"
