"""The policy gate: what it allows, what it denies, and that it says why."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.decision import Cause, Gate, Verdict
from policies.bundle import load_bundle
from policies.facts import FACTS, ExecuteFacts
from policies.gate import PolicyGate
from policies.proof import Case
from tests.policies.cases import RULES, the_cases, the_lanes, the_matrix

CASES = the_cases()


@cache
def the_gate() -> PolicyGate:
    return PolicyGate(load_bundle(RULES, the_lanes()), generation=3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cases_decide_as_they_say(case: Case) -> None:
    """Every case gets its verdict, from exactly the rules it names."""
    decision = the_gate().decide_values(case.gate, case.facts)

    assert case.met_by(decision), decision.model_dump_json(indent=1, exclude={"facts"})


def test_every_guardrail_is_seen_to_decide_alone() -> None:
    """Each guardrail denies on its own in at least one case."""
    guardrails = {rule.id for rule in the_gate().bundle.guardrails}
    alone = {case.rules[0] for case in CASES if len(case.rules) == 1}

    assert guardrails <= alone


def test_lanes_are_permitted_what_the_table_says() -> None:
    """Every lane, kind, tenant and gate: allowed by that lane's permit alone, or by nothing."""
    gate = the_gate()

    wrong = [c.name for c in the_matrix() if not c.met_by(gate.decide_values(c.gate, c.facts))]

    assert wrong == []


@given(case=st.sampled_from(CASES), data=st.data())
@settings(max_examples=300, deadline=None)
def test_removing_a_fact_never_allows(case: Case, data: st.DataObject) -> None:
    """Facts that are missing, however many, are denied, and each missing one is named."""
    gone = data.draw(st.sets(st.sampled_from(sorted(FACTS[case.gate].model_fields)), min_size=1))

    decision = the_gate().decide_values(
        case.gate, {name: value for name, value in case.facts.items() if name not in gone}
    )

    assert (decision.verdict, decision.cause) == (Verdict.DENY, Cause.ERROR)
    assert gone <= {reason.text.partition(":")[0] for reason in decision.reasons}


NAMES = st.sampled_from(["acme", "beta", "mirror", "compute", "mirror.sql", "compute.sql", "ada"])


def any_value(shape: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Sound values of a fact, by its JSON Schema."""
    if "$ref" in shape:
        return any_value(defs[shape["$ref"].rpartition("/")[2]], defs)
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    if "const" in shape:
        return st.just(shape["const"])
    match shape["type"]:
        case "array":
            least = shape.get("minItems", 0)
            return st.lists(any_value(shape["items"], defs), min_size=least, max_size=3)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(shape["minimum"], shape.get("maximum", 5))
        case _:
            return NAMES


def any_facts(gate: Gate) -> st.SearchStrategy[dict[str, Any]]:
    """Facts that are well formed and otherwise anything."""
    schema = FACTS[gate].model_json_schema()
    defs = schema.get("$defs", {})
    return st.fixed_dictionaries(
        {name: any_value(shape, defs) for name, shape in schema["properties"].items()}
    )


@pytest.mark.parametrize("gate", Gate)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_removing_a_fact_never_turns_a_deny_into_an_allow(gate: Gate, data: st.DataObject) -> None:
    """Whatever the facts: with all of them they are decided with a reason; with any of them gone
    they are denied, with the names of those that are missing."""
    facts = data.draw(any_facts(gate))
    gone = data.draw(st.sets(st.sampled_from(sorted(facts)), min_size=1))

    whole = the_gate().decide_values(gate, facts)
    less = the_gate().decide_values(gate, {n: v for n, v in facts.items() if n not in gone})

    assert whole.reasons
    assert (less.verdict, less.cause) == (Verdict.DENY, Cause.ERROR)
    assert gone <= {reason.text.partition(":")[0] for reason in less.reasons}


@given(case=st.sampled_from(CASES), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_malformed_fact_never_allows_nor_is_recorded(case: Case, data: st.DataObject) -> None:
    """A fact of the wrong shape, or a word that is not on its list, denies; its value is not
    repeated anywhere in the decision."""
    name = data.draw(st.sampled_from(sorted(FACTS[case.gate].model_fields)))
    wrong = data.draw(
        st.sampled_from(
            [None, 3.5, float("nan"), "", {"hidden": 1}, [["hidden"]], ["hidden", None]]
        )
    )

    decision = the_gate().decide_values(case.gate, case.facts | {name: wrong})

    assert (decision.verdict, decision.cause) == (Verdict.DENY, Cause.ERROR)
    assert "hidden" not in decision.model_dump_json()


def test_a_model_changed_around_its_checks_is_denied() -> None:
    """Facts that were changed after they were checked are checked by the gate."""
    case = next(case for case in CASES if case.gate is Gate.EXECUTE)
    sound = ExecuteFacts.model_validate(case.facts)

    assert the_gate().decide(sound).allowed
    for wrong in ({"mutates": None}, {"flags": ["sudo"]}, {"tenant": ""}, {"kind": object()}):
        assert the_gate().decide(sound.model_copy(update=wrong)).cause is Cause.ERROR


def test_an_error_while_evaluating_denies() -> None:
    """A guardrail that cannot be evaluated denies: the engine itself would skip it and allow."""
    bundle = load_bundle(RULES, the_lanes())
    overflows = str(bundle.rules) + (
        '@id("broken.rule") @reason("x") forbid (principal, action, resource) '
        "when { 9223372036854775807 + 1 > 0 };"
    )
    broken = replace(bundle, rules=cedarpy.PolicySet.from_str(overflows))
    case = next(case for case in CASES if case.verdict == "allow")

    decision = PolicyGate(broken).decide_values(case.gate, case.facts)

    assert (decision.verdict, decision.cause) == (Verdict.DENY, Cause.ERROR)
    assert [reason.rule for reason in decision.reasons] == ["error"]


@pytest.mark.parametrize("gate", Gate)
def test_a_decision_says_what_it_was_made_of(gate: Gate) -> None:
    """Facts, their digest, the bundle and its generation are in the decision; it survives JSON."""
    case = next(case for case in CASES if case.gate is gate and case.verdict == "allow")
    one = the_gate()

    decision = one.decide_values(gate, case.facts)

    assert decision.facts == json.loads(json.dumps(decision.facts))
    assert set(decision.facts) == set(FACTS[gate].model_fields)
    assert (decision.bundle, decision.generation) == (one.bundle.digest, 3)
    assert type(decision).model_validate_json(decision.model_dump_json()) == decision
    other = one.decide_values(gate, case.facts | {"tenant": "beta"})
    assert other.facts_digest != decision.facts_digest


def test_the_order_of_a_list_does_not_matter() -> None:
    """Facts that say the same have the same digest."""
    case = next(case for case in CASES if case.gate is Gate.EXECUTE)
    ones = ExecuteFacts.model_validate(case.facts | {"input_tenants": ["beta", "acme", "beta"]})
    others = ExecuteFacts.model_validate(case.facts | {"input_tenants": ["acme", "beta"]})

    assert the_gate().decide(ones).facts_digest == the_gate().decide(others).facts_digest


def test_threads_get_the_same_decisions() -> None:
    """Many threads deciding at once, cached or not, get what one alone gets."""
    shared, start = PolicyGate(load_bundle(RULES, the_lanes()), cache=5), threading.Barrier(4)

    def decide_all(_: int) -> list[str]:
        start.wait(timeout=30)
        return [shared.decide_values(c.gate, c.facts).verdict.value for c in CASES]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(decide_all, range(4)))

    assert told == [[case.verdict for case in CASES]] * 4
