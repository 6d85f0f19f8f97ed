"""Packages of npm that tests need, installed once for each lock file, outside the repository."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_LOCK = "package-lock.json"


def npm_folder(project: Path) -> Path:
    """A folder with the files of `project` and its packages. Skips the test where there is no
    Node.js, or npm cannot install them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    digest = hashlib.sha256((project / _LOCK).read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"npm-{project.name}-{digest}"
    folder.mkdir(exist_ok=True)
    # Test processes that start together install once.
    with (folder / "installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in project.iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
        if not (folder / "installed").exists():
            command = [npm, "ci", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"]
            done = subprocess.run(
                [*command, "--ignore-scripts"], cwd=folder, capture_output=True, check=False
            )
            if done.returncode:
                pytest.skip(f"npm cannot install the packages of {project.name} here")
            (folder / "installed").touch()
    return folder
