"""`fleet demo`: the whole way through, on input that it makes itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json, Workers
from console.session import session_of

if TYPE_CHECKING:
    from console.demo.show import Demo, DemoSummary


def demo(
    context: typer.Context,
    *,
    clients: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="Clients, and so runs.")
    ] = 12,
    lines: Annotated[
        int,
        typer.Option(
            min=1000, max=10_000_000, metavar="N", help="Claim lines of all clients together."
        ),
    ] = 200_000,
    workers: Workers = 2,
    home: Annotated[
        Path | None, typer.Option(help="Folder of local state; else FLEET_HOME, else .fleet.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running.")] = False,
    as_json: Json = False,
) -> None:
    """Show the fleet at work on its own input.

    Makes a claims database, contracts and legacy exports with planted mistakes; starts the stack;
    runs one guarantee_report for each client, which must name every mistake; and runs one of them
    again to compare the bytes.

    Exits 1 unless every run succeeded, every planted mistake was found and the bytes were the same.
    With --json, the last line is one object: `runs`, `tasks`, `succeeded`, `failed`, `seconds`,
    `tasks_per_second`, `artifacts`, `discrepancies_planted`, `discrepancies_found`, `verified`.

    \b
    Examples:
      fleet demo
      fleet demo --clients 3 --lines 10000 --json
      fleet demo --keep; fleet runs; fleet down
    """
    from console import output
    from console.demo.show import Demo
    from console.errors import RunFailed
    from console.stack.running import running_stack

    site = session_of(context).site(home)
    showing = Demo(site.settings.home / "demo", clients, lines)
    output.say(f"making {lines:,} claim lines of {clients} clients in {showing.folder}")
    inputs = showing.make_inputs(site.settings.sources_file)
    if not site.found:
        output.say(f"starting the stack: bus, dispatcher, {workers} workers")
    with running_stack(site, workers, output.say) as running:
        summary = showing.show(inputs, running)
        if keep:
            running.keep()
    if as_json:
        output.answer_json(summary)
    else:
        _tell(showing, summary, site.settings.home, keep=keep)
    output.flush()
    if not summary.went_well:
        raise RunFailed("the demo did not go as it should; see above, and `fleet dead-letters`")


def _tell(showing: "Demo", summary: "DemoSummary", home: Path, *, keep: bool) -> None:
    from console.output import answer
    from console.site import Site
    from console.stack.record import console_address

    planted, found = summary.discrepancies_planted, summary.discrepancies_found
    first_client, first_run = next(iter(showing.runs.items()))
    at_home = "" if home == Path(".fleet") else f"--home {home} "
    answer("")
    answer(f"runs           {summary.succeeded} of {summary.runs} succeeded")
    answer(
        f"tasks          {summary.tasks} in {summary.seconds:.1f} s, "
        f"{summary.tasks_per_second:.0f} a second"
    )
    answer(
        f"discrepancies  {found} of {planted} that were planted in the legacy exports were named"
    )
    answer(f"artifacts      {summary.artifacts}; those for people are in {showing.exports}")
    if showing.verification is not None:
        answer(f"verify         {showing.verification.in_words}")
    answer("")
    answer("look around:")
    answer(f"  ls {showing.exports / first_client}")
    answer(f"  fleet {at_home}run {first_run}")
    answer(f"  fleet {at_home}artifacts {first_run}")
    if keep:
        if (stack := Site.find(home).stack) is not None:
            answer(f"  {console_address(stack, home)}")
        answer(f"  fleet {at_home}down             stops the stack")
