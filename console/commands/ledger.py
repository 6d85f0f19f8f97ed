"""`fleet ledger`: the ledger's tables, and who may read them."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def ledger() -> None:
    """Look after the ledger's database."""


@app.command()
def migrate(
    context: typer.Context,
    readers: Annotated[
        list[str] | None,
        typer.Option("--readers", help="An account or role that may read; may be given again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the tables up to date, as an account that may change them.

    Dispatcher and workers do the same when they start; where their account may not, run this before
    them. Migrating again changes nothing.

    --readers lets an account that is there already read every table, now and after later
    migrations, and write none: give it to the console in FLEET_LEDGER_READ_URL.

    With --json, one object: `was`, `is` (revisions) and `readers`.

    \b
    Examples:
      fleet ledger migrate
      FLEET_LEDGER_URL=postgresql+psycopg://owner@db/ledger fleet ledger migrate --readers console
    """
    import json

    from console import output
    from fleet.ledger.database import open_engine
    from fleet.ledger.migrate import revision, to_head
    from fleet.ledger.roles import grant_reading

    engine = open_engine(session_of(context).site().settings.ledger_address)
    try:
        was = revision(engine)
        to_head(engine)
        now = revision(engine)
        for role in readers or ():
            grant_reading(engine, role)
    finally:
        engine.dispose()
    if as_json:
        output.answer(json.dumps({"was": was, "is": now, "readers": readers or []}))
        return
    output.answer(f"the tables are at revision {now}" + ("" if was == now else f", were at {was}"))
    for role in readers or ():
        output.answer(f"{role} may read them")
