"""How long the console's pages take on a ledger of 100,000 runs: `python -m bench.console`.

Seeds a ledger (700,000 tasks, with attempts, moves, artifacts, decisions and spans) by bulk
insert, once for each folder; starts `python -m console` on it; asks for every page again and again,
each time for other runs, tasks and filters, one request at a time; prints the median and the 95th
percentile of the time until the whole answer is there. Then a run is written while a stream is
open, and it is measured how long after the commit the page's own refresh shows it.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.console_ledger import Seeded, seed
from contracts.artifact import Scope
from contracts.decision import Gate
from contracts.ids import run_id
from contracts.request import RunRequest
from fleet.clock import SystemClock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import NewRun
from tests.console.ledgers import GRAPH, a_decision

_PROJECT = Path(__file__).parents[1]


@contextmanager
def console(home: Path) -> Iterator[httpx.Client]:
    """A browser that is logged in to a console process on `home`."""
    ready = home / "console.ready"
    ready.unlink(missing_ok=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FLEET_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "--ready-file", str(ready)],
        env={**clean, "FLEET_HOME": str(home), "FLEET_CONSOLE_PORT": "0"},
        cwd=_PROJECT,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not ready.exists():
            assert process.poll() is None, "the console ended"
            time.sleep(0.05)
        port = json.loads(ready.read_text())["console_port"]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            key = (home / "console.key").read_text().strip()
            form = {"key": key, "name": "ada", "role": "admin"}
            assert client.post("/login", data=form).status_code == 303
            yield client
    finally:
        process.terminate()
        process.wait(30)


def pages(made: Seeded, chance: random.Random) -> dict[str, Callable[[], str]]:
    """By name, how to make up an address of each page."""
    pick = chance.choice
    return {
        "overview": lambda: "/",
        "runs": lambda: "/runs",
        "runs, one state": lambda: f"/runs?state={pick(['failed', 'succeeded', 'running'])}",
        "runs, one tenant": lambda: f"/runs?tenant={pick(made.tenants)}",
        "runs, tenant and state": lambda: f"/runs?tenant={pick(made.tenants)}&state=failed",
        "runs, one pipeline": lambda: f"/runs?pipeline={pick(made.pipelines)}",
        "runs, a day": lambda: f"/runs?until={pick(made.days)}T00:00",
        "runs, words": lambda: f"/runs?text=client-{chance.randrange(10**6)}",
        "run": lambda: f"/runs/{pick(made.runs)}",
        "tasks of a run": lambda: f"/runs/{pick(made.runs)}/tasks",
        "task": lambda: f"/tasks/{pick(made.tasks)}",
        "artifact": lambda: f"/artifacts/{pick(made.tasks)}/1/0",
        "artifacts": lambda: "/artifacts",
        "artifacts, words": lambda: f"/artifacts?text={chance.randrange(16**6):06x}",
        "dead letters": lambda: "/dead-letters",
        "a group of them": lambda: f"/dead-letters/groups/{pick(made.groups)}",
        "approvals": lambda: "/approvals",
        "lanes": lambda: "/lanes",
        "workers": lambda: "/workers",
        "schedules": lambda: "/schedules",
        "policies": lambda: "/policies",
        "audit": lambda: "/audit",
    }


def timed(client: httpx.Client, make: Callable[[], str], times: int) -> list[float]:
    """Milliseconds of each request, sorted."""
    took = []
    for _ in range(times):
        path = make()
        began = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, answer.status_code)
    return sorted(took)


def deep(client: httpx.Client, path: str, steps: int) -> list[float]:
    """Milliseconds of each of so many pages, one behind the other."""
    took = []
    for _ in range(steps):
        began = time.perf_counter()
        text = client.get(path).text
        took.append((time.perf_counter() - began) * 1000)
        found = text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        path = "/runs" + found.replace("&amp;", "&")
    return sorted(took)


def liveness(client: httpx.Client, home: Path, times: int) -> list[float]:
    """Milliseconds from a run's commit until the page that a stream's event made a browser fetch
    shows it."""

    async def write(ledger: Ledger) -> str:
        now = SystemClock().now()
        run = run_id(now, os.urandom(10))
        await ledger.start_run(
            NewRun(
                run=run,
                request=RunRequest(pipeline="live", scope=Scope(tenant="acme"), requester="bench"),
                graph=GRAPH,
                admitted=a_decision(Gate.ADMIT),
                submitted=now,
                deadline=now,
                traceparent=None,
            )
        )
        return run

    async def all_of_them() -> list[float]:
        took = []
        async with await Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
            for _ in range(times):
                moved = threading.Event()
                listening = threading.Event()
                watcher = threading.Thread(target=_watch, args=(client, listening, moved))
                watcher.start()
                await asyncio.to_thread(listening.wait)
                await asyncio.sleep(0.3)
                run = await write(ledger)
                began = time.perf_counter()
                await asyncio.to_thread(moved.wait)
                text = await asyncio.to_thread(lambda: client.get("/runs").text)
                took.append((time.perf_counter() - began) * 1000)
                assert run in text
                watcher.join()
        return sorted(took)

    return asyncio.run(all_of_them())


def _watch(client: httpx.Client, listening: threading.Event, moved: threading.Event) -> None:
    with httpx.stream(
        "GET", f"{client.base_url}/live", cookies=client.cookies, timeout=60
    ) as stream:
        for line in stream.iter_lines():
            if line == "data: opened":
                listening.set()
            if line == "data: moved":
                moved.set()
                return


def row(name: str, took: list[float]) -> str:
    """One line of the table."""
    p95 = took[min(round(len(took) * 0.95), len(took) - 1)]
    return f"| {name} | {len(took)} | {statistics.median(took):.0f} ms | {p95:.0f} ms |\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=40, help="requests of each page")
    parser.add_argument("--home", type=Path, help="keep the ledger here, and use it again")
    parser.add_argument("--only-seed", action="store_true")
    parser.add_argument("--only", default="", help="pages whose name begins so; `live` for that")
    given = parser.parse_args()
    out = sys.stdout
    with tempfile.TemporaryDirectory(prefix="console") as folder:
        home = given.home or Path(folder)
        began = time.monotonic()
        made = seed(home, given.runs)
        out.write(
            f"{given.runs:,} runs, {given.runs * 7:,} tasks: {time.monotonic() - began:.0f} s\n\n"
        )
        if given.only_seed:
            return 0
        with console(home) as client:
            out.write("| page | requests | median | p95 |\n| --- | ---: | ---: | ---: |\n")
            for name, make in pages(made, random.Random(7)).items():
                if not name.startswith(given.only):
                    continue
                timed(client, make, 2)
                out.write(row(name, timed(client, make, given.times)))
                out.flush()
            if "runs".startswith(given.only):
                out.write(row("runs, page after page", deep(client, "/runs", given.times)))
            if not "live".startswith(given.only):
                return 0
            out.write("\n| live | times | median | p95 |\n| --- | ---: | ---: | ---: |\n")
            out.write(row("commit to shown", liveness(client, home, 20)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
