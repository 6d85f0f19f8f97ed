"""The console in a real browser, against a real stack: an operator's day, judged step by step.

Runs where Chromium, Node.js and npm are; `story.mjs` acts and tells what it saw.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

import policies
from fleet.lanes import LANES_FILE
from tests.console.conftest import called
from tests.console.stack.test_stack import Up, running

# The first test waits for the whole story, and the machine may be busy.
pytestmark = pytest.mark.timeout(420)

HERE = Path(__file__).parent
PATIENCE = 60_000
"""Milliseconds that the story waits for one thing: machines are slow, and nothing is timed here."""

TALE = """\
name: tale
version: 1
description: Types the claims of a folder.
parameters:
  source: {type: source, required: true}
stages:
  - name: files
    kind: mirror.files
    with: {source: "${source}", include: [claims.csv]}
  - name: typed
    kind: normalize.sql
    needs: [files]
    with: {tables: {claims: sql/claims.sql}}
"""
RISKY = (
    TALE.replace("name: tale", "name: risky")
    + """\
  - name: totals
    kind: compute.sql
    needs: [typed]
    with: {tables: {totals: sql/totals.sql}}
"""
)
CLAIMS_SQL = """\
SELECT claim, CAST(round(TRY_CAST(paid AS DECIMAL(18, 4)) * 100) AS BIGINT) AS cents
FROM files
"""
TOTALS_SQL = "SELECT sum(cents) AS cents FROM typed"
CLAIMS = "claim,paid\nC-1,10.00\nC-2,12.50\n"


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


@pytest.fixture(scope="module")
def node_project() -> Path:
    """The story with its packages."""
    return installed(HERE / "story.mjs")


def installed(script: Path) -> Path:
    """A folder with `script` and its packages, which are installed once for each lock file, outside
    the repository. Skips where that cannot be done."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    lock = (HERE / "package-lock.json").read_bytes()
    name = f"console-npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(exist_ok=True)
    for file in (HERE / "package.json", HERE / "package-lock.json", script):
        shutil.copyfile(file, folder / file.name)
    if not (folder / "installed").exists():
        done = subprocess.run(
            [npm, "ci", "--omit-lockfile-registry-resolved", "--ignore-scripts", "--no-audit"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        if done.returncode:
            pytest.skip("npm cannot install playwright-core and axe-core here")
        (folder / "installed").touch()
    return folder


def _settings(folder: Path) -> dict[str, str]:
    """Two pipelines, compute as high-risk work, and working hours that never end."""
    for name, text in (("tale", TALE), ("risky", RISKY)):
        (folder / "pipelines" / name / "sql").mkdir(parents=True)
        (folder / "pipelines" / name / "pipeline.yaml").write_text(text)
        (folder / "pipelines" / name / "sql" / "claims.sql").write_text(CLAIMS_SQL)
        (folder / "pipelines" / name / "sql" / "totals.sql").write_text(TOTALS_SQL)
    lanes = LANES_FILE.read_text(encoding="utf-8")
    (folder / "lanes.toml").write_text(lanes.replace("[compute]", "[compute]\nhigh_risk = true"))
    shutil.copytree(Path(policies.__file__).parent / "rules", folder / "rules")
    bundle = (folder / "rules" / "bundle.toml").read_text()
    bundle = bundle.replace('"fri"]', '"fri", "sat", "sun"]').replace('"08:00"', '"00:00"')
    (folder / "rules" / "bundle.toml").write_text(bundle.replace('"18:00"', '"23:59"'))
    return {
        "FLEET_PIPELINES": str(folder / "pipelines"),
        "FLEET_LANES_FILE": str(folder / "lanes.toml"),
        "FLEET_RULES": str(folder / "rules"),
    }


@pytest.fixture(scope="module")
def seen(
    chromium: str, node_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the story saw: a run that is submitted while it looks, one that failed for want of a
    file that is there by now, and one that is held."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "empty").mkdir()
    (folder / "claims").mkdir()
    (folder / "claims" / "claims.csv").write_text(CLAIMS)
    settings = _settings(folder)
    with running(folder / "home", **settings) as up:
        broken = _submitted(up, settings, "tale", folder / "empty", wait=True)
        held = _submitted(up, settings, "risky", folder / "claims", wait=False)
        (folder / "empty" / "claims.csv").write_text(CLAIMS)
        with up.record_reader() as reader:
            source = reader.run(held).request.parameters["source"]
        told = {
            "chromium": chromium,
            "console": f"http://{up.told['console_host']}:{up.told['console_port']}",
            "dispatcher": f"http://{up.told['http_host']}:{up.told['http_port']}",
            "key": (folder / "home" / "console.key").read_text().strip(),
            "patience": PATIENCE,
            "broken": broken,
            "held": held,
            "request": {
                "pipeline": "tale",
                "parameters": {"source": source},
                "scope": {"tenant": "acme", "audience": "internal"},
                "requester": "browser",
            },
        }
        ended = subprocess.run(
            ["node", "story.mjs", json.dumps(told)],
            cwd=node_project,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert ended.returncode == 0, ended.stderr
    came: dict[str, Any] = json.loads(ended.stdout)
    assert "fault" not in came, came["fault"]
    return came


def _submitted(up: Up, settings: dict[str, str], pipeline: str, source: Path, *, wait: bool) -> str:
    ask = ["submit", pipeline, "--param", f"source={source}", "--json"]
    done = called(up.home, *ask, *(["--wait"] if wait else []), **settings)
    told = json.loads(done.out.splitlines()[-1])
    run: str = told["run"]
    return run


def test_a_run_is_watched_live(seen: dict[str, Any]) -> None:
    """It appears in the list, and goes to success on its page, with no page loaded again and none
    that asks by itself: the ledger's moves are told. Then its waterfall is the trace's."""
    assert (seen["appeared"], seen["succeeded"], seen["closed"]) == (True, True, True)
    assert (seen["boxes"], seen["bars"]) == (2, 2)
    assert any(told.startswith("run normalize.sql, ") for told in seen["traced"])


def test_a_task_and_its_artifact_are_looked_at(seen: dict[str, Any]) -> None:
    """The task's page tells its attempts and decisions; the preview shows the rows of its Parquet;
    the bytes are verified."""
    assert "normalize.sql" in seen["task"]
    assert "lane.normalize.execute" in seen["task"]
    assert "C-2" in seen["preview"]
    assert "1250" in seen["preview"]
    assert seen["verified"].startswith("Verified now: ")


def test_a_group_of_dead_letters_is_redriven(seen: dict[str, Any]) -> None:
    """A dry run tells what it would be; the redrive goes to its end; the run then succeeds."""
    assert "Dry run: 1 would be redriven" in seen["dryRun"]
    assert "1 of 1 redriven" in seen["redriven"]


def test_a_held_task_is_approved_by_two(seen: dict[str, Any]) -> None:
    """The first word is not enough and cannot be given twice; the second lets it run."""
    assert "It is held" in seen["approvedBy_ada"]
    assert "You have approved it already" in seen["twice"]
    assert "It is queued" in seen["approvedBy_grace"]
    assert seen["heldRan"] is True


def test_an_approval_given_elsewhere_is_seen(seen: dict[str, Any]) -> None:
    """The list of who waits empties by itself; but what somebody is typing in it is left alone."""
    assert seen["emptied"] is True
    assert (seen["typed"], seen["stale"]) == ("half a senten", 1)


def test_a_run_is_cancelled_from_the_list(seen: dict[str, Any]) -> None:
    """Chosen, with a reason; it ends as cancelled, and the audit says who did all this and why."""
    assert "Cancellation of 1 run was asked for" in seen["cancelling"]
    for told in ("run.cancel", "asked for by mistake", "dead_letter.redrive", "ada agrees"):
        assert told in seen["audit"]


def test_a_viewer_is_refused(seen: dict[str, Any]) -> None:
    """The button is shown, disabled, with the reason; and the server refuses as well."""
    assert seen["disabled"] is True
    assert "needs the role operator or admin; you are viewer" in seen["why"]
    assert seen["refused"] == 403


def test_keys_alone_are_enough(seen: dict[str, Any]) -> None:
    """The skip link leads to the content; a run is reached and opened; the focus is seen."""
    assert (seen["skip"], seen["main"]) == ("Skip to the content", "main")
    assert (seen["byKeys"], seen["ring"]) == (True, "solid")


def test_nothing_is_wrong_for_a_screen_reader(seen: dict[str, Any]) -> None:
    """axe finds no serious fault on any page, light and dark, wide and on a phone."""
    assert "\n".join(f"{name}: {bad}" for name, bad in seen["axe"].items() if bad) == ""
    assert len(seen["axe"]) >= 28


def test_a_phone_scrolls_one_way(seen: dict[str, Any]) -> None:
    """No page is wider than its window."""
    assert seen["wide"] == []


def test_the_browser_stays_at_home(seen: dict[str, Any]) -> None:
    """No request to another address, and no error in the browser's console."""
    assert seen["outside"] == []
    assert seen["console"] == []
