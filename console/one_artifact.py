"""One artifact of a run, as `fleet artifact` tells it: the same facts as its page."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.errors import Refused
from console.lineage import related
from console.render.marks import clock_time, shown, size
from console.render.task import artifact_table
from console.site import Site
from console.web.preview import Preview, preview
from console.web.preview import Table as Sheet
from contracts.artifact import ArtifactPointer
from contracts.fact import Fact
from fleet.artifacts.errors import ArtifactDamaged, ArtifactMissing
from fleet.artifacts.store import ArtifactStore
from fleet.ledger.rows import ArtifactRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of which artifact."""

    run: str
    which: str
    preview: bool
    verify: bool
    out: Path | None


class Reading(Fact):
    """A task that read it."""

    task: str
    stage: str
    partition: str


class OneArtifact(ArtifactRow):
    """An artifact with what it belongs to."""

    run: str
    made_from: tuple[ArtifactPointer, ...]
    read_by: tuple[Reading, ...]
    stages_above: tuple[str, ...]
    stages_below: tuple[str, ...]
    preview: Preview | None = None
    verified: bool | None = None
    fault: str | None = None
    """Why the bytes could not be had."""


def told_of(site: Site, asked: Asked) -> OneArtifact:
    """Raises Refused where none or several are meant, and for a file that is there."""
    if asked.out is not None and asked.out.exists():
        raise Refused(f"{asked.out} is there already; nothing was written")
    with site.reader() as reader, site.browser() as browser:
        run = reader.find_run(asked.run)
        made = reader.artifacts(run)
        row = _meant(made, asked.which)
        lineage = browser.lineage(run)
        task = reader.task(row.task)
    above, below = related(row.task, row.pointer.digest, made, lineage)
    readers = {
        (by.task, by.stage, by.partition) for by in lineage if by.digest == row.pointer.digest
    }
    told = OneArtifact(
        **row.model_dump(),
        run=run,
        made_from=task.inputs,
        read_by=tuple(
            Reading(task=one, stage=stage, partition=partition)
            for one, stage, partition in sorted(readers, key=lambda reader: reader[1:])
        ),
        stages_above=tuple(sorted(above)),
        stages_below=tuple(sorted(below)),
    )
    if not (asked.preview or asked.verify or asked.out):
        return told
    return told.model_copy(update=_of_bytes(site.store(), row.pointer, asked))


def drawing(told: OneArtifact) -> RenderableType:
    """For a person."""
    pointer = told.pointer
    place = f"{told.stage}/{told.partition}" if told.partition else told.stage
    head = Text(
        f"{shown(pointer.name)}: {pointer.tier}, {shown(pointer.media_type)}, {size(pointer.size)}"
        f"\n  made by {shown(place)}, task {told.task}, {clock_time(told.recorded)}"
        f"\n  run {told.run}\n  {shown(pointer.uri)}"
        f"\n  for {shown(pointer.scope.tenant)}, seen by {pointer.scope.audience}"
    )
    if pointer.taints:
        head.append(f"\n  taints {shown(', '.join(pointer.taints))}", style="yellow")
    if told.verified:
        head.append(f"\n  verified now: its bytes hash to {pointer.digest}", style="green")
    if told.fault is not None:
        head.append(f"\n  not verified: {shown(told.fault)}", style="red")
    parts: list[RenderableType] = [head]
    if told.made_from:
        parts += [_title("made from"), artifact_table(told.made_from)]
    if told.read_by:
        readers = (f"{one.stage}/{one.partition}".rstrip("/") for one in told.read_by)
        parts += [_title("read by"), Text("  " + shown(", ".join(readers)))]
    for title, stages in (("above", told.stages_above), ("below", told.stages_below)):
        if stages:
            parts += [_title(f"stages {title}"), Text("  " + shown(", ".join(stages)))]
    if told.preview is not None:
        parts += [_title("preview"), *_preview(told.preview)]
    return Group(*parts)


def _meant(made: list[ArtifactRow], which: str) -> ArtifactRow:
    digest = which.rpartition("/")[2] if which.startswith("artifact:") else which
    found = [row for row in made if which in _names(row)] or [
        row for row in made if len(digest) >= 4 and row.pointer.digest.startswith(digest)
    ]
    if not found:
        raise Refused(f"no artifact {which!r}; see `fleet artifacts RUN`")
    # The same bytes under one name, as a redriven task makes them again: the latest.
    if len({(row.stage, row.partition, row.pointer.name) for row in found}) > 1:
        names = ", ".join(sorted({max(_names(row), key=len) for row in found})[:10])
        raise Refused(f"{which!r} may be {names}: say which")
    return max(found, key=lambda row: row.epoch)


def _names(row: ArtifactRow) -> set[str]:
    name = row.pointer.name
    whole = f"{row.stage}/{row.partition}/{name}" if row.partition else f"{row.stage}/{name}"
    return {name, f"{row.stage}/{name}", whole}


def _of_bytes(store: ArtifactStore, pointer: ArtifactPointer, asked: Asked) -> dict[str, object]:
    try:
        path = store.local_path(pointer)
    except (ArtifactDamaged, ArtifactMissing) as fault:
        return {"verified": False, "fault": str(fault)}
    found: dict[str, object] = {"verified": True if asked.verify else None}
    if asked.preview:
        found["preview"] = preview(path, pointer.media_type, pointer.name)
    if asked.out is not None:
        shutil.copyfile(path, asked.out)
    return found


def _preview(told: Preview) -> list[RenderableType]:
    parts: list[RenderableType] = [_table(sheet) for sheet in told.tables]
    return parts + [Text(shown(text)) for text in (told.text, told.note) if text]


def _table(told: Sheet) -> Table:
    table = Table(title=shown(told.title), title_justify="left", box=None, pad_edge=False)
    for column in told.columns:
        table.add_column(shown(column), overflow="ellipsis", max_width=24, no_wrap=True)
    for row in told.rows:
        table.add_row(*map(shown, row))
    return table


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")
