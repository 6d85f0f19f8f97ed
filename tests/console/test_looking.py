"""The commands that look: runs, run, task, artifacts, lanes, dead-letters, on a real ledger."""

import json
import subprocess
from pathlib import Path
from typing import Any

from contracts.artifact import ArtifactPointer
from contracts.ids import task_id
from tests.console.conftest import Fleet
from tests.console.ledgers import TRACE, Home


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_runs_are_listed_newest_first(fleet: Fleet, home: Home) -> None:
    """`runs --json` is one object a line, the newest first, no more than asked for."""
    made = [home.run(number) for number in range(3)]

    done = fleet("runs", "--json", "--limit", "2")

    assert done.code == 0
    assert [row["run"] for row in rows(done.out)] == [made[2], made[1]]
    assert {"run", "pipeline", "tenant", "state", "tasks", "submitted"} <= rows(done.out)[0].keys()


def test_runs_are_filtered_by_state(fleet: Fleet, home: Home) -> None:
    """`--state` shows those runs only; a word that is no state is refused."""
    home.run(1)
    broken = home.run(2, broken=True)

    done = fleet("runs", "--state", "failed", "--json")

    assert [row["run"] for row in rows(done.out)] == [broken]
    assert fleet("runs", "--state", "great").code == 2


def test_a_run_is_drawn_with_its_stages_in_order(fleet: Fleet, home: Home) -> None:
    """`run` draws every stage, parents first, with how many of its tasks are done."""
    run = home.run(1)

    done = fleet("run", run[:23])

    assert done.code == 0
    places = [done.out.index(stage) for stage in ("mirror ", "typed ", "packet ")]
    assert places == sorted(places)
    typed = next(line for line in done.out.splitlines() if "normalize.sql" in line)
    assert "2/2" in typed
    assert "━" in typed


def test_a_failed_run_names_its_task_and_reason(fleet: Fleet, home: Home) -> None:
    """The drawing of a failed run says which task failed, why, and how to look closer."""
    run = home.run(1, broken=True)

    done = fleet("run", run)

    assert "typed/2024-02" in done.out
    assert "rules.broken" in done.out
    assert f"fleet task {task_id(run, 'typed', '2024-02')}" in done.out


def test_words_from_outside_cannot_steer_the_terminal(fleet: Fleet, home: Home) -> None:
    """An escape sequence in a fault is shown as a mark, and square brackets stay what they are."""
    run = home.run(1, broken=True)

    done = fleet("run", run)

    assert "\x1b" not in done.out
    assert "[red]not markup[/red]" in done.out


def test_a_denied_run_says_which_rule(fleet: Fleet, home: Home) -> None:
    """A run that policy denied shows the rule and its reason."""
    run = home.run(1, denied=True)

    done = fleet("run", run)

    assert "denied" in done.out
    assert "guardrail.mutation: this is why" in done.out


def test_a_run_in_json_holds_stages_and_tasks(fleet: Fleet, home: Home) -> None:
    """`run --tasks --json` is one object with the stages, and the tasks as task_rows."""
    run = home.run(1)

    (told,) = rows(fleet("run", run, "--tasks", "--json").out)

    assert [stage["stage"] for stage in told["stages"]] == ["mirror", "typed", "packet"]
    assert len(told["task_rows"]) == 4


def test_watching_a_run_that_failed_is_exit_1(fleet: Fleet, home: Home) -> None:
    """`run --watch` ends when the run has, with 1 unless it succeeded."""
    good, bad = home.run(1), home.run(2, broken=True)

    assert fleet("run", good, "--watch").code == 0
    assert fleet("run", bad, "--watch").code == 1


def test_a_task_tells_everything(fleet: Fleet, home: Home) -> None:
    """`task --json` has status history, attempts, decisions with rules, pointers and trace id."""
    run = home.run(1)
    task = task_id(run, "mirror")

    (told,) = rows(fleet("task", task, "--json").out)

    assert [event["new"] for event in told["history"]] == ["queued", "running", "succeeded"]
    assert told["attempts"][0]["number"] == 1
    assert told["decisions"][0]["decision"]["reasons"][0]["rule"] == "permit.lane"
    assert told["outputs"][0]["digest"]
    assert told["trace_id"] == TRACE
    assert [span["name"] for span in told["spans"]] == ["process lane-mirror", "run mirror"]
    (line,) = rows(fleet("task", task, "--logs", "--json").out)
    assert told["logs"] == [line]
    assert (line["attempt"], line["level"], line["logger"]) == (1, "info", "acme")
    assert "leaf.logs" not in told["spans"][1]["attributes"]


def test_a_task_is_drawn(fleet: Fleet, home: Home) -> None:
    """`task` shows the same to a person, found by the beginning of its id."""
    run = home.run(1)

    done = fleet("task", task_id(run, "mirror")[:23])

    for words in (
        "history",
        "permit.lane: this is why",
        "mirror.json",
        TRACE,
        "500.0 ms",
        "acme: read it",
    ):
        assert words in done.out


