"""`fleet schedules ...`: runs that are asked for again and again, by cron expression."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.options import Flags, Json, Priority, Requester, SeenBy, Tenant
from console.session import session_of

if TYPE_CHECKING:
    from fleet.ledger.schedules import ScheduleRow

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Runs that are asked for again and again, by cron expression.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the history.")]
Cron = Annotated[
    str, typer.Argument(metavar="CRON", help="Minute, hour, day, month, day of week; quoted.")
]
Pipeline = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's name.")]
Zone = Annotated[str, typer.Option(metavar="ZONE", help="IANA time zone of CRON.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="NAME=VALUE",
        help="A parameter. {date}, {yesterday}, {month} and {time} are the scheduled time's.",
    ),
]
CatchUp = Annotated[
    str, typer.Option(metavar="RULE", help="For missed times: skip, once (one run), or all.")
]
Most = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="With --catch-up all: at most N.")
]


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """Show all schedules with their next times.

    With --json, one object a line: `schedule` (`name`, `cron`, `zone`, `pipeline`, `parameters`,
    `scope`, `requester`, `priority`, `flags`, `catch_up`, `most`, `late`), `paused`, `next_fire`,
    `revision`, `changed`, `changed_by`.

    \b
    Examples:
      fleet schedules list
      fleet schedules list --json
    """
    from console.looking import Looking, show
    from console.render.schedules import schedule_table

    with session_of(context).site().reader() as reader:
        looking = Looking(
            look=reader.schedules,
            draw=schedule_table,
            nothing="no schedules; `fleet schedules add --help` shows how to add one",
        )
        show(looking, as_json=as_json)


@app.command()
def add(
    context: typer.Context,
    name: Name,
    cron: Cron,
    pipeline: Pipeline,
    *,
    zone: Zone = "UTC",
    param: Parameters = None,
    tenant: Tenant = "local",
    audience: SeenBy = "internal",
    priority: Priority = 5,
    flag: Flags = None,
    catch_up: CatchUp = "once",
    most: Most = 10,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Add a schedule, or change the one of this name.

    The pipeline and the parameters are checked now, so that what could never run is refused. Each
    scheduled time is one run, however many dispatchers there are. A time counts as missed when no
    dispatcher ran for more than a minute after it.

    With --json, one object as in `fleet schedules list`.

    \b
    Examples:
      fleet schedules add nightly "30 2 * * *" guarantee_report --zone Europe/Berlin \\
          --param client=alder-health --tenant alder-health --audience tenant
      fleet schedules add hourly "0 * * * *" claims_reconciliation --param source=claims \\
          --catch-up all --most 24
    """
    from console import output
    from console.errors import Refused
    from console.parameters import split_parameters, typed
    from console.submission import requested_by

    site = session_of(context).site()
    asked: dict[str, Any] = {
        "name": name,
        "cron": cron,
        "zone": zone,
        "pipeline": pipeline,
        "scope": {"tenant": tenant, "audience": audience},
        "priority": priority,
        "flags": flag or [],
        "catch_up": catch_up,
        "most": most,
        "requester": requester or requested_by(),
        "reason": reason,
    }
    if catch_up not in {"skip", "once", "all"}:
        raise Refused(f"--catch-up takes skip, once or all, not {catch_up!r}")
    with site.intake() as intake:
        given = split_parameters(tuple(param or ()))
        asked["parameters"] = typed(given, intake.parameters(pipeline))
        row = intake.put_schedule(name, asked)
    _tell(row, as_json=as_json)
    output.flush()


