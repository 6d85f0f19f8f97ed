"""The command `fleet`, called as a person calls it, and homes for it to look at."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from console.cli import main
from tests.console.ledgers import Home

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What a call of `fleet` ended with."""

    code: int
    out: str
    err: str


Fleet = Callable[..., Done]


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What `fleet` sees of this process's environment: no settings but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    return {**plain, "FLEET_HOME": str(home), **(more or {})}


def called(home: Path, *arguments: str, **more: str) -> Done:
    """`fleet` as a process of its own. `more`: settings by variable."""
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment(home, more),
        cwd=PROJECT,
        check=False,
        timeout=110,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_interrupts() -> None:
    """Where the tests run in the background of a script it is ignored, also by what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def fleet(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """`fleet` in this process: `fleet("runs", "--json")`."""
    for name in [name for name in os.environ if name.startswith("FLEET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLEET_HOME", str(home.folder))

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, told.out, told.err)

    return call
