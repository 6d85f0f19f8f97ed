"""Coverage-guided fuzzing with atheris, which is not among the project's dependencies.

    pip install atheris
    python -m tests.localbus.fuzz connection CORPUS_FOLDER... -max_total_time=600 -rss_limit_mb=1024

The targets are `codec` and `connection`; what follows goes to libFuzzer. What a run finds is
minimised and kept under tests/localbus/corpus/, which the suite replays.
"""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Fuzz until libFuzzer ends."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["localbus"]):
        from tests.localbus.fuzz import targets
    name, arguments = sys.argv[1], sys.argv[2:]
    target = {"codec": lambda: targets.codec_target, "connection": targets.ConnectionTarget}[name]()
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
