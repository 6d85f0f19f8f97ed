"""Where a worker's CPU goes: samples of what its event loop does.

The kernel interrupts the process every few milliseconds of CPU, and the innermost module on the
stack that is somebody's says whose time that was. Sampling takes 1 % itself, so that a run which is
sampled is not one that is timed.
"""

import json
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

PARTS = {
    "the SDK, settling": (),
    "the SDK, receiving": ("azure/",),
    "the pipe to the ledger's process": ("fleet/ledger/",),
    "spans": ("fleet/telemetry/", "workers/spans.py"),
    "gates and their facts": ("policies/", "workers/execute_facts.py", "contracts/decision.py"),
    "the claim's digest": ("contracts/promised.py",),
    "envelopes": ("contracts/envelope.py", "fleet/bus/"),
    "the handler and its bench": ("workers/runner.py", "workers/guard.py", "workers/bench.py"),
    "the executor": ("workers/",),
    "the event loop": (),
}
"""Parts by the folders and files that are theirs; the first that fits."""
RECORDING = (
    "the pipe to the ledger's process",
    "spans",
    "gates and their facts",
    "the claim's digest",
)
"""What would not be there if nothing were recorded. Who settles and receives would still do so."""

_EVERY = 0.004
"""Seconds of CPU between two samples."""
_ROOT = f"{Path(__file__).parents[2]}/"
_SETTLING = "complete_message"


class Sampler:
    """Counts samples of this process, by part, from `start` to `stop`."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def write(self, file: Path) -> None:
        """As JSON."""
        file.write_text(json.dumps(self.parts), encoding="utf-8")

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.parts[_part(frame)] += 1


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        name = frame.f_code.co_filename
        ours = name.startswith(_ROOT) and "site-packages" not in name
        name = name.removeprefix(_ROOT) if ours else name.rpartition("site-packages/")[2]
        for part, places in PARTS.items():
            if name.startswith(places or "-"):
                return "the SDK, settling" if "SDK" in part and _settles(frame) else part
        frame = frame.f_back
    return "the event loop"


def _settles(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == _SETTLING:
            return True
        frame = frame.f_back
    return False
