"""How much of a worker's CPU goes into recording: samples of what its event loop does.

The kernel interrupts the process every few milliseconds of CPU; a sample counts as recording when
anything on the stack belongs to the ledger, to spans, to decisions or to artifact pointers. That
takes 1 % itself, so that a run which is sampled is not one that is timed.
"""

import json
import signal
from pathlib import Path
from types import FrameType

_EVERY = 0.004
"""Seconds of CPU between two samples."""
_MODULES = (
    "fleet/ledger/",
    "fleet/telemetry/",
    "policies/",
    "contracts/promised.py",
    "contracts/decision.py",
    "workers/spans.py",
    "workers/outputs.py",
    "workers/execute_facts.py",
)
_STEPS = {"claim", "decided", "recording", "written"}
"""Of workers/executor.py."""
_ROOT = f"{Path(__file__).parents[2]}/"


class Sampler:
    """Counts samples of this process from `start` to `stop`."""

    def __init__(self) -> None:
        self.samples = self.recording = 0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def write(self, file: Path) -> None:
        """As JSON."""
        told = {"samples": self.samples, "recording": self.recording}
        file.write_text(json.dumps(told), encoding="ascii")

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        while frame is not None:
            if _records(frame):
                self.recording += 1
                return
            frame = frame.f_back


def _records(frame: FrameType) -> bool:
    name = frame.f_code.co_filename.removeprefix(_ROOT)
    if name == "workers/executor.py":
        return frame.f_code.co_name in _STEPS
    return name.startswith(_MODULES)
