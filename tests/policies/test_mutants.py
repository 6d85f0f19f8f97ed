"""Mutants of the rules: each weaker or twisted copy of a rule fails a case."""

from collections.abc import Iterator
from dataclasses import replace

import cedarpy
from cedarpy import pst

from policies.bundle import Bundle, load_bundle
from policies.gate import PolicyGate
from policies.proof import Case
from tests.policies.cases import RULES, the_cases, the_lanes, the_matrix

Rules = dict[str, pst.Template]


def mutants(rules: Rules) -> Iterator[tuple[str, Rules]]:
    """Drop a rule; drop or turn round a condition; keep one side of an and, an or."""
    for key, rule in rules.items():
        name = rule.annotations["id"]
        # At admit the gate asks the one lane that serves a kind, so lane and kinds are one
        # condition said twice; a mutant without either of them decides the same.
        said_twice = name.startswith("lane.") and name.endswith(".admit")
        yield f"{name} dropped", {k: r for k, r in rules.items() if k != key}
        if not isinstance(rule.principal, pst.ScopeAny) and not said_twice:
            yield f"{name} for everyone", rules | {key: replace(rule, principal=pst.ScopeAny())}
        for at, clause in enumerate(rule.clauses):
            for what, twisted in twists(clause):
                if said_twice and at == 0 and what == "dropped":
                    continue
                clauses = (*rule.clauses[:at], *twisted, *rule.clauses[at + 1 :])
                yield f"{name} clause {at} {what}", rules | {key: replace(rule, clauses=clauses)}


def twists(clause: pst.Clause) -> Iterator[tuple[str, tuple[pst.Clause, ...]]]:
    turned: type[pst.When | pst.Unless] = pst.Unless if isinstance(clause, pst.When) else pst.When
    yield "dropped", ()
    yield "turned round", (turned(expr=clause.expr),)
    for what, expr in simpler(clause.expr):
        yield what, (replace(clause, expr=expr),)


def simpler(expr: pst.Expr) -> Iterator[tuple[str, pst.Expr]]:
    if isinstance(expr, pst.BinaryOp):
        if expr.op in ("and", "or"):
            yield "left side only", expr.left
            yield "right side only", expr.right
            yield "and for or", replace(expr, op="or" if expr.op == "and" else "and")
        for what, part in simpler(expr.left):
            yield f"left: {what}", replace(expr, left=part)
        for what, part in simpler(expr.right):
            yield f"right: {what}", replace(expr, right=part)
    elif isinstance(expr, pst.Set) and len(expr.elements) > 1:
        for at in range(len(expr.elements)):
            kept = (*expr.elements[:at], *expr.elements[at + 1 :])
            yield f"without element {at}", replace(expr, elements=kept)


def test_every_mutant_of_the_rules_fails_a_case() -> None:
    """No rule, condition or word can be lost from the rules without a case that notices."""
    bundle = load_bundle(RULES, the_lanes())
    cases, rules = [*the_cases(), *the_matrix()], dict(bundle.rules.to_pst().static_policies)
    tried, alive = 0, []

    for name, mutant in mutants(rules):
        nodes = pst.PolicySet(templates={}, static_policies=mutant, template_links=())
        gate = PolicyGate(replace(bundle, rules=cedarpy.PolicySet.from_pst(nodes)))
        tried += 1
        if all(case.met_by(gate.decide_values(case.gate, case.facts)) for case in cases):
            alive.append(name)

    print(f"{tried} mutants, {len(alive)} alive")
    assert alive == []


def conditions(expr: pst.Expr) -> Iterator[pst.Expr]:
    """The parts of a condition that are true or false by themselves: no and, or, not is left."""
    if isinstance(expr, pst.BinaryOp) and expr.op in ("and", "or"):
        yield from conditions(expr.left)
        yield from conditions(expr.right)
    elif isinstance(expr, pst.UnaryOp) and expr.op == "not":
        yield from conditions(expr.arg)
    else:
        yield expr


def test_every_condition_is_seen_true_and_false() -> None:
    """Each part of each clause holds in one case of the rule's gates, and does not in another."""
    bundle = load_bundle(RULES, the_lanes())
    cases = [*the_cases(), *the_matrix()]
    parts = [
        (rule, number, part)
        for rule in bundle.rules.to_pst().static_policies.values()
        for number, part in enumerate(
            part for clause in rule.clauses for part in conditions(clause.expr)
        )
    ]

    unseen = [
        f"{rule.annotations['id']} part {number} is never {truth}"
        for rule, number, part in parts
        for truth, clause in ((True, pst.When(expr=part)), (False, pst.Unless(expr=part)))
        if not seen(bundle, replace(rule, clauses=(clause,)), cases)
    ]

    print(f"{len(parts)} conditions, {len(unseen)} not seen both true and false")
    assert unseen == []


def seen(bundle: Bundle, rule: pst.Template, cases: list[Case]) -> bool:
    """Whether a case meets the one clause of `rule`, taken as a permit for everyone."""
    permit = replace(rule, effect="permit", principal=pst.ScopeAny())
    nodes = pst.PolicySet(templates={}, static_policies={rule.id: permit}, template_links=())
    alone = replace(
        bundle, rules=cedarpy.PolicySet.from_pst(nodes), holding=frozenset(), permits=()
    )
    gate = PolicyGate(alone)
    return any(gate.decide_values(case.gate, case.facts).allowed for case in cases)
