"""What goes wrong on purpose: rules that say when, and a seeded draw that says whether.

A test asks for faults (`add`), the server asks at every moment whether one strikes (`strike`). The
same seed and the same moments in the same order give the same faults. Nothing is done here: the
connection carries out what was decided. Time is an argument, milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from random import Random
from typing import Any


class Moment(StrEnum):
    """When a fault can strike."""

    CONNECT = "connect"
    """A client opens a connection; no entity is known yet."""
    ATTACH = "attach"
    """A sender, receiver or management link is opened."""
    SEND = "send"
    """A client's message, or batch, arrived."""
    DELIVER = "deliver"
    """A message has been handed to a receiver."""
    SETTLE = "settle"
    """A receiver's decision about a message arrived."""
    REQUEST = "request"
    """A management request arrived: renew, peek, schedule and the rest."""


class Fault(StrEnum):
    """What goes wrong."""

    DROP_CONNECTION = "drop-connection"
    """The connection is cut before anything was done."""
    DROP_CONNECTION_AFTER = "drop-connection-after"
    """It is done and on disk, and the connection is cut before the client is told."""
    DETACH_LINK = "detach-link"
    """The link is closed with `amqp:link:detach-forced` before anything was done."""
    LOSE_LOCK = "lose-lock"
    """The lock ends just before the settlement, which is refused with lock lost."""
    DELAY_REPLY = "delay-reply"
    """It is done, and the client is told `delay_s` of the bus's clock later."""
    DROP_REPLY = "drop-reply"
    """It is done, and the client is never told."""
    DELIVER_TWICE = "deliver-twice"
    """A copy with the same sequence number joins the queue's end, as after a lost settlement."""
    REFUSE = "refuse"
    """Connections are cut at once; links are refused with `amqp:internal-error`."""
    THROTTLE = "throttle"
    """Refused with the service's `com.microsoft:server-busy`."""


_ENDINGS = {Fault.DROP_CONNECTION, Fault.DROP_CONNECTION_AFTER, Fault.DETACH_LINK}
_REPLIES = {Fault.DELAY_REPLY, Fault.DROP_REPLY}
POSSIBLE: dict[Moment, frozenset[Fault]] = {
    Moment.CONNECT: frozenset({Fault.REFUSE}),
    Moment.ATTACH: frozenset({Fault.REFUSE, Fault.THROTTLE, Fault.DROP_CONNECTION}),
    Moment.SEND: frozenset({*_ENDINGS, *_REPLIES, Fault.THROTTLE}),
    Moment.DELIVER: frozenset({Fault.DROP_CONNECTION_AFTER, Fault.DELIVER_TWICE}),
    Moment.SETTLE: frozenset({*_ENDINGS, *_REPLIES, Fault.THROTTLE, Fault.LOSE_LOCK}),
    Moment.REQUEST: frozenset({*_ENDINGS, *_REPLIES, Fault.THROTTLE}),
}
"""Which faults make sense at which moment."""

MAX_RULES = 1_000


