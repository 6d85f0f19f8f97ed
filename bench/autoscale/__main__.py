"""`python -m bench.autoscale`: figures and plots for docs/explanation/autoscaling.md.

python -m bench.autoscale                     advise, draw, and write the page's tables
python -m bench.autoscale --measure URL       service times of a ledger, into service_times.json
"""

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

from bench.autoscale.limits import Need, need
from bench.autoscale.loads import (
    SERVICE_TIMES,
    STATED,
    TEN,
    THOUSAND,
    assumed,
    ledger_tasks,
    measured,
    service_times,
)
from bench.autoscale.model import Cluster, Lane
from bench.autoscale.plot import Panel, drawn
from bench.autoscale.recommend import Advice, advise, told_of
from contracts.lane import Lane as FleetLane
from contracts.scale import Shape
from fleet.lanes import load_lanes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation" / "autoscaling.md"
BEGIN, END = "<!-- figures: python -m bench.autoscale -->", "<!-- end of figures -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.autoscale", description=__doc__)
    parser.add_argument("--measure", metavar="URL", help="a ledger's SQLAlchemy URL")
    parser.add_argument(
        "--told",
        default="attempts that succeeded, of one ledger",
        help="where the times are from; lanes that are marked as assumed in the file stay",
    )
    given = parser.parse_args()
    if given.measure:
        kept = assumed()
        times = measured(given.measure) | {lane: list(service_times()[lane]) for lane in kept}
        told = {"from": given.told, "assumed": kept, "seconds": times}
        SERVICE_TIMES.write_text(json.dumps(told) + "\n", encoding="utf-8")
        print(
            {lane: f"{len(t)} attempts, mean {sum(t) / len(t):.3f} s" for lane, t in times.items()}
        )
        return 0
    text = figures()
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN, 1)
    PAGE.write_text(
        head + BEGIN + "\n\n" + text + "\n" + END + rest.split(END, 1)[1], encoding="utf-8"
    )
    for name, picture in pictures().items():
        (DOCS / "pictures" / name).write_text(picture, encoding="utf-8")
    print(text)
    return 0


def in_the_model(lane: FleetLane) -> Lane:
    """A lane as lanes.toml has it; jobs are modelled as pods that are drained for as long as it
    takes, which is what a job is to its messages."""
    return Lane(
        name=lane.name,
        service=service_times()[lane.name],
        concurrency=lane.concurrency,
        drain=lane.timeout if lane.scale.shape is Shape.JOB else lane.scale.drain,
        least=lane.scale.min_replicas,
        most=lane.scale.max_replicas,
        messages=lane.message_count,
    )


_LANES = ["lane", "wait asked", "min", "max", "messageCount", "p95 wait", "longest", "pods"]
_INPUTS = ["lane", "attempts measured", "mean", "p95", "at once in a pod", "drain"]
_NEEDS = ["load", "runs a day", "tasks/s", "at a wave", "bus operations/s", "bus", "ledgers"]
_NEEDS += ["ledger a day", "pods kept busy", "nodes"]


def figures() -> str:
    """The tables, as Markdown."""
    lanes = list(load_lanes())
    parts = ["### Inputs\n", _table(_INPUTS, [_input(lane) for lane in lanes])]
    for load in (STATED, TEN):
        told = f"{load.runs:,} runs a day, {load.tasks_a_second:.1f} tasks a second"
        rows = [
            _row(advise(in_the_model(lane), load, lane.scale.wait, Cluster()), lane.scale.wait)
            for lane in lanes
        ]
        parts += [f"### {load.name}: {told}\n", _table(_LANES, rows)]
    times = service_times()
    concurrency = {lane.name: lane.concurrency for lane in lanes}
    carried = ledger_tasks()
    needs = [_need(need(load, times, concurrency, carried)) for load in (STATED, TEN, THOUSAND)]
    parts += ["### What the load asks of bus, ledger and nodes\n", _table(_NEEDS, needs)]
    return "\n".join(parts)


def _input(lane: FleetLane) -> list[str]:
    times, model = sorted(service_times()[lane.name]), in_the_model(lane)
    told = assumed().get(lane.name)
    return [
        lane.name,
        str(len(times)) if told is None else f"none: {told}",
        f"{model.mean:.2f} s",
        f"{times[math.ceil(len(times) * 0.95) - 1]:.2f} s",
        str(model.concurrency),
        f"{model.drain:g} s",
    ]


def _row(advice: Advice, wait: float) -> list[str]:
    return [
        advice.lane,
        f"{wait:g} s",
        *(str(number) for number in (advice.least, advice.most, advice.messages)),
        f"{advice.wait:.1f} s" + ("" if advice.met else " (not met)"),
        f"{advice.worst:.0f} s",
        f"{advice.pods:.1f}",
    ]


def _need(told: Need) -> list[str]:
    kind = f"Premium of {told.units} units" if told.units else "Standard"
    return [
        told.load,
        f"{told.runs:,}",
        f"{told.tasks:,.1f}",
        f"{told.peak:,.0f}",
        f"{told.operations:,.0f}",
        f"{told.namespaces} x {kind}",
        str(told.ledgers),
        f"{told.gigabytes:,.1f} GB",
        str(told.busy_pods),
        str(told.nodes),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def pictures() -> dict[str, str]:
    """The plots by file name: one lane through two waves, cold and warm."""
    agent = in_the_model(next(lane for lane in load_lanes() if lane.name == "agent"))
    agent = replace(agent, most=130)
    cold = Cluster(warm=1, pods_per_node=6)
    panels = []
    for title, lane, cluster in (
        ("min 0, one warm node", replace(agent, least=0), cold),
        ("min 66, which the table advises", replace(agent, least=66), replace(cold, warm=11)),
        ("min 0, 22 nodes already there", replace(agent, least=0), replace(cold, warm=22)),
    ):
        told = told_of(lane, TEN, cluster, seed=1)
        times = [at for at, *_ in told.line]
        panels.append(
            Panel(
                title=f"{title}: p95 wait {told.wait(0.95):.0f} s",
                times=times,
                lines=[
                    ("waiting", [waiting for _, waiting, _, _ in told.line]),
                    ("pods wanted", [wanted for _, _, wanted, _ in told.line]),
                    ("pods ready", [ready for *_, ready in told.line]),
                ],
            )
        )
    heading = (
        f"Lane agent, {TEN.runs:,} runs a day, {agent.mean:.0f} s a task (assumed), up to "
        f"{agent.most} pods; a node starts in {cold.node_start:g} s, a pod in {cold.pod_start:g} s"
    )
    return {"autoscale-agent.svg": drawn(heading, panels)}


if __name__ == "__main__":
    sys.exit(main())
