"""`python -m bench.autoscale`: figures and plots for docs/explanation/autoscaling.md.

python -m bench.autoscale                     advise, draw, and write the page's tables
python -m bench.autoscale --measure URL       service times of a ledger, into service_times.json
"""

import argparse
import functools
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
    Load,
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
_DRAWN = ("agent", "normalize")
_SHOWN = 1800
"""Seconds of a plot: one wave, and what comes of it."""
_INPUTS = ["lane", "attempts measured", "mean", "p95", "at once in a pod", "drain"]
_NEEDS = ["load", "runs a day", "tasks/s", "at a wave", "bus operations/s", "shards"]
_NEEDS += ["bus of each", "ledger a day of each", "pods kept busy", "nodes"]
_NEEDS += ["one bus for all would be"]


def figures() -> str:
    """The tables, as Markdown."""
    lanes = list(load_lanes())
    parts = ["### Inputs\n", _table(_INPUTS, [_input(lane) for lane in lanes])]
    for load in (STATED, TEN):
        told = f"{load.runs:,} runs a day, {load.tasks_a_second:.1f} tasks a second"
        rows = [_row(_advised(lane.name, load), lane.scale.wait) for lane in lanes]
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
    return [
        told.load,
        f"{told.runs:,}",
        f"{told.tasks:,.1f}",
        f"{told.peak:,.0f}",
        f"{told.operations:,.0f}",
        str(told.shards),
        _bus(told.units, told.partitions),
        f"{told.gigabytes:,.1f} GB",
        f"{told.busy_pods:,}",
        str(told.nodes),
        _bus(*told.together) if told.shards > 1 else "the same",
    ]


def _bus(units: int, partitions: int) -> str:
    if not units:
        return "Standard"
    spread = f" in {partitions} partitions" if partitions > 1 else ""
    return f"Premium, {units} unit{'s' if units > 1 else ''}{spread}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def pictures() -> dict[str, str]:
    """The plots by file name: a lane of jobs and one of short tasks."""
    return {f"autoscale-{name}.svg": _picture(name) for name in _DRAWN}


def _picture(name: str) -> str:
    """A lane through two waves at ten times the load: without pods, with the minimum that the table
    advises, and without pods but with the nodes there."""
    told = next(lane for lane in load_lanes() if lane.name == name)
    advice, cold = _advised(name, TEN), Cluster(warm=1)
    lane = replace(in_the_model(told), most=advice.most, messages=advice.messages)
    enough = math.ceil(advice.most / cold.pods_per_node)
    needed = math.ceil(advice.least / cold.pods_per_node)
    panels = [
        _panel("min 0, one node there", replace(lane, least=0), cold),
        _panel(
            f"min {advice.least}, as advised, on {needed} nodes",
            replace(lane, least=advice.least),
            replace(cold, warm=needed),
        ),
        _panel(
            f"min 0, {enough} nodes already there",
            replace(lane, least=0),
            replace(cold, warm=enough),
        ),
    ]
    seconds = f"{lane.mean:.3g} s a task ({'assumed' if name in assumed() else 'measured'})"
    inputs = (
        f"{seconds}, {lane.concurrency} at once in a pod, up to {lane.most} pods, "
        f"messageCount {lane.messages}; a node starts in {cold.node_start:g} s, "
        f"a pod in {cold.pod_start:g} s"
    )
    return drawn(f"Lane {name} at {TEN.runs:,} runs a day: an hour's wave", panels, inputs)


def _panel(title: str, lane: Lane, cluster: Cluster) -> Panel:
    told = told_of(lane, TEN, cluster, seed=1)
    line = [point for point in told.line if point[0] <= _SHOWN]
    # On one scale with the pods: in tens or hundreds where there are so many.
    of = 10 ** int(math.log10(max(1.0, max(waiting for _, waiting, *_ in line) / lane.most)))
    return Panel(
        title=f"{title}: p95 wait over two hours {told.wait(0.95):.0f} s",
        times=[at for at, *_ in line],
        lines=[
            ("waiting" if of == 1 else f"waiting / {of}", [w / of for _, w, _, _ in line]),
            ("pods wanted", [wanted for _, _, wanted, _ in line]),
            ("pods ready", [ready for *_, ready in line]),
        ],
    )


@functools.cache
def _advised(name: str, load: Load) -> Advice:
    lane = next(lane for lane in load_lanes() if lane.name == name)
    return advise(in_the_model(lane), load, lane.scale.wait, Cluster())


if __name__ == "__main__":
    sys.exit(main())
