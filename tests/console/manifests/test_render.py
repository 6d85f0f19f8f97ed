"""Rendered manifests: what is committed is what lanes.toml says, and what changes shows."""

from pathlib import Path

import pytest

from console.manifests.configuration import configuration_of, rules_config
from console.manifests.dev import bus_topology
from console.manifests.files import rendered
from contracts.scale import Scale
from fleet.lanes import LANES_FILE, load_lanes
from fleet.settings import Settings
from policies.live import LiveGate
from tests.console.conftest import PROJECT, Fleet

_RULES: Path = Settings.model_fields["rules"].default


def test_what_is_committed_is_what_the_lanes_say(fleet: Fleet) -> None:
    """`fleet k8s render` was run after the last change of lanes.toml, or of the rules."""
    done = fleet("k8s", "render", "--check", "--out", str(PROJECT / "k8s"))

    assert (done.code, done.out) == (0, "of 14 files, 0 differ\n")


def test_check_names_what_drifted_and_render_mends_it(fleet: Fleet, tmp_path: Path) -> None:
    """An edited file, a missing one, and one of a lane that is gone; a person's own file stays."""
    folder = tmp_path / "k8s"
    assert fleet("k8s", "render", "--out", str(folder)).code == 0
    mirror, agent = folder / "lanes" / "mirror.yaml", folder / "lanes" / "agent.yaml"
    (folder / "lanes" / "gone.yaml").write_text(mirror.read_text())
    (folder / "lanes" / "own.yaml").write_text("kind: ConfigMap\n")
    mirror.write_text(mirror.read_text().replace("maxReplicaCount: 20", "maxReplicaCount: 21"))
    agent.unlink()

    drift = fleet("k8s", "render", "--check", "--out", str(folder))

    assert drift.code == 1
    assert "lanes/agent.yaml is missing" in drift.out
    assert "lanes/mirror.yaml differs" in drift.out
    assert "lanes/gone.yaml belongs to no lane" in drift.out
    assert "own.yaml" not in drift.out
    assert fleet("k8s", "render", "--out", str(folder)).code == 0
    assert fleet("k8s", "render", "--check", "--out", str(folder)).code == 0
    assert (folder / "lanes" / "own.yaml").exists()


def test_the_mounted_rules_are_reloaded_when_their_config_map_changes(tmp_path: Path) -> None:
    """As the kubelet does it: files in a hidden folder behind one link, swapped at once."""
    lanes, places = load_lanes(), dict(configuration_of(LANES_FILE, _RULES).rules)
    mounted, data = tmp_path / "rules", rules_config(_RULES)["data"]
    _swap(mounted, "..one", {places[key]: text for key, text in data.items()})
    gate = LiveGate(mounted, lanes)
    old = gate.generation
    text = data["bundle.toml"]
    newer = text.replace(f"version = {old}", f"version = {old + 1}")
    assert newer != text

    _swap(mounted, "..two", {places[key]: t for key, t in (data | {"bundle.toml": newer}).items()})

    assert gate.refresh()
    assert gate.generation == old + 1


def _swap(mounted: Path, hidden: str, files: dict[str, str]) -> None:
    for place, text in files.items():
        path = mounted / hidden / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (mounted / "..new").symlink_to(hidden)
    (mounted / "..new").replace(mounted / "..data")
    for top in {place.split("/")[0] for place in files}:
        link = mounted / top
        if not link.is_symlink():
            link.symlink_to(Path("..data") / top)


@pytest.mark.parametrize(
    ("concurrency", "service", "wait", "messages"),
    [(1, 60, 60, 2), (4, 60, 60, 8), (2, 0.5, 10, 42), (1, 100, 1, 1), (1, 0.7, 0.7, 2)],
)
def test_a_pod_is_asked_for_as_many_messages_as_it_can_begin_in_time(
    concurrency: int, service: float, wait: float, messages: int
) -> None:
    """Those in hand, and those begun within the wait; never fewer than one."""
    assert Scale(service=service, wait=wait).message_count(concurrency) == messages


def test_the_embedded_bus_gets_a_queue_for_each_lane() -> None:
    """And one for requests, so that the dev overlay needs nobody to make them."""
    told = bus_topology(load_lanes())

    assert all(f'"{lane.queue}"' in told for lane in load_lanes())
    assert '"intake"' in told


def test_two_renderings_are_the_same_bytes() -> None:
    """Whatever the machine."""
    lanes = load_lanes()

    assert rendered(lanes, LANES_FILE, _RULES) == rendered(lanes, LANES_FILE, _RULES)
