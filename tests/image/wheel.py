"""The wheel built and installed apart from the checkout, and the image's commands started there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
COMMANDS = {
    "worker": ["python", "-m", "workers", "--help"],
    "dispatcher": ["python", "-m", "dispatcher", "--help"],
    "console": ["python", "-m", "console", "--help"],
    "bus": ["python", "-m", "localbus", "--help"],
    "fleet": ["fleet", "policy", "show"],
    "health": ["python", "-m", "workers.health", "absent.json"],
}
"""What the image is asked to run, by its part; `fleet` reads rules and lanes from the wheel."""
ENDS_WITH = {"health": 1}
"""Exit codes, where they are not 0: nobody has said yet how the worker is."""


def built_wheel(folder: Path) -> Path:
    """Built without isolation, by the hatchling of this environment."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    _run([*pip, "--wheel-dir", str(folder), str(PROJECT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def fresh_environment(folder: Path, wheel: Path) -> Path:
    """As the Dockerfile makes it: by hash, from wheels alone, without pip. Its site-packages."""
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    pip += ["install", "--quiet"]
    lock = str(PROJECT / "requirements-image.lock")
    _run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock])
    _run([*pip, "--no-deps", str(wheel)])
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


def trimmed(packages: Path) -> None:
    """As the Dockerfile does it. Needs binutils."""
    _run([str(PROJECT / "image" / "trim.sh"), str(packages)])


def megabytes(folder: Path) -> dict[str, float]:
    """What each entry of a folder takes on disk, in MB of 1,000,000 bytes, the largest first."""
    sizes: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(folder).parts[0]
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return {name: sizes[name] / 1e6 for name in sorted(sizes, key=lambda n: (-sizes[n], n))}


def started(
    part: str, commands: Path, folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One of the image's commands, run in an empty folder with `commands` first on the path."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    environment = {**plain, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **(more or {})}
    program, *arguments = COMMANDS[part]
    # Of this environment where `commands` brings no interpreter of its own.
    python = commands / "python" if (commands / "python").exists() else Path(sys.executable)
    return subprocess.run(
        [str(python) if program == "python" else str(commands / program), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
        timeout=110,
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
