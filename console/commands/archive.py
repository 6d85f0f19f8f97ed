"""`fleet archive`: move runs that ended long ago out of the ledger."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of


def archive(
    context: typer.Context,
    *,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Archive runs that ended so many days ago."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be archived, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move runs that ended long ago into files of the artifact store; without DAYS, list the files.

    A file holds whole runs, a row a line, as gzipped JSON lines; it is stored before anything is
    deleted. Artifacts stay where they are. The dispatcher does the same by itself where
    FLEET_KEEP_DAYS is set. An idempotency key is forgotten with its run.

    With --json, one object a line. For each file that is written: `runs`, `tasks`, `rows` and
    `archive`, its pointer; with --dry-run one, without `archive`; listed: `digest`, `at`, `actor`,
    `runs`, `rows`, `first_ended`, `last_ended` and `pointer`.

    \b
    Examples:
      fleet archive --older-than 90 --dry-run
      fleet archive --older-than 90
      fleet archive
    """
    from console import output
    from console.archiving import archived, listed, previewed

    site = session_of(context).site()
    if older_than is None:
        with site.reader() as reader:
            rows = listed(reader)
        if as_json:
            output.answer_rows(rows)
        for row in rows if not as_json else ():
            output.answer(f"{row.at:%Y-%m-%d %H:%M}  {row.runs} runs  {row.pointer.uri}")
        if not rows and not as_json:
            output.say("nothing has been archived")
        return
    if dry_run:
        found = previewed(site, older_than)
        if as_json:
            output.answer_rows([found])
        else:
            output.say(f"{found.runs} runs with {found.tasks} tasks would be archived")
        return
    total = archived(site, older_than, told=_told_json if as_json else _told)
    if not as_json:
        output.say(f"{total.runs} runs with {total.rows} rows archived")


def _told(done: "object") -> None:
    from console import output
    from fleet.archiving import Archived

    assert isinstance(done, Archived)
    assert done.archive is not None
    output.answer(f"{done.runs} runs  {done.rows} rows  {done.archive.uri}")


def _told_json(done: "object") -> None:
    from console import output
    from fleet.archiving import Archived

    assert isinstance(done, Archived)
    output.answer_rows([done])
