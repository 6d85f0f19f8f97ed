"""Policies: the rules in force in plain words, the allowances, and a decision tried by hand."""

import json
from collections import defaultdict

from fastapi import FastAPI, Response
from pydantic import JsonValue

from console.web.faults import Unusable
from console.web.render import page
from console.web.visit import Acting, FleetVisited, Visit
from contracts.access import Action
from contracts.decision import Decision, Gate
from policies.bundle import Rule

_EXAMPLES: dict[Gate, dict[str, JsonValue]] = {
    Gate.PUBLISH: {
        "lane": "present",
        "kind": "present.workbook",
        "tier": "presented",
        "tenant": "acme",
        "artifact_tenant": "acme",
        "audience": "tenant",
        "taints": [],
        "media_type": "application/json",
        "scanned": True,
        "findings": 0,
        "finding_kinds": [],
    },
}


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/policies")
    def policies(visit: FleetVisited) -> Response:
        return _page(visit, Gate.PUBLISH, _text(_EXAMPLES[Gate.PUBLISH]), None)

    @app.post("/policies/try")
    def try_(visit: FleetVisited, form: Acting) -> Response:
        visit.must(Action.POLICY_TRY)
        gate, text = form.get("gate", ""), form.get("facts", "")
        if gate not in set(Gate):
            raise Unusable("which gate? admit, execute or publish")
        try:
            facts = json.loads(text)
        except ValueError as cause:
            raise Unusable(f"the facts are no JSON: {cause}") from None
        if not isinstance(facts, dict):
            raise Unusable("the facts must be one JSON object")
        decision = visit.site.gate.now.decide_values(Gate(gate), facts)
        return _page(visit, Gate(gate), text, decision)


def _page(visit: Visit, gate: Gate, facts: str, tried: Decision | None) -> Response:
    held = visit.site.gate
    bundle = held.now.bundle
    by_subject: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in bundle.guardrails:
        by_subject[rule.subject].append(rule)
    return page(
        visit,
        "policies.html",
        bundle=bundle,
        generation=held.now.generation,
        refused=held.refused,
        subjects=sorted(by_subject.items()),
        hours=bundle.limits.working_hours,
        allowances=bundle.limits.allowances,
        tenants=visit.site.reader.tenants(visit.now),
        gates=list(Gate),
        gate=gate,
        facts=facts,
        tried=tried,
    )


def _text(facts: dict[str, JsonValue]) -> str:
    return json.dumps(facts, indent=2)
