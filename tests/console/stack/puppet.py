"""A process for the stack to start: does what its first argument says.

`serve` says that it is ready and ends when told to; `deaf` does not end when told to, and has a
child; `fail` says why and ends; `mute` never becomes ready.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    part, ready_file = sys.argv[1], Path(sys.argv[sys.argv.index("--ready-file") + 1])
    if part == "fail":
        sys.exit("the disk is on fire")
    if part == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["/bin/sleep", "600"])
        ready_file.with_suffix(".child").write_text(str(child.pid))
    if part != "mute":
        print(f"at work as {os.getpid()}", flush=True)
        beside = ready_file.with_suffix(".part")
        beside.write_text(str(os.getpid()))
        beside.replace(ready_file)
    signal.pause()


if __name__ == "__main__":
    main()
