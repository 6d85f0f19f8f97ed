"""The demo's input."""

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from console.demo.inputs import SEED, held_against, make_inputs
from console.demo.legacy import Planted
from contracts.request import RunRequest

TRUTH = "c3d34ed4"


def content(folder: Path) -> str:
    """Digest of the database's rows and of every document."""
    digest = hashlib.sha256()
    connection = sqlite3.connect(folder / "claims.db")
    for row in connection.execute("SELECT * FROM claim_lines ORDER BY rowid"):
        digest.update(repr(row).encode())
    connection.close()
    for path in sorted((folder / "documents").rglob("*.*")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def test_a_seed_makes_the_same_input_everywhere(tmp_path: Path) -> None:
    """Same seed, same content, today and on another machine; another seed, another content."""
    made = [
        make_inputs(tmp_path / name, clients=2, lines=500, seed=seed)
        for name, seed in (("a", SEED), ("b", SEED), ("c", SEED + 1))
    ]

    digests = [content(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith(TRUTH)
    assert made[0].planted == made[1].planted


def test_making_it_again_replaces_it(tmp_path: Path) -> None:
    """A second call over the first leaves no row twice."""
    make_inputs(tmp_path, clients=2, lines=500)
    before = content(tmp_path)

    make_inputs(tmp_path, clients=2, lines=500)

    assert content(tmp_path) == before


def test_requests_can_be_submitted_as_they_are(tmp_path: Path) -> None:
    """One valid request a client, with a key that makes a second submission harmless."""
    inputs = make_inputs(tmp_path, clients=13, lines=2_600)

    requests = [RunRequest.model_validate(fields) for fields in inputs.requests]
    assert len({request.key for request in requests}) == 13
    assert {request.scope.tenant for request in requests} == set(inputs.planted)
    assert set(inputs.sources) == {"claims", "documents"}


def test_every_kind_of_mistake_is_planted_once_a_client(tmp_path: Path) -> None:
    """Eight kinds, each on a guarantee of its own, so that none hides another."""
    inputs = make_inputs(tmp_path, clients=3, lines=3_000)

    for planted in inputs.planted.values():
        assert len({mistake.kind for mistake in planted}) == len(planted) == 8
        assert len({mistake.key for mistake in planted}) == 8


def packet(*rows: list[str | None]) -> dict[str, Any]:
    """A comparison packet that names `rows`."""
    columns = [{"name": name} for name in ("key", "kind", "recomputed", "legacy")]
    return {"tables": [{"name": "discrepancies", "columns": columns, "rows": list(rows)}]}


def test_a_mistake_is_found_only_with_both_its_values() -> None:
    """Kind and key are not enough: a right place with a wrong amount is missed and unexpected."""
    planted = [
        Planted("missing_row", "mail/brand/rebate", "1.00", ""),
        Planted("wrong_rebate", "retail/brand/rebate", "2.00", "3.00"),
    ]
    found = packet(
        ["mail/brand/rebate", "missing_row", "1.00", None],
        ["retail/brand/rebate", "wrong_rebate", "2.00", "4.00"],
    )

    held = held_against(found, planted)

    assert held.found == planted[:1]
    assert held.missed == planted[1:]
    assert [row["legacy"] for row in held.unexpected] == ["4.00"]
