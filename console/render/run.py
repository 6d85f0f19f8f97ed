"""A run's stages as a drawing: parents above children, each with its place on the run's time."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.render.marks import clock_time, mark, short, shown, span, style, summary, word
from console.render.tables import plain_table
from contracts.allowance import over_of
from contracts.states import FINAL, State
from fleet.ledger.rows import RunDetail, RunRow, StageRow, TaskRow

BAR = 28
"""Characters of a bar: the whole of the run's time."""
_TROUBLE = frozenset({State.FAILED, State.DEAD, State.DENIED, State.HELD, State.PARKED})


def drawing(
    run: RunDetail,
    tasks: Sequence[TaskRow],
    now: datetime,
    *,
    plain: bool = False,
    wide: bool = True,
) -> RenderableType:
    """The run's head, its stages, and every task that an operator may have to look at.

    What kind each stage is and what it needs is told only where the terminal is `wide`.
    """
    parts: list[RenderableType] = [_head(run, now, plain=plain), Text()]
    if run.stages:
        parts.append(_stages(run, now, plain=plain, wide=wide))
    parts += _troubles(tasks)
    return Group(*parts)


def task_table(tasks: Iterable[TaskRow], *, plain: bool = False, wide: bool = True) -> Table:
    """Every task of a run, by stage and partition."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "stage", "partition", "state", "attempt", "seconds", "task"):
        table.add_column(
            column,
            justify="right" if column in {"attempt", "seconds"} else "left",
            no_wrap=column in {"state", "task"},
        )
    for task in tasks:
        took = task.ended - task.started if task.started and task.ended else None
        table.add_row(
            mark(task.state, plain=plain),
            task.stage,
            shown(task.partition),
            word(task.state),
            f"{task.attempt}/{task.max_attempts}",
            "" if took is None else f"{took.total_seconds():.2f}",
            short(task.task, wide=wide),
        )
    return table


def runs_table(
    runs: Iterable[RunRow], now: datetime, *, plain: bool = False, wide: bool = True
) -> Table:
    """Runs, one a line, in the order given. When they were asked for only where it is `wide`."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "run", "pipeline", "tenant", "state", "tasks", "time"):
        table.add_column(
            column,
            justify="right" if column in {"tasks", "time"} else "left",
            no_wrap=column in {"run", "state"},
        )
    if wide:
        table.add_column("submitted")
    for run in runs:
        table.add_row(
            mark(run.state, plain=plain),
            short(run.run, wide=wide),
            run.pipeline,
            run.tenant,
            word(run.state),
            f"{run.tasks - run.open_tasks}/{run.tasks}",
            span((run.ended or now) - run.submitted),
            *([clock_time(run.submitted)] if wide else []),
        )
    return table


def progress_line(run: RunDetail) -> str:
    """The run's progress as one plain line."""
    active = [f"{s.stage} {_done(s)}" for s in run.stages if s.states.get(State.RUNNING)]
    now = f"; now {', '.join(active)}" if active else ""
    return f"run {run.run} {run.state}: {run.tasks - run.open_tasks}/{run.tasks} tasks{now}"


def bar(
    started: datetime | None,
    ended: datetime | None,
    *,
    of: tuple[datetime, datetime],
    plain: bool = False,
) -> str:
    """A stage's time as a stretch of the run's time, `BAR` characters wide.

    Whatever has started is seen, however short it was.
    """
    if started is None:
        return ""
    whole = max((of[1] - of[0]).total_seconds(), 1e-6)
    first = (started - of[0]).total_seconds() / whole * BAR
    last = ((ended or of[1]) - of[0]).total_seconds() / whole * BAR
    left = min(max(int(first), 0), BAR - 1)
    right = min(max(round(last), left + 1), BAR)
    return " " * left + ("=" if plain else "━") * (right - left)


def _head(run: RunDetail, now: datetime, *, plain: bool) -> Text:
    head = Text.assemble(
        mark(run.state, plain=plain),
        f" {run.pipeline} for {run.tenant}: ",
        word(run.state),
        f", {run.tasks - run.open_tasks}/{run.tasks} tasks in ",
        span((run.ended or now) - run.submitted),
        f"\n  run {run.run}",
        f"\n  submitted {clock_time(run.submitted)} by {shown(run.requester)}",
    )
    for name, value in run.request.parameters.items():
        head.append(f"\n  {shown(name)} = {shown(str(value))}")
    if run.cancel_requested:
        head.append("\n  cancellation was asked for", style="yellow")
    if not run.admitted.allowed:
        for reason in run.admitted.reasons:
            how = "held" if run.state is State.HELD else "denied"
            head.append(f"\n  {how} by {reason.rule}: {shown(reason.text)}", style=style(run.state))
        if over := over_of(run.admitted):
            head.append(f"\n  no room in {', '.join(over)}", style=style(run.state))
    return head


def _stages(run: RunDetail, now: datetime, *, plain: bool, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("stage", no_wrap=True)
    if wide:
        table.add_column("kind", style="dim", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("", width=BAR, no_wrap=True)
    if wide:
        table.add_column("needs", style="dim", no_wrap=True, overflow="ellipsis")
    of = (run.submitted, run.ended or now)
    for stage in run.stages:
        state = summary(stage.states)
        table.add_row(
            mark(state, plain=plain),
            Text(stage.stage, style=style(state)),
            *([stage.kind] if wide else []),
            _done(stage),
            str(stage.attempts or ""),
            _time(stage, now),
            Text(bar(stage.started, stage.ended, of=of, plain=plain), style=style(state)),
            *([", ".join(stage.needs)] if wide else []),
        )
    return table


def _done(stage: StageRow) -> str:
    if not stage.tasks:
        return "?"  # as many as its parent will discover
    return f"{stage.states.get(State.SUCCEEDED, 0)}/{stage.tasks}"


def _time(stage: StageRow, now: datetime) -> str:
    return "" if stage.started is None else span((stage.ended or now) - stage.started)


def _troubles(tasks: Sequence[TaskRow]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for task in tasks:
        if task.state not in _TROUBLE and not (task.fault and task.state not in FINAL):
            continue
        where = f"{task.stage}/{task.partition}" if task.partition else task.stage
        told = f": {task.fault.code}: {task.fault.message}" if task.fault else ""
        lines.append(Text.assemble(word(task.state), shown(f" {where}{told}")))
        lines.append(Text(f"  fleet task {task.task}", style="dim"))
    return [Text(), *lines] if lines else []


def runs_progress(runs: Sequence[RunRow]) -> Table:
    """Several runs of one submission, each with how far it is."""
    table = plain_table()
    for column in ("", "tenant", "state", "tasks", ""):
        table.add_column(column, justify="right" if column == "tasks" else "left")
    for run in runs:
        done = run.tasks - run.open_tasks
        table.add_row(
            mark(run.state),
            run.tenant,
            word(run.state),
            f"{done}/{run.tasks}",
            Text("━" * (done * BAR // max(run.tasks, 1)), style=style(run.state)),
        )
    return table


def runs_line(runs: Sequence[RunRow]) -> str:
    """The same as one plain line."""
    closed = sum(run.state in FINAL for run in runs)
    done, tasks = sum(run.tasks - run.open_tasks for run in runs), sum(run.tasks for run in runs)
    return f"{closed}/{len(runs)} runs ended, {done}/{tasks} tasks done"
