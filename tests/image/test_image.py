"""The Dockerfile is clean, ships no more than it must, and its commands start from the wheel."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.image.wheel import COMMANDS, ENDS_WITH, PROJECT, built_wheel, started

_DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")


def test_hadolint_has_nothing_to_say() -> None:
    """No warning either; exceptions have their reason beside them."""
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run(
        [str(program), str(PROJECT / "Dockerfile")], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_that_ships_is_nobodys_and_has_no_builder() -> None:
    """A number for a user, no pip, no default base, and a health command."""
    final = _DOCKERFILE[_DOCKERFILE.index(" AS image") :]

    assert re.search(r"^ARG PYTHON_IMAGE$", _DOCKERFILE, re.M), "a default would not be a digest"
    assert re.findall(r"^USER (.*)$", final, re.M) == ["10001:10001"]
    assert not re.search(r"\b(pip|gcc|build-essential|venv)\b", final)
    assert "HEALTHCHECK" in final


def test_the_image_says_what_it_is_and_what_it_stands_on() -> None:
    """For scanners: the base with its digest, the revision, every package by hash."""
    final = _DOCKERFILE[_DOCKERFILE.index(" AS image") :]
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="(.*?)"', final))

    assert labels["base.name"] == "${PYTHON_IMAGE}"
    assert set(labels) >= {"title", "description", "version", "revision", "created"}
    for told in re.findall(r"\$\{(\w+)\}", "".join(labels.values())):
        assert re.search(rf"^ARG {told}\b", final, re.M), "unset in this stage, and so empty"
    assert "COPY requirements-image.lock /usr/share/doc/leaf-fleet/" in final


def test_every_package_of_the_wheel_is_copied_into_the_build() -> None:
    """A package that is new in pyproject.toml must not be missing in the image."""
    packages = re.search(r"^packages = \[(.*)\]$", _pyproject(), re.M)
    assert packages
    names = re.findall(r'"(\w+)"', packages[1])
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()

    assert names
    assert [name for name in names if f"COPY {name} {name}\n" not in _DOCKERFILE] == []
    assert [name for name in names if f"!{name}" not in ignored] == []


def test_what_the_image_leaves_out_is_there_to_be_left_out() -> None:
    """A library that moved its parts would ship them again, unseen. The list does not reach into
    whole libraries: `make image-check` runs the demo without what it names."""
    lines = (PROJECT / "image" / "left-out.txt").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    packages = Path(sysconfig.get_path("purelib"))

    assert patterns
    assert [one for one in patterns if not list(packages.glob(one))] == []
    assert [one for one in patterns if "/" not in one or ".." in one] == []


def _pyproject() -> str:
    whole = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    return whole.split("[tool.hatch.build.targets.wheel]")[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own; libraries are this environment's."""
    place = tmp_path_factory.mktemp("wheel")
    wheel = built_wheel(place)
    target = place / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = [*pip, "--target", str(target), str(wheel)]
    subprocess.run(done, check=True, capture_output=True)
    return target


@pytest.mark.parametrize("part", COMMANDS)
def test_a_command_of_the_image_starts_from_the_wheel(
    part: str, installed: Path, tmp_path: Path
) -> None:
    """With the rules and lanes that came with it; `make image-check` has a fresh environment."""
    done = started(part, installed / "bin", tmp_path, {"PYTHONPATH": str(installed)})

    assert done.returncode == ENDS_WITH.get(part, 0), done.stderr
    assert "Traceback" not in done.stderr


def test_what_starts_is_the_wheel_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    """Or the test above would show nothing."""
    asked = [sys.executable, "-c", "import fleet.lanes; print(fleet.lanes.LANES_FILE)"]
    done = subprocess.run(
        asked,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        check=True,
    )

    assert Path(done.stdout.strip()) == installed / "fleet" / "lanes.toml"