@app.command()
def apply(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML: `schedules`, a list of mappings.")
    ],
    *,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Add or change the schedules of a file; the same again changes nothing.

    Each entry has `name`, `cron`, `pipeline` and `tenant`, and may have `zone`, `parameters`,
    `audience`, `priority`, `flags`, `catch_up` and `most`. Schedules that are not in the file are
    left alone.

    With --json, one object a line as in `fleet schedules list`.

    \b
    Examples:
      fleet schedules apply schedules.yaml --reason "as reviewed"
    """
    from console import output
    from console.schedule_file import entries
    from console.submission import requested_by

    site = session_of(context).site()
    asked = entries(file)
    with site.intake() as intake:
        for entry in asked:
            entry |= {"requester": requester or requested_by(), "reason": reason}
            _tell(intake.put_schedule(entry["name"], entry), as_json=as_json)
    output.flush()


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    *,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Remove a schedule. Its history stays.

    With --json, one object: `name`, `action`, `changed`.

    \b
    Examples:
      fleet schedules remove nightly --reason "replaced by hourly"
    """
    _switch(context, name, "remove", requester, reason, as_json=as_json)


@app.command()
def pause(
    context: typer.Context,
    name: Name,
    *,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Fire a schedule no more until it is resumed.

    With --json, one object: `name`, `action`, `changed`.

    \b
    Examples:
      fleet schedules pause nightly --reason "holidays"
    """
    _switch(context, name, "pause", requester, reason, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    name: Name,
    *,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Fire a paused schedule again, from its next time on; what passed meanwhile is not made up.

    With --json, one object: `name`, `action`, `changed`.

    \b
    Examples:
      fleet schedules resume nightly
    """
    _switch(context, name, "resume", requester, reason, as_json=as_json)


@app.command()
def trigger(
    context: typer.Context,
    name: Name,
    *,
    requester: Requester = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Ask for a run of a schedule now, beside the scheduled ones; also while it is paused.

    With --json, one object: `run`, `created`, `state`, `submitted`.

    \b
    Examples:
      fleet schedules trigger nightly --reason "after the correction"
    """
    _switch(context, name, "trigger", requester, reason, as_json=as_json)


def _switch(
    context: typer.Context,
    name: str,
    action: str,
    requester: str | None,
    reason: str,
    *,
    as_json: bool,
) -> None:
    import json

    from console import output
    from console.submission import requested_by

    asked = {"requester": requester or requested_by(), "reason": reason}
    with session_of(context).site().intake() as intake:
        told = intake.switch_schedule(name, action, asked)
    if as_json:
        output.answer(json.dumps(told))
    elif action == "trigger":
        output.answer(f"{told['run']} {told['state']}; follow it with `fleet run {told['run']}`")
    else:
        done = {"remove": "removed", "pause": "paused", "resume": "resumed"}[action]
        output.answer(f"{name} {done}" + ("" if told["changed"] else " already"))


@app.command()
def history(
    context: typer.Context,
    name: Name,
    *,
    changes: Annotated[
        bool, typer.Option("--changes", help="Who added, changed, paused or removed it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what became of a schedule's times, the latest first.

    With --json, one object a line: `schedule`, `at`, `outcome` (started, triggered, skipped,
    refused), `run`, `state` (of the run now), `actor`, `detail`, `noted`; with --changes: `at`,
    `action`, `actor`, `reason`, `facts` (the schedule as it was put).

    \b
    Examples:
      fleet schedules history nightly
      fleet schedules history nightly --changes
    """
    from console.looking import Looking, show
    from console.render.flow import audit_table
    from console.render.schedules import fire_table

    nothing = f"nothing is known of a schedule {name}"
    with session_of(context).site().reader() as reader:
        if changes:
            changed = Looking(
                look=lambda: reader.audit("schedule", name, limit),
                draw=audit_table,
                nothing=nothing,
            )
            show(changed, as_json=as_json)
            return
        fires = Looking(look=lambda: reader.fires(name, limit), draw=fire_table, nothing=nothing)
        show(fires, as_json=as_json)


def _tell(row: "ScheduleRow", *, as_json: bool) -> None:
    from console import output

    if as_json:
        output.answer_json(row)
        return
    following = "never" if row.next_fire is None else f"{row.next_fire:%Y-%m-%d %H:%M:%SZ}"
    output.answer(f"{row.schedule.name} fires next at {following}")
