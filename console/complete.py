"""What the shell offers when Tab is pressed behind a command that wants a run."""

import contextlib
from pathlib import Path

import typer

_MOST = 50


def run_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest runs whose id begins so, each with what it is. Nothing where there is no ledger:
    a prompt is no place for errors."""
    with contextlib.suppress(Exception):
        return _runs(context.find_root().params.get("home"), incomplete)
    return []


def _runs(home: Path | None, incomplete: str) -> list[tuple[str, str]]:
    from console.site import Site

    with Site.find(home).reader() as reader:
        rows = reader.runs(limit=_MOST)
    return [
        (row.run, f"{row.pipeline} of {row.tenant}, {row.state}")
        for row in rows
        if row.run.startswith(incomplete)
    ]
