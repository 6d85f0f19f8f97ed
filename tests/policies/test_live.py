"""Reload: only whole, proven, newer rules take the place of the rules in force."""

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from policies.bundle import BundleRefused
from policies.live import LiveGate
from policies.proof import prove
from tests.policies.cases import RULES, the_cases, the_lanes

Edit = Callable[[str], str]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    shutil.copytree(RULES, tmp_path / "rules")
    return tmp_path / "rules"


def edit(rules: Path, name: str, change: Edit) -> None:
    path = rules / name
    path.write_text(change(path.read_text()))


def raised(rules: Path, version: int) -> None:
    lines = (rules / "bundle.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("version =")]
    (rules / "bundle.toml").write_text("\n".join([f"version = {version}", *kept]) + "\n")


def a_remark(text: str) -> str:
    return text + "// looked through\n"


def test_the_packaged_rules_hold_their_cases() -> None:
    """What is shipped is proven."""
    prove(RULES)


def test_changed_rules_are_taken_up(rules: Path) -> None:
    """With their version as generation; a second look finds nothing new."""
    gate = LiveGate(rules, the_lanes())
    old = gate.generation
    edit(rules, "guardrails/agent.cedar", a_remark)
    raised(rules, old + 1)

    assert gate.refresh()
    assert gate.generation == old + 1
    assert not gate.refresh()


def test_changed_rules_need_a_higher_version(rules: Path) -> None:
    """Else two different bundles would be told apart by nothing that orders them."""
    gate = LiveGate(rules, the_lanes())
    edit(rules, "guardrails/agent.cedar", a_remark)

    assert not gate.refresh()
    assert "version above" in gate.refused[0]


BAD: list[tuple[str, str, Edit]] = [
    ("syntax", "guardrails/agent.cedar", lambda t: t.replace("forbid (", "forbid ((", 1)),
    (
        "attribute typo",
        "guardrails/agent.cedar",
        lambda t: t.replace("input_taints", "inputtaints"),
    ),
    (
        "blanket permit",
        "guardrails/agent.cedar",
        lambda t: (
            t + '@id("agent.all")\n@reason("Everything is allowed to everyone.")\n'
            "permit (principal, action, resource);\n"
        ),
    ),
    (
        "renamed id",
        "guardrails/agent.cedar",
        lambda t: t.replace("never_an_input_of_compute", "never_an_input"),
    ),
    (
        "misspelt literal",
        "guardrails/agent.cedar",
        lambda t: t.replace('like "compute.*"', 'like "conpute.*"'),
    ),
    ("emptied file", "guardrails/agent.cedar", lambda _: ""),
]


@pytest.mark.parametrize(("what", "name", "change"), BAD, ids=[what for what, *_ in BAD])
def test_a_bad_bundle_leaves_the_last_good_one_in_force(
    rules: Path, caplog: pytest.LogCaptureFixture, what: str, name: str, change: Edit
) -> None:
    """It decides as before, says what is wrong, logs it once, and takes up the mended rules."""
    gate = LiveGate(rules, the_lanes())
    before, good = gate.bundle.digest, (rules / name).read_text()
    edit(rules, name, change)
    raised(rules, gate.generation + 1)

    with caplog.at_level(logging.ERROR):
        taken = [gate.refresh(), gate.refresh()]

    assert taken == [False, False]
    assert gate.bundle.digest == before
    assert gate.refused
    assert len([r for r in caplog.records if "refused" in r.message]) == 1
    assert all(case.met_by(gate.decide_values(case.gate, case.facts)) for case in the_cases())
    (rules / name).write_text(good)
    raised(rules, gate.generation + 2)
    assert gate.refresh()
    assert gate.refused == ()


def test_a_first_bundle_that_is_bad_is_no_start(rules: Path) -> None:
    """There is no older one to keep."""
    edit(rules, "guardrails/agent.cedar", lambda t: t.replace('like "compute.*"', 'like "x.*"'))

    with pytest.raises(BundleRefused, match="is decided otherwise"):
        LiveGate(rules, the_lanes())


def test_a_swapped_config_map_is_taken_up(tmp_path: Path) -> None:
    """Kubernetes replaces the link `..data`; the files' own names and links stay as they are."""
    mount = tmp_path / "mount"
    shutil.copytree(RULES, mount / "..one")
    (mount / "..data").symlink_to("..one")
    for name in ("schema.cedarschema", "bundle.toml", "guardrails"):
        (mount / name).symlink_to(f"..data/{name}")
    gate = LiveGate(mount, the_lanes())
    shutil.copytree(mount / "..one", mount / "..two")
    edit(mount / "..two", "guardrails/agent.cedar", a_remark)
    raised(mount / "..two", 7)

    (mount / "..new").symlink_to("..two")
    (mount / "..new").replace(mount / "..data")

    assert gate.refresh()
    assert gate.generation == 7


def test_decisions_are_right_while_rules_are_reloaded(rules: Path) -> None:
    """Good and bad bundles come and go; every decision is one of a whole bundle, and right."""
    gate, stop, wrong = LiveGate(rules, the_lanes()), threading.Event(), list[str]()
    cases = the_cases()

    def decide() -> int:
        count = 0
        while not stop.is_set():
            for case in cases:
                decided = gate.decide_values(case.gate, case.facts)
                count += 1
                if not case.met_by(decided):
                    wrong.append(case.name)
        return count

    good = (rules / "guardrails" / "agent.cedar").read_text()
    with ThreadPoolExecutor(3) as pool:
        deciding = [pool.submit(decide) for _ in range(3)]
        try:
            for version in range(2, 10):
                text = good + f"// version {version}\n" if version % 2 else ""
                (rules / "guardrails" / "agent.cedar").write_text(text)
                raised(rules, version)
                assert gate.refresh() is bool(version % 2)
        finally:
            stop.set()

    assert wrong == []
    assert all(one.result() > 0 for one in deciding)
    assert gate.generation == 9
