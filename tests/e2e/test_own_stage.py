"""A stage kind that another package brings, as docs/how-to/write-a-stage.md tells it."""

import re
from pathlib import Path

from tests.e2e.conftest import PROJECT, a_home

PAGE = PROJECT / "docs" / "how-to" / "write-a-stage.md"


def test_a_package_brings_its_own_stage_kind(tmp_path: Path) -> None:
    """Payload, handler, lane and pipeline as on the page; the run succeeds and verifies."""
    module, points, lane, pipeline = _blocks()
    site = tmp_path / "site-packages"
    info = site / "acme_stages-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_stages.py").write_text(module)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-stages\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_as_installed(points))
    folder = tmp_path / "pipelines" / "line_counts"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(pipeline)
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.csv").write_text("x\n1\n2\n")
    home = a_home(
        tmp_path / "home", PYTHONPATH=str(site), FLEET_PIPELINES=str(tmp_path / "pipelines")
    )
    with (home.folder / "lanes.toml").open("a") as lanes:
        lanes.write(lane)

    told = home.fleet("submit", "line_counts", "--param", f"source={source}", "--wait")
    verified = home.fleet("verify", told["run"])

    assert told["state"] == "succeeded"
    made = [a["pointer"] for a in told["artifacts"] if a["stage"] == "counted"]
    assert [(pointer["name"], pointer["rows"]) for pointer in made] == [("lines.csv", 1)]
    assert (verified["same"], verified["checked"]) == (True, 1)


def _blocks() -> list[str]:
    return re.findall(r"```(?:python|toml|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def _as_installed(points: str) -> str:
    """The entry points of pyproject.toml as an installer writes them."""
    found = re.findall(r'entry-points\."([a-z_.]+)"\]\n(\w+) = "([^"]+)"', points)
    return "".join(f"[{group}]\n{name} = {target}\n" for group, name, target in found)
