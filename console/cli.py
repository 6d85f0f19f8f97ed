"""The command `fleet`: every subject is a module of `console.commands`, listed here.

Promises an exit code that a script can act on (console.errors), one plain line on stderr for
whatever went wrong, and a traceback only with --debug. Libraries are imported by the command that
uses them, so that `fleet --help` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from console.commands import (
    approvals,
    archive,
    artifact,
    artifacts,
    audit,
    bus,
    cancel,
    compare,
    config,
    dead_letters,
    demo,
    doctor,
    down,
    drain,
    k8s,
    lanes,
    ledger,
    pause,
    policy,
    redrive,
    redrives,
    retry,
    run,
    runs,
    schedules,
    submit,
    task,
    tenants,
    top,
    up,
    verify,
    workers,
)
from console.errors import ExitCode, as_ledger_fault, exit_code_of
from console.output import say
from console.session import Session
from fleet.errors import FleetError

app = typer.Typer(
    name="fleet",
    add_completion=True,
    no_args_is_help=True,
    # Plain help keeps examples as they were written, and needs no rendering library.
    rich_markup_mode=None,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "up": up.up,
    "down": down.down,
    "submit": submit.submit,
    "runs": runs.runs,
    "run": run.run,
    "task": task.task,
    "cancel": cancel.cancel,
    "artifacts": artifacts.artifacts,
    "artifact": artifact.artifact,
    "lanes": lanes.lanes,
    "top": top.top,
    "workers": workers.workers,
    "drain": drain.drain,
    "pause": pause.pause,
    "resume": pause.resume,
    "pauses": pause.pauses,
    "slots": pause.slots,
    "tenants": tenants.tenants,
    "dead-letters": dead_letters.dead_letters,
    "redrive": redrive.redrive,
    "redrives": redrives.redrives,
    "retry": retry.retry,
    "approvals": approvals.approvals,
    "approve": approvals.approve,
    "refuse": approvals.refuse,
    "audit": audit.audit,
    "compare": compare.compare,
    "verify": verify.verify,
    "archive": archive.archive,
    "config": config.config,
    "doctor": doctor.doctor,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
GROUPS = {
    "bus": bus.app,
    "k8s": k8s.app,
    "ledger": ledger.app,
    "policy": policy.app,
    "schedules": schedules.app,
}
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)


@app.callback()
def fleet(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of local state; else FLEET_HOME, else .fleet."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something fails.")
    ] = False,
) -> None:
    """Operate the fleet: start it, submit runs to it, and see what became of them.

    \b
    Examples:
      fleet demo                      the whole way through, on its own input
      fleet up                        start the local stack; Ctrl-C stops it
      fleet submit PIPELINE --wait    start a run and wait for it
      fleet runs                      what ran lately

    \b
    Exit codes: 0 ok; 1 the run failed or verification differs; 2 wrong usage or a refused
    request; 3 the stack cannot be reached.
    """
    session: Session = context.ensure_object(Session)
    session.home, session.debug = home, debug


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The process's way in and out. `arguments`: those of the command line unless given."""
    session = Session()
    try:
        result = app(arguments, prog_name="fleet", obj=session, standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else ExitCode.OK
    except typer.TyperException as cause:
        cause.show() if hasattr(cause, "show") else say(str(cause))
        code = ExitCode.REFUSED
    except FleetError as cause:
        _trace(session)
        say(f"fleet: {cause}")
        code = exit_code_of(cause)
    except (KeyboardInterrupt, typer.Abort):
        say("fleet: interrupted")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted (`fleet runs | head`). What Python flushes on its way out
        # must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OK
    except Exception as cause:  # the edge of the process: a person gets a line, not a traceback
        _trace(session)
        if (away := as_ledger_fault(cause)) is not None:
            say(f"fleet: {away}")
            code = away.exit_code
        else:
            say(f"fleet: internal fault, {type(cause).__name__}: {cause}")
            if not session.debug:
                say("fleet: run the command again as `fleet --debug ...` and report what it prints")
            code = ExitCode.INTERNAL
    sys.exit(int(code))


def _trace(session: Session) -> None:
    if session.debug:
        traceback.print_exc()


if __name__ == "__main__":
    main()
