"""`fleet k8s ...`: the fleet on Kubernetes."""

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Write, see and steer the fleet on AKS."
)


@app.command()
def render(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--out", help="The folder of manifests.", file_okay=False)
    ] = Path("k8s"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 where anything differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the lanes' manifests, and the rules and lanes as ConfigMaps.

    From the lanes file and the rules that the settings name. Only what differs is written, and
    the files of lanes that are gone are removed.

    With --json, one object: `checked`, and `changed` or `differences`.

    \b
    Examples:
      fleet k8s render
      fleet k8s render --check
      FLEET_LANES_FILE=lanes.toml fleet k8s render --out deploy/k8s
    """
    import json

    from console import output
    from console.errors import ExitCode
    from console.manifests.files import differences, rendered, write
    from fleet.lanes import load_lanes

    settings = session_of(context).site().settings
    files = rendered(load_lanes(settings.lanes_file), settings.lanes_file, settings.rules)
    told = differences(folder, files) if check else write(folder, files)
    word = "differences" if check else "changed"
    if as_json:
        output.answer(json.dumps({"checked": len(files), word: told}))
    else:
        for line in told:
            output.answer(line)
        did = "differ" if check else "written or removed"
        output.answer(f"of {len(files)} files, {len(told)} {did}")
    if check and told:
        raise typer.Exit(ExitCode.FAILED)
