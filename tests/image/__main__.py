"""`make image-check`: the whole of it, a minute or more; with PYTHON_IMAGE set and a builder there,
the image too.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.image.wheel import COMMANDS, ENDS_WITH, PROJECT, built_wheel, fresh_environment, started

_BUILDERS = {"docker": "build", "podman": "build", "buildah": "bud"}


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        commands = fresh_environment(place / "fresh", built_wheel(place / "wheel"))
        for part in COMMANDS:
            done = started(part, commands, place)
            if done.returncode != ENDS_WITH.get(part, 0):
                print(f"{part} ended with {done.returncode}:\n{done.stderr}")
                return 1
            print(f"{part}: starts from the wheel in a fresh environment")
    return _image()


def _image() -> int:
    base = os.environ.get("PYTHON_IMAGE")
    builder = next((name for name in _BUILDERS if shutil.which(name)), None)
    if base is None or builder is None:
        print("image: not built; PYTHON_IMAGE=name@sha256:... and docker, podman or buildah do it")
        return 0
    tag = ["-t", "leaf-fleet:check", "--build-arg", f"PYTHON_IMAGE={base}", str(PROJECT)]
    built = subprocess.run([builder, _BUILDERS[builder], *tag], check=False)
    print(f"image: {builder} ended with {built.returncode}")
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
