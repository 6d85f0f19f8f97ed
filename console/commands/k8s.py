"""`fleet k8s ...`: the fleet on Kubernetes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from contracts.lane import Lane
    from fleet.cluster.cluster import Cluster

Namespace = Annotated[str, typer.Option(help="Where the fleet is on the cluster.", metavar="NAME")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="A kubeconfig file; else kubectl's, or the pod's own account."),
]
Context = Annotated[str | None, typer.Option("--context", help="A context of the kubeconfig.")]
LaneArgument = Annotated[str, typer.Argument(metavar="LANE", help="A lane of the lanes file.")]

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


@app.command()
def status(
    context: typer.Context,
    lane: Annotated[
        str | None, typer.Argument(metavar="[LANE]", help="One lane, with its pods and events.")
    ] = None,
    *,
    namespace: Namespace = "leaf-fleet",
    kubeconfig: Kubeconfig = None,
    context_name: Context = None,
    as_json: Json = False,
) -> None:
    """Show the lanes on the cluster: replicas, pods, restarts, and what keeps them from scaling.

    With a lane also its pods, with node, restarts and why they do not run, and its latest events.

    With --json, one object a line for each lane: `lane`, `shape`, `replicas`, `ready`, `least`,
    `most`, `paused`, `paused_by`, `paused_why`, `scaler_fault`, `restarts`, `pods`, `events`.

    \b
    Examples:
      fleet k8s status
      fleet k8s status mirror
      fleet k8s status --json --context leaf-aks
    """
    from console import output
    from console.render.cluster import events_table, lanes_table, pods_table
    from fleet.clock import SystemClock
    from fleet.cluster.look import look

    names = [each.name for each in _lanes(context)] if lane is None else [_lane(context, lane).name]
    with _cluster(namespace, kubeconfig, context_name) as cluster:
        rows = look(cluster, names)
    if as_json:
        output.answer_rows(rows)
        return
    now = SystemClock().now()
    output.stdout().print(lanes_table(rows))
    if lane is not None:
        for table in (pods_table(rows[0].pods, now), events_table(rows[0].events)):
            output.answer("")
            output.stdout().print(table)


@app.command()
def pause(
    context: typer.Context,
    lane: LaneArgument,
    *,
    reason: Annotated[str, typer.Option(help="Why; shown until it is resumed.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the pods as they are; freeze their number.")
    ] = False,
    namespace: Namespace = "leaf-fleet",
    kubeconfig: Kubeconfig = None,
    context_name: Context = None,
    as_json: Json = False,
) -> None:
    """Have no pods for a lane until it is resumed.

    Those that are there finish or hand back what they have, and go; messages wait. Of a lane of
    jobs, those that run end by themselves and no more are started.

    With --json, one object: `lane`, `paused`.

    \b
    Examples:
      fleet k8s pause mirror --reason "claims database is down until 18:00"
      fleet k8s pause compute --keep
    """
    from console.submission import requested_by
    from fleet.cluster.steer import pause as pause_lane

    chosen = _lane(context, lane)
    with _cluster(namespace, kubeconfig, context_name) as cluster:
        pause_lane(cluster, chosen, actor=requested_by(), reason=reason, keep=keep)
    _said(chosen, paused=True, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    lane: LaneArgument,
    *,
    namespace: Namespace = "leaf-fleet",
    kubeconfig: Kubeconfig = None,
    context_name: Context = None,
    as_json: Json = False,
) -> None:
    """Let a paused lane scale again.

    With --json, one object: `lane`, `paused`.

    \b
    Examples:
      fleet k8s resume mirror
    """
    from fleet.cluster.steer import resume as resume_lane

    chosen = _lane(context, lane)
    with _cluster(namespace, kubeconfig, context_name) as cluster:
        resume_lane(cluster, chosen)
    _said(chosen, paused=False, as_json=as_json)


@app.command()
def drain(
    pod: Annotated[str, typer.Argument(metavar="POD", help="As `fleet k8s status LANE` names it.")],
    namespace: Namespace = "leaf-fleet",
    kubeconfig: Kubeconfig = None,
    context_name: Context = None,
    as_json: Json = False,
) -> None:
    """Have a pod end: it takes nothing more, finishes or hands back what it has, and goes.

    Its Deployment starts another. Refused while that would leave the lane below its disruption
    budget: then nothing is done.

    With --json, one object: `pod`, `draining`.

    \b
    Examples:
      fleet k8s drain lane-mirror-6d5f7c9b8-x2x7k
    """
    import json

    from console import output
    from fleet.cluster.steer import drain as drain_pod

    with _cluster(namespace, kubeconfig, context_name) as cluster:
        drain_pod(cluster, pod)
    output.answer(json.dumps({"pod": pod, "draining": True}) if as_json else f"{pod} is draining")


def _cluster(namespace: str, kubeconfig: Path | None, context_name: str | None) -> "Cluster":
    from fleet.cluster.cluster import open_cluster

    return open_cluster(namespace=namespace, kubeconfig=kubeconfig, context=context_name)


def _lanes(context: typer.Context) -> "list[Lane]":
    from fleet.lanes import load_lanes

    return list(load_lanes(session_of(context).site().settings.lanes_file))


def _lane(context: typer.Context, name: str) -> "Lane":
    from console.errors import Refused

    known = {lane.name: lane for lane in _lanes(context)}
    if name not in known:
        raise Refused(f"no lane {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def _said(lane: "Lane", *, paused: bool, as_json: bool) -> None:
    import json

    from console import output

    words = "is paused: its messages wait" if paused else "scales again"
    told = {"lane": lane.name, "paused": paused}
    output.answer(json.dumps(told) if as_json else f"{lane.name} {words}")