class InvalidRule(ValueError):
    """A rule that could never be carried out. Nothing was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Let `fault` strike at `moment`.

    `entity`: only at this path, such as `orders` or `orders/$deadletterqueue`; None is anywhere.
    `skip`: let that many moments pass first. `times`: strike that often, None for ever.
    `chance`: of each moment, drawn from the seed. `lasting_s`: the rule ends that long after it was
    added. `delay_s`: for delay-reply.
    """

    moment: Moment
    fault: Fault
    entity: str | None = None
    skip: int = 0
    times: int | None = 1
    chance: float = 1.0
    lasting_s: float | None = None
    delay_s: float = 1.0

    def __post_init__(self) -> None:
        if self.fault not in POSSIBLE[self.moment]:
            possible = ", ".join(sorted(POSSIBLE[self.moment]))
            raise InvalidRule(f"{self.fault} cannot strike at {self.moment}; possible: {possible}")
        if self.moment is Moment.CONNECT and self.entity is not None:
            raise InvalidRule("a connection has no entity yet")
        if self.skip < 0 or (self.times is not None and self.times < 1):
            raise InvalidRule("skip is 0 or more, times 1 or more")
        if not 0.0 <= self.chance <= 1.0:
            raise InvalidRule("chance is between 0 and 1")
        if self.delay_s < 0 or (self.lasting_s is not None and self.lasting_s < 0):
            raise InvalidRule("a span of time is not negative")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Rule:
        """Read a rule as JSON gives it. Raises InvalidRule."""
        known = {field.name for field in fields(cls)}
        if unknown := set(values) - known:
            raise InvalidRule(f"a rule has no {', '.join(sorted(unknown))}")
        try:
            made = {**values, "moment": Moment(values["moment"]), "fault": Fault(values["fault"])}
        except KeyError as missing:
            raise InvalidRule(f"a rule needs {missing}") from None
        except ValueError as error:
            raise InvalidRule(str(error)) from None
        for name, kinds in _KINDS.items():
            value = values.get(name)
            if name in values and (isinstance(value, bool) or not isinstance(value, kinds)):
                raise InvalidRule(f"{name} is not of its type")
        return cls(**made)


_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    "entity": (str, _NONE),
    "skip": (int,),
    "times": (int, _NONE),
    "chance": (int, float),
    "lasting_s": (int, float, _NONE),
    "delay_s": (int, float),
}


@dataclass(slots=True)
class Armed:
    """A rule at work: how often its moment came, and how often it struck."""

    id: int
    rule: Rule
    until_ms: int | None
    seen: int = 0
    struck: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, **asdict(self.rule), "seen": self.seen, "struck": self.struck}


class Faults:
    """The rules in force, in the order they were added; the first that strikes wins."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._random = Random(seed)  # noqa: S311 - chance to be repeated, not a secret
        self._armed: dict[int, Armed] = {}
        self._last_id = 0

    def add(self, rule: Rule, now_ms: int) -> int:
        """Put a rule in force; returns its id. Raises InvalidRule when there are too many."""
        if len(self._armed) >= MAX_RULES:
            raise InvalidRule(f"{MAX_RULES} rules are in force already")
        self._last_id += 1
        until_ms = None if rule.lasting_s is None else now_ms + round(rule.lasting_s * 1000)
        self._armed[self._last_id] = Armed(self._last_id, rule, until_ms)
        return self._last_id

    def remove(self, rule_id: int) -> bool:
        """Lift a rule; whether there was one."""
        return self._armed.pop(rule_id, None) is not None

    def reset(self, seed: int) -> None:
        """Lift every rule and begin the draw anew."""
        self.seed = seed
        self._random.seed(seed)
        self._armed.clear()

    def rules(self) -> Iterable[Armed]:
        """What was added, the spent included, so that a test can see what struck."""
        return list(self._armed.values())

    def struck(self, rule_id: int) -> int:
        """How often a rule struck; 0 for one that is not there."""
        armed = self._armed.get(rule_id)
        return 0 if armed is None else armed.struck

    def strike(self, moment: Moment, entity: str | None, now_ms: int) -> Rule | None:
        """The rule that strikes now, if one does."""
        for armed in self._armed.values():
            rule = armed.rule
            if rule.moment is not moment or not _same(rule.entity, entity):
                continue
            if armed.until_ms is not None and armed.until_ms <= now_ms:
                continue
            if rule.times is not None and armed.struck >= rule.times:
                continue
            armed.seen += 1
            if armed.seen <= rule.skip:
                continue
            if rule.chance < 1.0 and self._random.random() >= rule.chance:
                continue
            armed.struck += 1
            return rule
        return None


def _same(wanted: str | None, entity: str | None) -> bool:
    return wanted is None or (entity is not None and wanted.strip("/").lower() == entity)


def entity_of(path: str) -> str:
    """A link's address as rules name it: without authority, without $management, lower case."""
    _, separator, rest = path.partition("://")
    bare = rest.partition("/")[2] if separator else path
    return bare.strip("/").lower().removesuffix("/$management")
