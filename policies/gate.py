"""The gate: facts in, a decision with its reasons out.

Nothing but a permit allows; any forbid denies; any error denies, because an engine that cannot
evaluate a forbid skips it. A decision is a pure function of the facts and the bundle, so it is
kept, for as many different facts as `cache` says, and given again. Who records the decision and
acts on it is not decided here.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import cedarpy
from pydantic import JsonValue, ValidationError

from contracts.approval import others
from contracts.decision import Cause, Decision, Gate, Reason, Verdict
from contracts.fact import JsonObject
from policies.bundle import Bundle
from policies.facts import FACTS, AdmitFacts, AnyFacts, ExecuteFacts, PublishFacts

_NOT_EVALUATED = Reason(rule="error", text="The rules could not be evaluated on these facts.")
_NOTHING_PERMITS = Reason(
    rule="default", text="No permit covers this, and nothing is allowed without one."
)


_VERDICTS = {Cause.PERMIT: Verdict.ALLOW, Cause.APPROVAL: Verdict.HOLD}


class PolicyGate:
    """Decides by one bundle. May be shared between threads."""

    def __init__(self, bundle: Bundle, *, generation: int | None = None, cache: int = 4096) -> None:
        self.bundle = bundle
        self.generation = bundle.limits.version if generation is None else generation
        self._entities = cedarpy.Entities.from_json_str("[]", bundle.schema)
        self._decided = lru_cache(maxsize=cache)(self._decide)

    @property
    def now(self) -> "PolicyGate":
        """This gate: its rules do not change. See LiveGate for those that do."""
        return self

    @property
    def refused(self) -> tuple[str, ...]:
        """None: there are no other rules that could be refused."""
        return ()

    def refresh(self) -> bool:
        """Whether other rules are in force now: never."""
        return False

    def decide(self, facts: AnyFacts) -> Decision:
        """The decision on these facts. Never raises: what cannot be decided is denied.

        The decision may be shared with other callers: do not change its facts.
        """
        return self.decide_values(facts.GATE, facts.model_dump(warnings="none"))

    def decide_values(self, gate: Gate, values: Mapping[str, Any]) -> Decision:
        """The same for facts that nobody has checked yet: missing, unknown and misspelt ones are
        denied, with the reason, and not raised."""
        return self._decided(gate, _JSON.encode(dict(values)))

    def _decide(self, gate: Gate, text: str) -> Decision:
        # Read back from the text: what is decided on is what is recorded, and a model that was
        # changed or built around its checks is caught.
        try:
            facts = FACTS[gate].model_validate_json(text)
        except ValidationError as faults:
            return self._malformed(gate, text, faults)
        requests = self._requests(facts)
        answers = [self._ask(request, self.bundle.rules) for request in requests]
        refused = [
            (request, answer)
            for request, answer in zip(requests, answers, strict=True)
            if answer.decision is not cedarpy.Decision.Allow
        ]
        forbidden = self._reasons(answer for _, answer in refused)
        near: tuple[Reason, ...] = ()
        if any(answer.diagnostics.errors for answer in answers):
            # The engine's own words can hold values: they are not passed on.
            cause, reasons = Cause.ERROR, (_NOT_EVALUATED, *forbidden)
        elif forbidden and self._only_held(requests, forbidden):
            cause, reasons = Cause.APPROVAL, forbidden
        elif forbidden:
            cause, reasons = Cause.FORBID, forbidden
        elif refused or not answers:
            cause, reasons = Cause.NO_PERMIT, (_NOTHING_PERMITS,)
            near = self._near_misses(request for request, _ in refused)
        else:
            cause, reasons = Cause.PERMIT, self._reasons(answers)
        return self._decision(gate, facts.model_dump(mode="json"), cause, reasons, near)

    def _only_held(self, requests: Iterable[dict[str, Any]], forbidden: Sequence[Reason]) -> bool:
        """Whether all would be allowed but for rules that only hold."""
        return {reason.rule for reason in forbidden} <= self.bundle.holding and all(
            self._ask(request, self.bundle.firm).decision is cedarpy.Decision.Allow
            for request in requests
        )

    def _malformed(self, gate: Gate, text: str, raised: ValidationError) -> Decision:
        """Denied, with the names of the faulty facts; only facts that passed are recorded."""
        faults = raised.errors(include_url=False, include_input=False, include_context=False)
        faulty = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
        fields = FACTS[gate].model_fields
        reasons = tuple(
            Reason(rule="facts", text=said)
            for said in sorted(
                {_plain_fault(fault["loc"], fault["msg"], fields) for fault in faults}
            )
        )
        whole = json.loads(text)
        sound = {name: whole[name] for name in fields if name in whole and name not in faulty}
        return self._decision(gate, sound if faulty else {}, Cause.ERROR, reasons)

    def _decision(
        self,
        gate: Gate,
        facts: JsonObject,
        cause: Cause,
        reasons: tuple[Reason, ...],
        near: tuple[Reason, ...] = (),
    ) -> Decision:
        whole = json.dumps([gate, facts], sort_keys=True, separators=(",", ":"))
        return Decision(
            gate=gate,
            verdict=_VERDICTS.get(cause, Verdict.DENY),
            cause=cause,
            reasons=reasons,
            near_misses=near,
            facts=facts,
            facts_digest=hashlib.sha256(whole.encode()).hexdigest(),
            bundle=self.bundle.digest,
            generation=self.generation,
        )

    def _requests(self, facts: AnyFacts) -> list[dict[str, Any]]:
        match facts:
            case AdmitFacts():
                return [self._admit(facts, lane, kinds) for lane, kinds in self._by_lane(facts)]
            case ExecuteFacts():
                context: JsonObject = {
                    "kind": facts.kind,
                    "stage": facts.stage,
                    "audience": _word("Audience", facts.audience),
                    "requester": facts.requester,
                    "flags": _words("Flag", facts.flags),
                    "mutates": facts.mutates,
                    "lane_mutates": self._lane_mutates(facts.lane),
                    "input_taints": _words("Taint", facts.input_taints),
                    "input_tenants": _words("Tenant", facts.input_tenants),
                    "input_audiences": _words("Audience", facts.input_audiences),
                    "systems": _words("System", facts.systems),
                    "high_risk": facts.high_risk or self._lane_high_risk(facts.lane),
                    "approvals_of_others": len(others(facts.approvers, facts.requester)),
                    "working_hours": facts.working_hours,
                }
                return [_request(facts, facts.lane, context)]
            case PublishFacts():
                context = {
                    "kind": facts.kind,
                    "tier": _word("Tier", facts.tier),
                    "artifact_tenant": _word("Tenant", facts.artifact_tenant),
                    "audience": _word("Audience", facts.audience),
                    "taints": _words("Taint", facts.taints),
                    "media_type": facts.media_type,
                    "scanned": facts.scanned,
                    "findings": facts.findings,
                    "finding_kinds": _words("FindingKind", facts.finding_kinds),
                }
                return [_request(facts, facts.lane, context)]

    def _by_lane(self, facts: AdmitFacts) -> list[tuple[str, list[str]]]:
        """The run's kinds by the lane that serves them; "" for those that no lane serves."""
        by_lane: dict[str, list[str]] = {}
        for kind in facts.kinds:
            lane = self.bundle.lanes.serving(kind)
            by_lane.setdefault(lane.name if lane else "", []).append(kind)
        return sorted(by_lane.items())

    def _admit(self, facts: AdmitFacts, lane: str, kinds: list[str]) -> dict[str, Any]:
        context: JsonObject = {
            "pipeline": facts.pipeline,
            "audience": _word("Audience", facts.audience),
            "requester": facts.requester,
            "flags": _words("Flag", facts.flags),
            "priority": facts.priority,
            "kinds": [*kinds],
            "mutates": not set(kinds).isdisjoint(facts.mutating_kinds),
            "lane_mutates": self._lane_mutates(lane),
            "over": _words("Quota", facts.over),
            "approvals_of_others": len(others(facts.approvers, facts.requester)),
        }
        return _request(facts, lane, context)

    def _lane_mutates(self, name: str) -> bool:
        return any(lane.mutates for lane in self.bundle.lanes if lane.name == name)

    def _lane_high_risk(self, name: str) -> bool:
        return any(lane.high_risk for lane in self.bundle.lanes if lane.name == name)

    def _ask(self, request: dict[str, Any], rules: cedarpy.PolicySet) -> cedarpy.AuthzResult:
        return cedarpy.is_authorized(request, rules, self._entities, schema=self.bundle.schema)

    def _reasons(self, answers: Iterable[cedarpy.AuthzResult]) -> tuple[Reason, ...]:
        ids = {
            name
            for answer in answers
            for name in answer.diagnostics.id_annotations_by_reason.values()
        }
        return tuple(Reason(rule=name, text=self.bundle.reasons[name]) for name in sorted(ids))

    def _near_misses(self, requests: Iterable[dict[str, Any]]) -> tuple[Reason, ...]:
        """The permits of this gate that lack one condition each, sorted by id."""
        near: set[tuple[str, str]] = set()
        for request in requests:
            answer = self._ask(request, self.bundle.probes)
            met = set(answer.diagnostics.id_annotations_by_reason.values())
            for permit in self.bundle.permits:
                if permit.gate == request["action"]["id"]:
                    unmet = [
                        condition.text
                        for number, condition in enumerate(permit.conditions)
                        if f"{permit.id}#{number}" not in met
                    ]
                    if len(unmet) == 1:
                        near.add((permit.id, f"It would allow this if: {unmet[0]}."))
        return tuple(Reason(rule=name, text=text) for name, text in sorted(near))


def _nothing(_: object) -> None:
    """What is no JSON value is no fact: null, which every gate refuses."""


_JSON = json.JSONEncoder(default=_nothing)


def _request(facts: AnyFacts, lane: str, context: JsonObject) -> dict[str, Any]:
    return {
        "principal": _word("Lane", lane),
        "action": {"type": "Action", "id": facts.GATE.value},
        "resource": _word("Tenant", facts.tenant),
        "context": context,
    }


def _word(entity: str, word: str) -> JsonObject:
    return {"type": entity, "id": str(word)}


def _words(entity: str, words: Iterable[str]) -> list[JsonValue]:
    return [_word(entity, word) for word in words]


def _plain_fault(place: tuple[int | str, ...], said: str, fields: Collection[str]) -> str:
    if not place:
        return f"the facts together: {said}"
    # An unknown name may be anything, a secret too: it is not repeated.
    name = str(place[0]) if place[0] in fields else "an unknown fact"
    return f"{name}: {said}"
