"""Make the console's pictures anew: `python docs/pictures/make_console_pictures.py`.

Needs a running stack in FLEET_HOME that a demo was shown on (`fleet demo --keep`), Chromium, Node
and npm. So that there is something to look at, it also asks for a few runs that must fail.
"""

import json
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

from console.intake import Intake
from console.site import Site
from contracts.artifact import Scope
from contracts.request import RunRequest
from contracts.states import FINAL, State
from fleet.access.local import local_key
from fleet.ledger.browse import LedgerBrowser, RunFilter
from tests.console.web.browser.test_browser import installed

PICTURES = Path(__file__).parent
_WIDE, _PHONE = (1280, 800), (390, 760)


def fail_some(site: Site) -> None:
    """Runs of clients that are in no database: dead letters of one cause."""
    with Intake(site.settings.http_host, site.settings.http_port) as intake:
        runs = [
            intake.submit(
                RunRequest(
                    pipeline="guarantee_report",
                    parameters={"client": client},
                    scope=Scope(tenant=client),
                    requester="salesforce",
                    key=f"pictures-{uuid.uuid4()}",
                )
            ).run
            for client in ("elm-outdoors", "fir-logistics", "gum-retail")
        ]
    with site.reader() as reader:
        until = time.monotonic() + 120
        while any(reader.run(run).state not in FINAL for run in runs):
            assert time.monotonic() < until, "the runs that must fail do not end"
            time.sleep(0.5)


def main() -> int:
    site = Site.find(None)
    chromium = shutil.which("chromium")
    if site.stack is None or chromium is None:
        sys.stderr.write("a running stack (fleet demo --keep) and Chromium are needed\n")
        return 2
    fail_some(site)
    with LedgerBrowser(site.settings.ledger_address) as browser, site.reader() as reader:
        run = browser.runs(RunFilter(state=State.SUCCEEDED)).rows[0].run
        book = next(row for row in reader.artifacts(run) if row.stage == "guarantees")
    pages = [
        ("console-overview", "/", "light", *_WIDE),
        ("console-run", f"/runs/{run}", "light", *_WIDE),
        ("console-dead-letters", "/dead-letters", "light", *_WIDE),
        ("console-artifact", f"/artifacts/{book.task}/{book.epoch}/0", "dark", *_WIDE),
        ("console-phone", "/", "dark", *_PHONE),
    ]
    told = {
        "chromium": chromium,
        "console": f"http://{site.stack.console_host}:{site.stack.console_port}",
        "key": local_key(site.settings.home),
        "folder": str(PICTURES),
        "pages": pages,
    }
    folder = installed(PICTURES / "console.mjs")
    node = shutil.which("node") or "node"
    subprocess.run([node, "console.mjs", json.dumps(told)], cwd=folder, check=True)  # noqa: S603 - ours
    return 0


if __name__ == "__main__":
    sys.exit(main())