def test_artifacts_are_listed_by_tier(fleet: Fleet, home: Home) -> None:
    """`artifacts --json` is one artifact a line; `--tier` picks one tier."""
    run = home.run(1)

    everything = rows(fleet("artifacts", run, "--json").out)
    curated = rows(fleet("artifacts", run, "--tier", "curated", "--json").out)

    assert len(everything) == 4
    assert [row["pointer"]["name"] for row in curated] == ["packet.json"]


def test_one_artifact_is_shown_with_its_lineage(fleet: Fleet, home: Home) -> None:
    """Found by name or digest, its bytes verified and previewed; damaged bytes are exit 1."""
    run = home.run(1)

    whole = fleet("artifact", run, "mirror/mirror.json", "--verify", "--preview", "--json")
    [told] = rows(whole.out)
    short = rows(fleet("artifact", run, told["pointer"]["digest"][:9], "--json").out)
    several = fleet("artifact", run, "typed.json")
    listed = rows(fleet("artifacts", "--text", "packet", "--json").out)
    (home.store.local_path(ArtifactPointer.model_validate(told["pointer"]))).write_bytes(b"x")
    damaged = fleet("artifact", run, "mirror.json", "--verify")

    assert (told["stage"], told["verified"], told["fault"]) == ("mirror", True, None)
    assert "it is not what application/json should be" in told["preview"]["note"]
    assert [one["pointer"]["digest"] for one in short] == [told["pointer"]["digest"]]
    assert several.code == 2
    assert "typed/2024-02/typed.json" in several.err
    assert [row["stage"] for row in listed] == ["packet"]
    assert damaged.code == 1
    assert "not verified" in damaged.out


def test_an_export_can_be_checked(fleet: Fleet, home: Home, tmp_path: Path) -> None:
    """`artifacts --export` lays files out by readable names; sha256sum finds them intact."""
    run, out = home.run(1), tmp_path / "out"

    done = fleet("artifacts", run, "--export", str(out), "--json")

    assert done.code == 0
    assert {row["path"] for row in rows(done.out)} == {
        "mirror/mirror.json",
        "packet/packet.json",
        "typed/2024-01/typed.json",
        "typed/2024-02/typed.json",
    }
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=out, check=True)
    sums = (out / "SHA256SUMS").read_text()
    decided = rows((out / "decisions.jsonl").read_text())
    assert "  decisions.jsonl\n" in sums
    assert decided[0]["decision"]["gate"] == "admit"
    assert {(row["stage"], row["partition"]) for row in decided[1:]} == {
        ("mirror", ""),
        ("packet", ""),
        ("typed", "2024-01"),
        ("typed", "2024-02"),
    }


def test_an_export_overwrites_nothing(fleet: Fleet, home: Home, tmp_path: Path) -> None:
    """A folder that holds something is left as it is."""
    run = home.run(1)
    (tmp_path / "mine.txt").write_text("mine")

    done = fleet("artifacts", run, "--export", str(tmp_path))

    assert done.code == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_damaged_artifact_is_not_exported(fleet: Fleet, home: Home, tmp_path: Path) -> None:
    """Bytes that are not those of the digest are named, and the export has no SHA256SUMS."""
    run = home.run(1)
    stored = next((home.folder / "artifacts" / "curated").rglob("?" * 64))
    stored.chmod(0o600)
    stored.write_bytes(b"something else")

    done = fleet("artifacts", run, "--export", str(tmp_path / "out"))

    assert done.code != 0
    assert "damaged" in done.err
    assert not (tmp_path / "out" / "SHA256SUMS").exists()


def test_lanes_are_shown_without_a_bus(fleet: Fleet, home: Home) -> None:
    """`lanes` shows every lane; where no bus is known it says so, and `bus` is null."""
    home.run(1, broken=True)

    done = fleet("lanes", "--json")

    told = {row["lane"]: row for row in rows(done.out)}
    assert {"mirror", "normalize", "present", "agent"} <= told.keys()
    assert told["mirror"]["bus"] is None
    assert "bus was not asked" in done.err


def test_dead_letters_hold_tasks_and_messages(fleet: Fleet, home: Home) -> None:
    """What failed and what could not be taken are one list, each with its reason."""
    home.run(1, broken=True)
    home.dead_letter("the body is not JSON")

    told = rows(fleet("dead-letters", "--json").out)
    drawn = fleet("dead-letters").out

    assert {(row["what"], row["reason"]) for row in told} == {
        ("task", "rules.broken"),
        ("message", "malformed"),
    }
    assert "the body is not JSON" in drawn
    assert "\x1b" not in drawn


def test_nothing_is_said_in_json(fleet: Fleet, home: Home) -> None:
    """Where there is nothing, `--json` prints nothing at all, and the exit code is 0."""
    home.run(1)

    done = fleet("dead-letters", "--json")

    assert (done.code, done.out) == (0, "")


def test_workers_are_listed(fleet: Fleet, home: Home) -> None:
    """Live ones first, with what they work on; none is said so."""
    home.run(1)
    nobody = fleet("workers")
    home.worker("w-1", "mirror")

    listed = rows(fleet("workers", "--json").out)
    drawn = fleet("workers").out

    assert "no worker has been seen" in nobody.err
    assert [(row["worker"], row["state"], row["lanes"]) for row in listed] == [
        ("w-1", "live", ["mirror"])
    ]
    assert "w-1" in drawn
