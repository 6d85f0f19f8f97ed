"""Runs a pipeline's stages in graph order in this process: handlers on real files, no fleet.

Reads pipeline.yaml as the dispatcher does, in as far as a test needs: fills in parameters, fans out
over discovered partitions, hands each stage the outputs of its `needs`.
"""

import asyncio
import hashlib
import inspect
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl
import yaml

from contracts.artifact import ArtifactPointer, Audience, Provenance, Scope, inherited_taints
from contracts.outcome import Failed, Output, Produced
from contracts.payload import Payload, PayloadRegistry, marked_values
from contracts.stage_payloads import PAYLOADS
from workers.stages.handler import InputFile, Workbench
from workers.stages.scratch import Scratch
from workers.stages.table import HANDLERS

PIPELINES = Path(__file__).parents[2] / "pipelines"
REGISTRY = PayloadRegistry(PAYLOADS)


class QuietSignals:
    """Never cancelled; remembers the last note of progress."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, int | None, str]] = []

    def cancelled(self) -> bool:
        return False

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        self.notes.append((done, total, note))


@dataclass
class Finished:
    """A run that went through: outputs by stage, with where their bytes lie."""

    inputs: dict[str, Sequence[InputFile]] = field(default_factory=dict)
    facts: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def path(self, stage: str, name: str) -> Path:
        """The only file of that name which the stage made."""
        (found,) = (item.path for item in self.inputs[stage] if item.pointer.name == name)
        return found

    def digests(self) -> dict[str, str]:
        """Digest by `stage/partition/name`."""
        return {
            f"{stage}/{item.pointer.provenance.partition}/{item.pointer.name}": item.pointer.digest
            for stage, items in self.inputs.items()
            for item in items
            if item.pointer.provenance
        }


class StageFailed(AssertionError):
    """A stage gave Failed where the test wanted it to go on."""

    def __init__(self, stage: str, failed: Failed) -> None:
        super().__init__(f"{stage}: {failed.fault.code}: {failed.fault.message}")
        self.stage, self.failed = stage, failed


def run_stage(bench: Workbench) -> Produced | Failed:
    """Carry out one stage, sync or async. Raises StageFault as the handler does."""
    handler = HANDLERS[bench.payload.KIND, bench.payload.VERSION]
    made = handler.run(bench)
    if inspect.isawaitable(made):
        # A loop of its own: a test may itself be running on one.
        return asyncio.run(_awaited(made))
    return made


async def _awaited(made: Any) -> Produced | Failed:
    result: Produced | Failed = await made
    return result


def run_pipeline(
    name: str,
    parameters: Mapping[str, Any],
    sources: Mapping[str, str],
    folder: Path,
    *,
    tenant: str = "tenant",
    overrides: Mapping[str, Any] | None = None,
    until: str | None = None,
    root: Path = PIPELINES,
) -> Finished:
    """Run the pipeline in `folder`. `overrides` go into payloads that have such a field."""
    home = root / name
    spec = yaml.safe_load((home / "pipeline.yaml").read_text(encoding="utf-8"))
    values = {
        key: parameters.get(key, rule.get("default")) for key, rule in spec["parameters"].items()
    }
    finished = Finished()
    partitions: dict[str, tuple[str, ...]] = {}
    for stage in spec["stages"]:
        kind = REGISTRY.newest(stage["kind"])
        each = stage.get("each")
        needs = list(
            dict.fromkeys([*([each] if isinstance(each, str) else []), *stage.get("needs", [])])
        )
        wanted = (
            ("",) if each is None else tuple(each) if isinstance(each, list) else partitions[each]
        )
        aligned = {need for need in needs if each is not None and _each(spec, need) == each}
        items: list[InputFile] = []
        for partition in wanted:
            content = _filled(stage["with"], {**values, "partition": partition})
            fields = {
                key: item for key, item in (overrides or {}).items() if key in kind.model_fields
            }
            payload = kind.model_validate({**content, **fields})
            given = {
                need: tuple(
                    item
                    for item in finished.inputs[need]
                    if need not in aligned
                    or (item.pointer.provenance and item.pointer.provenance.partition == partition)
                )
                for need in needs
            }
            bench = workbench(
                payload,
                folder / "scratch" / stage["name"] / (partition or "_"),
                inputs=given,
                home=home,
                sources=sources,
                tenant=tenant,
            )
            made = run_stage(bench)
            if isinstance(made, Failed):
                raise StageFailed(stage["name"], made)
            finished.facts[stage["name"], partition] = made.facts
            if made.partitions is not None:
                partitions[stage["name"]] = made.partitions
            items += [
                stored(output, folder / "store", stage["name"], partition, bench)
                for output in made.outputs
            ]
            shutil.rmtree(bench.scratch)
        items.sort(key=lambda item: (item.pointer.provenance.partition, item.pointer.name))  # type: ignore[union-attr]
        finished.inputs[stage["name"]] = tuple(items)
        if stage["name"] == until:
            break
    return finished


def workbench(
    payload: Payload,
    scratch: Path,
    *,
    inputs: Mapping[str, Sequence[InputFile]] | None = None,
    home: Path | None = None,
    files: Mapping[str, Path] | None = None,
    sources: Mapping[str, str] | None = None,
    tenant: str = "tenant",
    signals: Any = None,
) -> Workbench:
    """A workbench with an empty scratch folder and the files that the payload names."""
    scratch.mkdir(parents=True)
    named = marked_values(type(payload), payload.model_dump(mode="json"), "pipeline-file")
    found = {name: home / name for name in named} if home else dict(files or {})
    return Workbench(
        payload=payload,
        inputs=dict(inputs or {}),
        files=found,
        sources=dict(sources or {}),
        scope=Scope(tenant=tenant, audience=Audience.TENANT),
        folder=Scratch.of(scratch),
        signals=signals or QuietSignals(),
    )


def stored(
    output: Output, store: Path, stage: str, partition: str = "", bench: Workbench | None = None
) -> InputFile:
    """The output under its digest, as the artifact store keeps it: a name without a suffix."""
    digest = hashlib.sha256(output.path.read_bytes()).hexdigest()
    path = store / output.tier / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(output.path, path)
    pointer = pointer_to(output, digest, path.stat().st_size, stage, partition, bench)
    return InputFile(pointer=pointer, path=path)


def pointer_to(
    output: Output, digest: str, size: int, stage: str, partition: str, bench: Workbench | None
) -> ArtifactPointer:
    """The artifact that the output becomes; with `bench`, marked as what it was made of."""
    given = [item.pointer for items in bench.inputs.values() for item in items] if bench else []
    return ArtifactPointer(
        name=output.name,
        digest=digest,
        size=size,
        media_type=output.media_type,
        rows=output.rows,
        tier=output.tier,
        scope=Scope(tenant="tenant"),
        taints=inherited_taints(given, output.taints),
        provenance=Provenance(run="r", stage=stage, partition=partition, attempt=1, code="test"),
    )


def workbook_at(path: Path) -> openpyxl.Workbook:
    """The workbook in a stored file, whose name has no suffix."""
    return openpyxl.load_workbook(io.BytesIO(path.read_bytes()))


def _each(spec: Mapping[str, Any], stage: str) -> Any:
    return next(item.get("each") for item in spec["stages"] if item["name"] == stage)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        whole = re.fullmatch(r"\$\{(\w+)\}", value)
        if whole:
            return values[whole[1]]
        return re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), value)
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    return value
