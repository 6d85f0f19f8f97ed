"""`fleet compare RUN [OTHER]`: what two runs made, digest by digest."""

from typing import Annotated

import typer

from console.commands.options import Json, RunId
from console.complete import run_ids
from console.session import session_of


def compare(
    context: typer.Context,
    run_id: RunId,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER",
            help="Another run; default: the last earlier one of the same request.",
            autocompletion=run_ids,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare what two runs made, byte for byte; exit 1 where they differ.

    With --json, one object a line for each artifact: `verdict` (`same`, `differs`, `only here`,
    `only there`), `place` (stage and partition), `name`, and its pointers `here` and `there`.

    \b
    Examples:
      fleet compare 0192f0c1
      fleet compare 0192f0c1 0192e7aa --json
    """
    import json

    from console import output
    from console.comparison import compared
    from console.errors import Refused, RunFailed
    from console.render.comparison import comparison_table

    site = session_of(context).site()
    with site.reader() as reader, site.browser() as browser:
        here = reader.find_run(run_id)
        there = browser.previous(here) if other is None else reader.find_run(other)
        if there is None:
            raise Refused(f"no run of the same request came before {here}: name the other one")
        pairs = compared(reader.artifacts(here), reader.artifacts(there))
    if as_json:
        for pair in pairs:
            output.answer(json.dumps({"verdict": pair.verdict, **pair.model_dump(mode="json")}))
    elif pairs:
        output.stdout().print(comparison_table(pairs, wide=output.is_wide()))
    if apart := sum(not pair.same for pair in pairs):
        raise RunFailed(f"{apart} of {len(pairs)} artifacts of {here} and {there} differ")
    output.say(f"all {len(pairs)} artifacts of {here} and {there} are the same")
