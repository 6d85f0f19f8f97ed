"""The console's process: `python -m console` serves the operators' pages.

The command `fleet` is console.cli. The stack's bus and dispatcher are found as that finds them: in
FLEET_HOME, or in the environment.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from console.site import Site
from fleet.errors import FleetError
from fleet.loop import run
from fleet.telemetry.logs import start_logging
from policies.bundle import BundleRefused

_EXAMPLES = """\
examples:
  python -m console                                   # of the stack in FLEET_HOME, or .fleet
  FLEET_CONSOLE_PORT=0 python -m console --ready-file ready.json   # any free port, told in the file

Settings come from FLEET_* variables (docs/reference/settings.md). SIGTERM or Ctrl-C stops it.
"""


async def _until_signalled(site: Site, ready_file: Path | None) -> None:
    from console.web.serve import serve

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(site, stop, ready_file)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when it was told to stop, 2 when it cannot start as it is set."""
    parser = argparse.ArgumentParser(
        prog="python -m console",
        description="Serves the operators' pages. (The command line is `fleet`.)",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--ready-file", type=Path, help="written once it listens: JSON with console_port and pid"
    )
    given = parser.parse_args(arguments)
    start_logging("console")
    try:
        run(_until_signalled(Site.find(None), given.ready_file))
    except (FleetError, BundleRefused) as cause:
        sys.stderr.write(f"console: {cause}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
