"""Asking for a run and waiting for it: what `fleet submit` does, without its options."""

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime, ValidationError

from console.errors import Refused
from console.output import say
from console.parameters import split_parameters, typed
from console.site import Site
from console.sources import given_source
from console.stack.running import Running
from console.watch import watch_run
from contracts.fact import Fact
from contracts.outcome import Fault
from contracts.pipeline import ParameterType
from contracts.request import RunAccepted, RunRequest
from contracts.states import State
from fleet.ledger.rows import ArtifactRow, RunDetail, TaskRow
from fleet.sources import read_sources, register_sources


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for on the command line. `words` are `name=value`."""

    pipeline: str
    words: tuple[str, ...]
    tenant: str
    audience: str
    key: str | None
    requester: str
    priority: int
    flags: tuple[str, ...]
    start_at: datetime | None = None


class TaskFault(Fact):
    """A task that did not succeed, and why."""

    task: str
    stage: str
    partition: str
    state: State
    fault: Fault | None


class RunResult(RunAccepted):
    """A run that has closed."""

    state: State
    pipeline: str
    tenant: str
    seconds: float
    """From submission to the end."""
    ended: AwareDatetime | None
    tasks: int
    faults: tuple[TaskFault, ...]
    artifacts: tuple[ArtifactRow, ...]


def ask(site: Site, asked: Asked) -> RunAccepted:
    """Register the sources that were given by address, and ask for the run.

    Raises Refused, with the pipeline's line where there is one; Unreachable.
    """
    given = split_parameters(asked.words)
    with site.intake() as intake:
        types = intake.parameters(asked.pipeline)
        named = _sources_named(given, types, site)
        try:
            request = RunRequest.model_validate(
                {
                    "pipeline": asked.pipeline,
                    "parameters": typed(named, types),
                    "scope": {"tenant": asked.tenant, "audience": asked.audience},
                    "requester": asked.requester,
                    "key": asked.key,
                    "priority": asked.priority,
                    "flags": asked.flags,
                    "start_at": asked.start_at,
                }
            )
        except ValidationError as cause:
            raise Refused(_plain(cause)) from None
        return intake.submit(request)


def wait_for(
    running: Running,
    accepted: RunAccepted,
    *,
    seen: Callable[[RunDetail], None],
    timeout: float | None,
) -> tuple[RunDetail, Sequence[TaskRow], RunResult]:
    """The run once it has closed, with its tasks. Raises WaitedTooLong."""
    with running.site.reader() as reader:
        detail = watch_run(reader, accepted.run, seen=seen, tend=running.tend, timeout=timeout)
        tasks, artifacts = reader.tasks(detail.run), reader.artifacts(detail.run)
    return detail, tasks, _result(detail, tasks, artifacts, created=accepted.created)


def requested_by() -> str:
    """The name of this machine's user; `operator` where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def _sources_named(
    given: dict[str, str], types: dict[str, ParameterType], site: Site
) -> dict[str, str]:
    """The parameters with each address replaced by the name that it is registered under."""
    named, found = dict(given), {}
    for name, value in given.items():
        if types.get(name) is not ParameterType.SOURCE:
            continue
        source = given_source(value)
        if source is not None:
            say(f"source {source.name} is {source.shown}")
            named[name], found[source.name] = source.name, source.address
        elif site.is_local and value not in read_sources(site.settings.sources_file):
            raise Refused(
                f"{name}={value} is neither a folder, nor a URL, nor a registered source; "
                "see `fleet config`"
            )
    if found:
        register_sources(site.settings.sources_file, found)
    return named


def _result(
    detail: RunDetail,
    tasks: Sequence[TaskRow],
    artifacts: Sequence[ArtifactRow],
    *,
    created: bool,
) -> RunResult:
    ended = detail.ended or detail.submitted
    return RunResult(
        run=detail.run,
        created=created,
        state=detail.state,
        submitted=detail.submitted,
        pipeline=detail.pipeline,
        tenant=detail.tenant,
        seconds=round((ended - detail.submitted).total_seconds(), 3),
        ended=detail.ended,
        tasks=detail.tasks,
        faults=tuple(
            TaskFault(
                task=row.task,
                stage=row.stage,
                partition=row.partition,
                state=row.state,
                fault=row.fault,
            )
            for row in tasks
            if row.state in {State.FAILED, State.DEAD, State.DENIED}
        ),
        artifacts=tuple(artifacts),
    )


def _plain(cause: ValidationError) -> str:
    """The options at fault, without the values: one of them may be a secret by mistake."""
    faults = cause.errors(include_url=False, include_input=False)
    return "; ".join(f"--{fault['loc'][-1]}: {fault['msg']}" for fault in faults)
