"""Lanes as data: what ships is sound, and a faulty file is refused with every fault."""

from pathlib import Path

import pytest

from contracts.stage_payloads import PAYLOADS
from fleet.lanes import LanesRefused, load_lanes


def test_every_stage_kind_that_ships_has_a_lane() -> None:
    """And only one."""
    lanes = load_lanes()

    assert all(lanes.serving(payload.KIND) for payload in PAYLOADS)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a", "cannot be read"),
        ("a = 1", "must be a table"),
        ("[a]\nkinds = []", r"\[a\] kinds"),
        ('[a]\nkinds = ["x"]\nconcurency = 3', r"\[a\] concurency"),
        ('[a]\nkinds = ["x"]\n[b]\nkinds = ["x"]', "served by"),
        ('[a]\nkinds = []\n[B]\nkinds = ["x"]', r"(?s)\[a\] kinds.*\[B\] name"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    """With the lane and the field; all of them in one message."""
    path = tmp_path / "lanes.toml"
    path.write_text(text)

    with pytest.raises(LanesRefused, match=fault):
        load_lanes(path)
