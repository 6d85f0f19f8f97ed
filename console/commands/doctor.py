"""`fleet doctor`: looks at every part of the installation and says what to do."""

import typer

from console.commands.options import Json
from console.session import session_of


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look for what is wrong, and say what to do about it.

    Looks at the installation, settings, lanes and rules, identity, bus, artifact store, ledger,
    clocks, dispatcher and workers. Nothing is changed. Ends with 1 where there is a fault;
    warnings alone end with 0.

    With --json, one object a line: `part`, `verdict` (ok, warning, fault), `says`, `remedy`.

    \b
    Examples:
      fleet doctor
      fleet doctor --json | grep '"fault"'
    """
    from console import output
    from console.doctor.examination import examine
    from console.doctor.finding import Verdict
    from console.errors import ExitCode
    from console.render.findings import line_of, summary_of
    from fleet.clock import SystemClock

    found = []
    for finding in examine(session_of(context).home, SystemClock().now()):
        found.append(finding.verdict)
        if as_json:
            output.answer_json(finding)
        else:
            output.stdout().print(line_of(finding, plain=output.ascii_only()))
        output.flush()
    if not as_json:
        output.stdout().print(summary_of(found))
    if Verdict.FAULT in found:
        raise typer.Exit(ExitCode.FAILED)
