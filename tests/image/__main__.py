"""`make image-check`: the whole of it, a minute or more; with PYTHON_IMAGE set and a builder there,
the image too.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.image.wheel import (
    COMMANDS,
    ENDS_WITH,
    PROJECT,
    built_wheel,
    fresh_environment,
    megabytes,
    started,
    trimmed,
)

LARGEST_MB = 450
"""What the image may add to its base."""
_SHOWN = 12
_BUILDERS = {"docker": "build", "podman": "build", "buildah": "bud"}


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        packages = fresh_environment(place / "fresh", built_wheel(place / "wheel"))
        if not _slimmed(packages):
            return 1
        commands = place / "fresh" / "bin"
        for part in COMMANDS:
            done = started(part, commands, place)
            if done.returncode != ENDS_WITH.get(part, 0):
                print(f"{part} ended with {done.returncode}:\n{done.stderr}")
                return 1
            print(f"{part}: starts from the wheel in a fresh environment")
        demo = [str(commands / "fleet"), "--home", str(place / "home"), "demo"]
        if ended := subprocess.run(demo, cwd=place, check=False).returncode:
            return ended
    return _image()


def _slimmed(packages: Path) -> bool:
    """Measure, trim, measure again; whether it is small enough."""
    before = megabytes(packages)
    trimmed(packages)
    after = megabytes(packages)
    print("| library | installed | in the image |")
    print("|---|---|---|")
    for name in list(before)[:_SHOWN]:
        print(f"| {name.partition('.')[0]} | {before[name]:.0f} MB | {after[name]:.0f} MB |")
    whole = sum(after.values())
    print(f"| all {len(before)} | {sum(before.values()):.0f} MB | {whole:.0f} MB |")
    if whole > LARGEST_MB:
        print(f"more than {LARGEST_MB} MB: see image/left-out.txt")
    return whole <= LARGEST_MB


def _image() -> int:
    base = os.environ.get("PYTHON_IMAGE")
    builder = next(filter(_works, _BUILDERS), None)
    if base is None or builder is None:
        print("image: not built; PYTHON_IMAGE=name@sha256:... and docker, podman or buildah do it")
        return 0
    tag = ["-t", "leaf-fleet:check", "--build-arg", f"PYTHON_IMAGE={base}", str(PROJECT)]
    built = subprocess.run([builder, _BUILDERS[builder], *tag], check=False)
    print(f"image: {builder} ended with {built.returncode}")
    return built.returncode


def _works(builder: str) -> bool:
    """Whether it is there and builds: docker alone is but a client, which may have no daemon."""
    if shutil.which(builder) is None:
        return False
    return subprocess.run([builder, "info"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
