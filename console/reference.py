"""docs/reference/cli.md, written from the commands themselves: `python -m console.reference`.

A test holds the file to what this makes, so that the reference cannot fall behind.
"""

import sys
from pathlib import Path
from typing import Any

import typer.main

from console.cli import COMMANDS, GROUPS, app
from console.errors import ExitCode

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
_WIDTH = 100
_MEANINGS = {
    ExitCode.OK: "done; and for what waits for a run: the run succeeded",
    ExitCode.FAILED: "the run failed or did not end in time; `verify` found a difference; "
    "the demo did not go as it should",
    ExitCode.REFUSED: "wrong usage, settings that cannot be used, or a request that was refused "
    "or denied; nothing was started",
    ExitCode.UNREACHABLE: "there is no stack or no ledger here, or a part of it does not answer",
    ExitCode.INTERNAL: "a fault of `fleet` itself; `fleet --debug ...` shows where",
    ExitCode.INTERRUPTED: "Ctrl-C",
}
_HEAD = """\
# The command `fleet`

Written by `python -m console.reference` from the commands' own help.

State lives under one folder: `--home`, else `FLEET_HOME`, else `.fleet` in the working folder. A
command finds a running stack through `stack.json` there; settings in the environment
(`FLEET_HTTP_HOST`, `FLEET_HTTP_PORT`, `FLEET_BUS_CONNECTION`, `FLEET_LEDGER_URL`) win over it.
Runs and tasks are named by their id, or by a beginning of it that no other has.

Answers go to stdout; progress and whatever is wrong go to stderr, wrong things as one plain line
that says what to do, followed by details where there are any. With `--json` an answer is one JSON
object a line: a command about one thing prints one object, a list prints one object for each
item and nothing where there is none. Fields may be added; they are not renamed.
"""


def reference() -> str:
    """The text of docs/reference/cli.md."""
    group = typer.main.get_group(app)
    parts = [_HEAD, _exit_codes(), _help("fleet", group)]
    parts += [_help(f"fleet {name}", group.commands[name]) for name in COMMANDS]
    for name in GROUPS:
        inner: Any = group.commands[name]
        parts.append(_help(f"fleet {name}", inner))
        parts += [_help(f"fleet {name} {each}", inner.commands[each]) for each in inner.commands]
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = [f"| {code.value} | {_MEANINGS[code]} |" for code in ExitCode]
    return "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *rows, ""])


def _help(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=name, terminal_width=_WIDTH)
    return f"## {name}\n\n```\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{REFERENCE.name} written\n")
