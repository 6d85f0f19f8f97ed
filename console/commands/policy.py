"""`fleet policy ...`: read, try and compare the rules, and have a task's decisions explained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from contracts.decision import Decision
    from policies.bundle import Bundle
    from policies.compare import Asked

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Read, try and compare the rules."
)

Rules = Annotated[
    Path | None, typer.Option("--rules", help="Folder of rules; else those of the settings.")
]


@app.command()
def explain(
    context: typer.Context,
    place: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id, or a run's; or a unique beginning.")
    ],
    as_json: Json = False,
) -> None:
    """Explain every decision of a task: whether its run might exist, it might run, it might leave.

    Each with verdict, cause, rules and their reasons, near misses, facts, and the rules' digest.
    For a run, the decision that admitted or denied it.

    With --json, one object a line: the decision, with `place`.

    \b
    Examples:
      fleet policy explain 5b1e
      fleet policy explain 5b1e --json
    """
    import json

    from console import output
    from console.render.decision import explained
    from console.render.marks import inert
    from fleet.ledger.errors import UnknownRow

    with session_of(context).site().reader() as reader:
        try:
            task = reader.task(reader.find_task(place))
        except UnknownRow as nothing:
            try:
                run = reader.find_run(place)
            except UnknownRow:
                raise nothing from None
            told = [(f"run {run}", reader.run(run).admitted)]
        else:
            told = [(f"run {task.run}", reader.run(task.run).admitted)]
            told += [(f"attempt epoch {d.epoch}", d.decision) for d in task.decisions]
    for at, decision in told:
        if as_json:
            output.answer(json.dumps({"place": at, **decision.model_dump(mode="json")}))
        else:
            output.answer(inert(explained(decision, at)) + "\n")


@app.command("try")
def try_(
    context: typer.Context,
    facts: Annotated[
        str, typer.Argument(metavar="FACTS.json", help="A file of facts, or - for stdin.")
    ],
    gate: Annotated[
        str | None, typer.Option(help="admit, execute or publish; where the file does not say.")
    ] = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Decide by hand: what would a gate say to these facts?

    The file holds the facts as one JSON object; or `gate` and `facts`, as a recorded decision does.
    Ends with 0 where it is allowed, and with 1 where it is not. Nothing is recorded.

    \b
    Examples:
      fleet policy try facts.json --gate execute
      fleet policy explain 5b1e --json | tail -n 1 | fleet policy try -
      fleet policy try facts.json --gate admit --rules new-rules --json
    """
    import json

    from console import output
    from console.errors import ExitCode, Refused
    from console.render.decision import explained
    from console.render.marks import inert
    from contracts.decision import Gate
    from policies.gate import PolicyGate

    given = _json_of(facts)
    asked = gate if gate is not None else given.get("gate")
    if not isinstance(asked, str) or asked not in list(Gate):
        raise Refused("which gate? Give --gate admit, --gate execute or --gate publish")
    values = given.get("facts", given)
    if not isinstance(values, dict):
        raise Refused("`facts` must be a JSON object")
    decision = PolicyGate(_bundle(context, rules)).decide_values(Gate(asked), values)
    if as_json:
        output.answer(json.dumps(decision.model_dump(mode="json")))
    else:
        output.answer(inert(explained(decision)))
    if not decision.allowed:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="A folder of rules.")],
    new: Annotated[Path, typer.Argument(help="Another.")],
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="So many decisions, the latest.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Replay what was decided through two folders of rules, and list every decision that changes.

    Requests are the facts of the decisions in the ledger, each once. Ends with 1 where any changes.

    With --json, one object for each change: `gate`, `place`, `times`, `facts`, `old`, `new`.

    \b
    Examples:
      fleet policy diff policies/rules new-rules
      fleet policy diff policies/rules new-rules --json
    """
    import json

    from console import output
    from console.errors import ExitCode
    from console.render.decision import compared
    from console.render.marks import inert
    from policies.compare import compare
    from policies.gate import PolicyGate

    gates = [PolicyGate(_bundle(context, folder)) for folder in (old, new)]
    with session_of(context).site().reader() as reader:
        asked = _asked(reader.decisions(limit))
    found = compare(asked, *gates)
    if as_json:
        for change in found.changes:
            told = {
                "gate": change.asked.gate,
                "place": change.asked.place,
                "times": change.asked.times,
                "facts": change.asked.facts,
                "old": change.old.model_dump(mode="json", exclude={"facts"}),
                "new": change.new.model_dump(mode="json", exclude={"facts"}),
            }
            output.answer(json.dumps(told))
    else:
        output.answer(inert(compared(found)))
    if found.changes:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def show(context: typer.Context, rules: Rules = None, as_json: Json = False) -> None:
    """Show the rules in plain words: what is never allowed, and what alone is.

    With --json, one object a rule: `rule`, `effect` (forbid or permit), `gates`, `reason`.

    \b
    Examples:
      fleet policy show
      fleet policy show --rules new-rules --json
    """
    import json

    from console import output
    from console.render.decision import rules_shown

    bundle = _bundle(context, rules)
    if not as_json:
        output.answer(rules_shown(bundle))
        return
    told = [(r.id, "forbid", list(r.gates), r.reason) for r in bundle.guardrails]
    told += [(p.id, "permit", [p.gate], p.reason) for p in bundle.permits]
    for row in told:
        output.answer(
            json.dumps(dict(zip(("rule", "effect", "gates", "reason"), row, strict=True)))
        )


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show which rules each process decides by, and why changed ones are not in force.

    Ends with 1 where processes differ, or where the files hold rules that were refused.

    With --json, one object for each process: `process`, `generation`, `bundle`, `refused`.

    \b
    Examples:
      fleet policy status
      fleet policy status --json
    """
    from console import output
    from console.errors import ExitCode
    from console.policy_status import agree, rules_in_force, told

    rows = rules_in_force(session_of(context).site())
    if as_json:
        output.answer_rows(rows)
    else:
        output.answer(told(rows))
    if not agree(rows):
        raise typer.Exit(ExitCode.FAILED)


def _bundle(context: typer.Context, folder: Path | None) -> "Bundle":
    from console.errors import Refused
    from fleet.lanes import load_lanes
    from policies.bundle import BundleRefused, load_bundle

    settings = session_of(context).site().settings
    try:
        return load_bundle(folder or settings.rules, load_lanes(settings.lanes_file))
    except BundleRefused as refused:
        raise Refused(str(refused)) from None


def _json_of(place: str) -> dict[str, object]:
    import json
    import sys

    from console.errors import Refused

    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
        told = json.loads(text)
    except (OSError, ValueError) as cause:
        raise Refused(f"the facts cannot be read: {cause}") from None
    if not isinstance(told, dict):
        raise Refused("the facts must be one JSON object")
    return told


def _asked(recorded: "list[tuple[str, Decision]]") -> "list[Asked]":
    """Each request once, with how often it was asked."""
    from dataclasses import replace

    from policies.compare import Asked

    found: dict[str, Asked] = {}
    for place, decision in recorded:
        if (known := found.get(decision.facts_digest)) is not None:
            found[decision.facts_digest] = replace(known, times=known.times + 1)
        else:
            found[decision.facts_digest] = Asked(
                gate=decision.gate,
                facts=decision.facts,
                facts_digest=decision.facts_digest,
                cause=decision.cause,
                place=place,
            )
    return list(found.values())
