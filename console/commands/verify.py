"""`fleet verify RUN`: does the same input still give the same bytes?"""

import typer

from console.commands.options import Json, RunId
from console.session import session_of


def verify(context: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Run a run again and compare the bytes.

    Its deterministic stages run from their recorded inputs; digests are compared; nothing is
    recorded. Exit 1 where anything differs. With --json, one object: `run`, `same`,
    `checked`, `skipped`, `first_difference`, and `tasks`.

    \b
    Examples:
      fleet verify 0192f0c1
      fleet verify 0192f0c1 --json
    """
    from console import output
    from console.errors import RunFailed
    from console.render.marks import inert
    from console.verification import verified

    site = session_of(context).site()
    with site.reader() as reader:
        run = reader.find_run(run_id)
    report = verified(site.settings.home, run)
    if as_json:
        output.answer_json(report)
    else:
        output.answer(inert(report.in_words))
    if not report.same:
        raise RunFailed(f"run {run} is not the same when run again")
