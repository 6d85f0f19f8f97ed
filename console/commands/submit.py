"""`fleet submit PIPELINE`: ask for a run, and wait for it if told to."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Flags, Json, Priority, Requester, SeenBy, Tenant, WaitSeconds
from console.session import session_of

if TYPE_CHECKING:
    from datetime import datetime

    from console.site import Site
    from console.stack.running import Running
    from console.submission import Asked
    from contracts.request import RunAccepted

Pipeline = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's name.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="NAME=VALUE",
        help="A parameter; give it as often as needed. A source may be a folder or a URL.",
    ),
]
Key = Annotated[str | None, typer.Option(help="Idempotency key: the same key is the same run.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Start no earlier: 2026-11-26T08:00+01:00, or 08:00 by this machine's clock.",
    ),
]
In = Annotated[
    str | None,
    typer.Option("--in", metavar="SPAN", help="Start no earlier than in 45s, 30m, 2h, 1d12h."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the run to end.")]


def submit(
    context: typer.Context,
    pipeline: Pipeline,
    *,
    param: Parameters = None,
    tenant: Tenant = "local",
    audience: SeenBy = "internal",
    key: Key = None,
    requester: Requester = None,
    priority: Priority = 5,
    flag: Flags = None,
    at: At = None,
    after: In = None,
    wait: Wait = False,
    timeout: WaitSeconds = None,
    as_json: Json = False,
) -> None:
    """Ask for a run of a pipeline.

    With --wait it shows progress on stderr and exits 1 if the run fails; where no stack is running
    it starts one for the time of the command. A source given as a folder, a SQLite file or a URL is
    registered on this machine, and only its name is sent.

    With --json, one object: `run`, `created`, `state`, `submitted`; and with --wait also
    `pipeline`, `tenant`, `seconds`, `tasks`, `faults`, `artifacts`.

    \b
    Examples:
      fleet submit claims_reconciliation --param source=../shared/data/synthea --wait
      fleet submit guarantee_report --param client=alder-health --tenant alder-health --key 2024
      fleet submit guarantee_report --param client=alder-health --tenant alder-health --in 2h
    """
    from console.errors import Refused
    from console.submission import Asked, requested_by

    if timeout is not None and not wait:
        raise Refused("--timeout needs --wait")
    asked = Asked(
        pipeline=pipeline,
        words=tuple(param or ()),
        tenant=tenant,
        audience=audience,
        key=key,
        requester=requester or requested_by(),
        priority=priority,
        flags=tuple(flag or ()),
        start_at=_start_at(at, after),
    )
    _submit(session_of(context).site(), asked, wait=wait, timeout=timeout, as_json=as_json)


def _start_at(at: str | None, after: str | None) -> "datetime | None":
    from console.errors import Refused
    from console.times import moment, span
    from fleet.clock import SystemClock

    if at is not None and after is not None:
        raise Refused("--at or --in, not both")
    now = SystemClock().now()
    if after is not None:
        return now + span(after)
    return None if at is None else moment(at, now)


def _submit(
    site: "Site", asked: "Asked", *, wait: bool, timeout: float | None, as_json: bool
) -> None:
    from console import output
    from console.errors import Unreachable
    from console.stack.running import WORKERS, running_stack
    from console.submission import ask
    from contracts.states import State

    if not site.found and not wait:
        raise Unreachable(
            f"no stack is running in {site.settings.home}: start one with `fleet up`, "
            "or add --wait to have one for the time of this command"
        )
    if not site.found:
        output.say(f"no stack is running in {site.settings.home}: starting one for this command")
    with running_stack(site, WORKERS, output.say) as running:
        accepted = ask(running.site, asked)
        if accepted.state == State.DENIED:
            _tell_denied(running, accepted, as_json=as_json)
        elif wait:
            _wait(running, accepted, timeout, as_json=as_json)
        elif as_json:
            output.answer_json(accepted)
        else:
            output.answer(_accepted(accepted, asked.start_at))


def _accepted(accepted: "RunAccepted", start_at: "datetime | None") -> str:
    from contracts.states import State

    word = "submitted" if accepted.created else f"there already, {accepted.state}"
    if accepted.created and start_at is not None:
        word += f", starts at {start_at:%Y-%m-%d %H:%M:%SZ}"
    if accepted.created and accepted.state == State.HELD:
        word = "held: its tenant's allowance has no room for it now"
    return f"{accepted.run} {word}; follow it with `fleet run {accepted.run} --watch`"


def _wait(
    running: "Running", accepted: "RunAccepted", timeout: float | None, *, as_json: bool
) -> None:
    from functools import partial

    from console import output
    from console.errors import RunFailed
    from console.live import Progress
    from console.render.run import drawing, progress_line
    from console.submission import wait_for
    from contracts.states import State
    from fleet.clock import SystemClock

    clock = SystemClock()
    draw = partial(drawing, plain=output.ascii_only(), wide=output.is_wide())
    progress = Progress(lambda run: draw(run, (), clock.now()), progress_line)
    with progress.shown():
        detail, tasks, result = wait_for(running, accepted, seen=progress.update, timeout=timeout)
    if as_json:
        output.answer_json(result)
    else:
        output.stdout().print(draw(detail, tasks, clock.now()))
        output.answer(f"\n{len(result.artifacts)} artifacts: `fleet artifacts {result.run}`")
    output.flush()
    if result.state is not State.SUCCEEDED:
        raise RunFailed(f"run {result.run} {result.state}")


def _tell_denied(running: "Running", accepted: "RunAccepted", *, as_json: bool) -> None:
    from console import output
    from console.errors import Refused

    if as_json:
        output.answer_json(accepted)
    with running.site.reader() as reader:
        reasons = reader.run(accepted.run).admitted.reasons
    told = "; ".join(f"{reason.rule}: {reason.text}" for reason in reasons)
    raise Refused(f"the run was denied by policy: {told}")
