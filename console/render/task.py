"""Everything the ledger knows of one task, for a person who asks what happened to it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from console.render.marks import clock_time, mark, shown, size, span, word
from console.render.tables import plain_table
from contracts.artifact import ArtifactPointer
from contracts.decision import Decision
from fleet.ledger.rows import SpanRow, TaskDetail
from fleet.telemetry.lines import LogLine


def drawing(
    task: TaskDetail,
    spans: Sequence[SpanRow],
    lines: Sequence[LogLine],
    now: datetime,
    *,
    plain: bool = False,
) -> RenderableType:
    """Head, history, attempts, decisions, inputs, outputs, spans and logs; what is empty is left
    out."""
    parts: list[RenderableType] = [_head(task, plain=plain)]
    if task.facts:
        facts = (f"  {shown(name)}: {shown(str(value))}" for name, value in task.facts.items())
        parts += [_title("facts"), Text("\n".join(facts))]
    if task.history:
        parts += [_title("history"), _history(task)]
    if task.attempts:
        parts += [_title("attempts"), _attempts(task, now)]
    if task.decisions:
        parts.append(_title("decisions"))
        parts += [_decision(recorded.decision) for recorded in task.decisions]
    for title, pointers in (("inputs", task.inputs), ("outputs", task.outputs)):
        if pointers:
            parts += [_title(title), artifact_table(pointers)]
    if spans:
        parts += [_title(f"spans of trace {spans[0].trace_id}"), span_tree(spans)]
    if lines:
        parts += [_title("logs"), log_lines(lines)]
    return Group(*parts)


def artifact_table(pointers: Iterable[ArtifactPointer]) -> Table:
    """Artifacts by what they are called, with where the bytes are."""
    right = {"rows", "size"}
    table = _table("made by", "name", "rows", "size", "tier", "taints", "artifact", right=right)
    for pointer in pointers:
        table.add_row(
            _maker(pointer),
            shown(pointer.name),
            "" if pointer.rows is None else f"{pointer.rows:,}",
            size(pointer.size),
            pointer.tier.value,
            shown(", ".join(pointer.taints)),
            Text(shown(pointer.uri), no_wrap=True, overflow="ellipsis"),
        )
    return table


def _maker(pointer: ArtifactPointer) -> str:
    """The stage and partition; what no stage made was given."""
    made = pointer.provenance
    if made is None:
        return "given"
    return shown(f"{made.stage}/{made.partition}" if made.partition else made.stage)


def span_tree(spans: Sequence[SpanRow]) -> RenderableType:
    """The spans as the tree that their parents make, each with its milliseconds.

    A span whose parent is not among them stands at the top.
    """
    children: dict[str | None, list[SpanRow]] = defaultdict(list)
    known = {row.span_id for row in spans}
    for row in sorted(spans, key=lambda row: (row.start_ns, row.span_id)):
        above = row.parent_id if row.parent_id in known and row.parent_id != row.span_id else None
        children[above].append(row)
    tops = [_branch(row, children) for row in children[None]]
    return Group(*tops)


def log_lines(lines: Iterable[LogLine]) -> Table:
    """What was logged, with the stacks."""
    table = plain_table()
    for column in ("at", "attempt", "level"):
        table.add_column(column, no_wrap=True)
    table.add_column("said", overflow="fold")
    for line in lines:
        said = [f"{shown(line.logger)}: {shown(line.message)}"]
        said += [f"  {shown(step)}" for step in line.stack]
        table.add_row(
            line.at.strftime("%H:%M:%S.%f")[:-3],
            "-" if line.attempt is None else str(line.attempt),
            Text(shown(line.level), _LEVELS.get(line.level, "")),
            Text("\n".join(said)),
        )
    return table


_LEVELS = {"warning": "yellow", "error": "red", "critical": "bold red"}


def _branch(row: SpanRow, children: dict[str | None, list[SpanRow]]) -> Tree:
    root = Tree(_span_line(row))
    # Not by recursion: a trace is as deep as its run has stages, and that is for others to say.
    open_: list[tuple[SpanRow, Tree]] = [(row, root)]
    while open_:
        above, tree = open_.pop()
        below = children.pop(above.span_id, [])
        open_ += [(row, tree.add(_span_line(row))) for row in below]
    return root


def _span_line(row: SpanRow) -> Text:
    milliseconds = (row.end_ns - row.start_ns) / 1e6
    line = Text(f"{shown(row.name)}  {milliseconds:.1f} ms", style="")
    if row.status.casefold() == "error":
        line.stylize("red")
    return line


def _head(task: TaskDetail, *, plain: bool) -> Text:
    where = f"{task.stage}/{task.partition}" if task.partition else task.stage
    head = Text.assemble(
        mark(task.state, plain=plain),
        f" {shown(where)}: ",
        word(task.state),
        f"\n  task {task.task}\n  run {task.run}",
        f"\n  {task.kind} v{task.version} on lane {task.lane}",
        f", attempt {task.attempt} of {task.max_attempts}",
    )
    if task.pending:
        head.append(f"\n  waits for {task.pending} parents")
    if task.worker:
        head.append(f"\n  worker {shown(task.worker)}")
    if task.fault:
        fault = f"\n  {shown(task.fault.code)} ({task.fault.kind}): {shown(task.fault.message)}"
        head.append(fault, style="red")
    head.append(f"\n  deadline {clock_time(task.deadline)}")
    if task.trace_id:
        head.append(f"\n  trace {task.trace_id}")
    return head


def _history(task: TaskDetail) -> Table:
    table = _table("at", "from", "to", "by", "why")
    for event in task.history:
        table.add_row(
            event.at.strftime("%H:%M:%S.%f")[:-3],
            "" if event.old is None else word(event.old),
            word(event.new),
            shown(event.actor),
            shown(event.detail),
        )
    return table


def _attempts(task: TaskDetail, now: datetime) -> Table:
    table = _table("attempt", "epoch", "state", "time", "worker", "why", right={"attempt", "epoch"})
    for attempt in task.attempts:
        why = "" if attempt.fault is None else f"{attempt.fault.code}: {attempt.fault.message}"
        if attempt.reused_from:
            why = f"result of task {attempt.reused_from} used again"
        table.add_row(
            str(attempt.number),
            str(attempt.epoch),
            word(attempt.state),
            span((attempt.ended or now) - attempt.started),
            shown(attempt.worker),
            shown(why),
        )
    return table


def _decision(decision: Decision) -> Text:
    text = Text(f"  {decision.gate}: ")
    text.append(decision.verdict.value, style="green" if decision.allowed else "bold red")
    for reason in decision.reasons:
        text.append(f"\n    {reason.rule}: {shown(reason.text)}")
    for reason in decision.near_misses:
        text.append(f"\n    nearly {reason.rule}: {shown(reason.text)}", style="dim")
    return text


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _table(*columns: str, right: frozenset[str] | set[str] = frozenset()) -> Table:
    table = plain_table()
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table
