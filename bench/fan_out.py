"""How much memory a wide fan-out takes: `python -m bench.fan_out --widths 1000,100000`.

Real processes (bus, dispatcher, one worker) carry a run of two stages: a list that discovers so
many partitions, one task for each, and a gathering that reads all they made. Each width has its own
processes; the peak of their memory (VmHWM, with that of the process that writes their ledger) is
read when the run has ended. Statements are counted
by tests/fleet/ledger/test_fan.py.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.fleet.process import children, peak_mib
from contracts.ids import task_id
from contracts.states import State
from tests.chaos.rig import Rig, a_rig

_LANES = """\
[chaos]
kinds = ["chaos.step"]
mode = "thread"
concurrency = 32
timeout = 300
lease = 60
"""


def measured(rig: Rig, width: int) -> tuple[float, float, float]:
    """Seconds for a run of `width` partitions; peaks of dispatcher and worker in MiB."""
    began = time.monotonic()
    run = rig.start_run(width=width, stages=1, work=0.0)
    while not rig.ended(run):
        time.sleep(0.5)
    seconds = time.monotonic() - began
    ended = rig.reader.run(run)
    assert ended.state is State.SUCCEEDED, ended
    assert ended.tasks == width + 2, ended
    assert rig.reader.task(task_id(run, "gather")).facts == {"read": width}
    dispatcher, worker = rig.dispatcher.mark.pid, rig.workers[0].mark.pid
    return seconds, _peak(dispatcher), _peak(worker)


def _peak(pid: int) -> float:
    return peak_mib(pid) + sum(peak_mib(child) for child in children(pid))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fan_out")
    parser.add_argument("--widths", default="1000,100000")
    widths = [int(width) for width in parser.parse_args().widths.split(",")]
    out = sys.stdout
    out.write("| partitions | seconds | tasks a second | dispatcher | worker |\n")
    out.write("| ---: | ---: | ---: | ---: | ---: |\n")
    for width in widths:
        with (
            tempfile.TemporaryDirectory(prefix="fan") as folder,
            a_rig(Path(folder) / "home", lanes=_LANES, workers=1) as rig,
        ):
            seconds, dispatcher, worker = measured(rig, width)
        out.write(
            f"| {width:,} | {seconds:.0f} | {width / seconds:.0f} |"
            f" {dispatcher:.0f} MiB | {worker:.0f} MiB |\n"
        )
        out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
