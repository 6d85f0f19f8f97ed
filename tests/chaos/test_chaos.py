"""Real processes, killed, stopped, cut off and starved: nothing lost, nothing doubled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.rig import Rig, a_rig
from tests.chaos.rounds import one_round


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home: Path = tmp_path_factory.mktemp("chaos") / "home"
    with a_rig(home) as running:
        yield running


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "fault",
    [
        "SIGKILL at 7. recorded",
        "SIGSTOP past the lease, SIGCONT",
        "connections cut",
        "ledger locked past the lease",
        "SIGKILL of a worker that holds a slot",
    ],
)
def test_a_fault_loses_nothing_and_doubles_nothing(rig: Rig, fault: str) -> None:
    """Ledger, artifacts and the handlers' own log tell one story. `make chaos` has them all."""
    verdict, struck, _ = one_round(rig, fault)

    assert struck
    assert verdict.sound, verdict
