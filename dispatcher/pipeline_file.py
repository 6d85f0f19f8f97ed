"""pipeline.yaml: from its text to a checked Pipeline, every fault at once and on its line.

Promises that what it returns can be planned but for the values of the parameters: stages form no
cycle, every name refers to something, every payload has the fields of its kind, every file is
there. Pure: the folder's file names are an argument. Format: docs/reference/pipeline-yaml.md.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import JsonValue, ValidationError

from contracts.fact import JsonObject
from contracts.payload import Payload, PayloadRegistry, UnknownKind
from contracts.pipeline import ParameterSpec, ParameterType, Pipeline, StageSpec
from contracts.request import Parameter
from dispatcher.faults import LineFault, PipelineRefused
from dispatcher.payload_check import PayloadCheck
from dispatcher.references import PARTITION, filled, references
from dispatcher.stage_order import cycles
from dispatcher.yaml_lines import Node, YamlRefused, read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedPipeline:
    """A pipeline, and where each part of it is written."""

    pipeline: Pipeline
    root: Node

    def line(self, *place: str | int) -> int:
        """The line of a place like `("stages", 2, "with", "query")`, or of what holds it."""
        return self.root.at(*place).line


def read_pipeline(
    text: str, *, name: str, registry: PayloadRegistry, files: Collection[str]
) -> LocatedPipeline:
    """The pipeline that `text` describes. `name`: its folder's; `files`: the folder's, by relative
    path. Raises PipelineRefused with every fault."""
    try:
        root = read_yaml(text)
    except YamlRefused as cause:
        raise PipelineRefused(name, [cause.fault]) from None
    reader = _Reader(root, registry, PayloadCheck(files))
    faults = [*reader.shape_faults(name), *reader.parameter_faults(), *reader.stage_faults()]
    if faults or reader.pipeline is None:
        raise PipelineRefused(name, faults)
    return LocatedPipeline(pipeline=reader.pipeline, root=root)


class _Reader:
    """Checks what is well formed even where other parts are not."""

    def __init__(self, root: Node, registry: PayloadRegistry, payloads: PayloadCheck) -> None:
        self._root, self._registry, self._payloads = root, registry, payloads
        self.pipeline: Pipeline | None = None
        plain = root.plain()
        written: JsonObject = plain if isinstance(plain, dict) else {}
        self._parameters = _well_formed_parameters(written.get("parameters"))
        self._stages = _well_formed_stages(written.get("stages"))
        self._declared = _keys(written.get("parameters"))
        self._named = _names(written.get("stages"))

    def shape_faults(self, name: str) -> Iterator[LineFault]:
        try:
            self.pipeline = Pipeline.model_validate(self._root.plain())
        except ValidationError as cause:
            told: set[int] = set()
            for fault in cause.errors(include_url=False):
                at = self._fault(fault["loc"], _shape_message(fault["loc"], fault))
                if at.line not in told or fault["type"] == "missing":
                    told.add(at.line)
                    yield at
        else:
            if self.pipeline.name != name:
                told_name = f"the name is {self.pipeline.name!r}, the folder's is {name!r}"
                yield self._fault(("name",), told_name)

    def parameter_faults(self) -> Iterator[LineFault]:
        for name, spec in self._parameters.items():
            place = ("parameters", name)
            if name == PARTITION:
                yield self._fault(place, "'partition' is every task's own: name it otherwise")
            if spec.required and spec.default is not None:
                yield self._fault((*place, "default"), f"{name!r} is required: no default is used")
            elif spec.default is not None and (wrong := spec.fault(spec.default)):
                yield self._fault((*place, "default"), f"the default of {name!r} {wrong}")

    def stage_faults(self) -> Iterator[LineFault]:
        first: dict[str, int] = {}
        for index, stage in self._stages.items():
            if first.setdefault(stage.name, index) != index:
                line = self._root.at("stages", first[stage.name]).line
                told = f"a stage named {stage.name!r} stands on line {line} already"
                yield self._fault(("stages", index, "name"), told)
            yield from self._reference_faults(index, stage)
            yield from self._payload_faults(index, stage)
        parents = {name: self._stages[index].parents for name, index in first.items()}
        for cycle in cycles(parents):
            index, parent = first[cycle[0]], cycle[1 % len(cycle)]
            written = "needs" if parent in self._stages[index].needs else "each"
            yield self._fault(
                ("stages", index, written), f"a cycle: {' -> '.join((*cycle, cycle[0]))}"
            )

    def _reference_faults(self, index: int, stage: StageSpec) -> Iterator[LineFault]:
        fans_out = {s.name for s in self._stages.values() if s.each is not None}
        place = ("stages", index)
        for position, need in enumerate(stage.needs):
            if need not in self._named:
                told = f"stage {stage.name!r} needs {need!r}, and there is no such stage"
                yield self._fault((*place, "needs", position), told)
        if isinstance(stage.each, str):
            if stage.each not in self._named:
                told = f"stage {stage.name!r} runs for each of {stage.each!r}, which is no stage"
                yield self._fault((*place, "each"), told)
            elif stage.each in fans_out and stage.each != stage.name:
                told = f"{stage.each!r} runs once a partition itself: name what discovered those"
                yield self._fault((*place, "each"), told)
        elif stage.each is not None and len(set(stage.each)) != len(stage.each):
            yield self._fault((*place, "each"), f"stage {stage.name!r} names a partition twice")
        elif stage.each == ():
            yield self._fault((*place, "each"), f"stage {stage.name!r} has no partitions")
        for name in references([limit.key for limit in stage.limits]):
            if name not in self._declared:
                there = ", ".join(sorted(self._declared)) or "none"
                told = f"no parameter {name!r} is declared; there are: {there}"
                yield self._fault((*place, "limits"), told)
        for where, name in _referring(self._root.at(*place, "with"), (*place, "with")):
            if name == PARTITION and stage.each is None:
                told = f"stage {stage.name!r} has no `each`, so ${{partition}} has no value"
                yield self._fault(where, told)
            elif name != PARTITION and name not in self._declared:
                there = ", ".join(sorted(self._declared)) or "none"
                yield self._fault(where, f"no parameter {name!r} is declared; there are: {there}")

    def _payload_faults(self, index: int, stage: StageSpec) -> Iterator[LineFault]:
        payload = payload_of(self._registry, stage)
        if payload is None:
            known = ", ".join(sorted({known.KIND for known in self._registry}))
            version = f" version {stage.version}" if stage.version else ""
            told = f"no stage kind {stage.kind!r}{version} is known; there are: {known}"
            yield self._fault(("stages", index, "version" if stage.version else "kind"), told)
            return
        for stand_ins in _stand_ins(self._parameters):
            values = filled(stage.with_, stand_ins)
            assert isinstance(values, dict)
            for place, told in self._payloads.faults(payload, stage.with_, values):
                where = ("stages", index, "with", *place)
                yield self._fault(where, f"stage {stage.name!r}: {told}")

    def _fault(self, place: tuple[str | int, ...], message: str) -> LineFault:
        return LineFault(line=self._root.at(*place).line, message=message)


def payload_of(registry: PayloadRegistry, stage: StageSpec) -> type[Payload] | None:
    """The payload class of a stage, or None where its kind or version is not known here."""
    try:
        if stage.version is None:
            return registry.newest(stage.kind)
        return registry.find(stage.kind, stage.version)
    except UnknownKind:
        return None


def _well_formed_parameters(written: JsonValue) -> dict[str, ParameterSpec]:
    specs: dict[str, ParameterSpec] = {}
    for name, item in (written if isinstance(written, dict) else {}).items():
        try:
            specs[name] = ParameterSpec.model_validate(item, extra="ignore")
        except ValidationError:
            continue  # told as a fault of the shape
    return specs


def _well_formed_stages(written: JsonValue) -> dict[int, StageSpec]:
    stages: dict[int, StageSpec] = {}
    for index, item in enumerate(written if isinstance(written, list) else ()):
        try:
            stages[index] = StageSpec.model_validate(item, extra="ignore")
        except ValidationError:
            continue  # told as a fault of the shape
    return stages


def _keys(written: JsonValue) -> set[str]:
    return set(written) if isinstance(written, dict) else set()


def _names(written: JsonValue) -> set[JsonValue]:
    items = written if isinstance(written, list) else []
    names = [item.get("name") for item in items if isinstance(item, dict)]
    return {name for name in names if isinstance(name, str)}


def _shape_message(loc: tuple[str | int, ...], fault: object) -> str:
    assert isinstance(fault, dict)
    name = ".".join(str(step) for step in loc) or "the file"
    match fault["type"]:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name} is not part of a pipeline"
        case "model_type" | "dict_type":
            return f"{name} must be a mapping"
        case _:
            return f"{name}: {fault['msg']}"


def _stand_ins(parameters: Mapping[str, ParameterSpec]) -> Iterator[Mapping[str, Parameter]]:
    """Values to check payloads with: once each choice, so that what only one choice leads to, a
    file for one, is looked for too. A text that may be anything is left as it is written."""
    usual = {name: _stand_in(spec) for name, spec in parameters.items()}
    known = {name: value for name, value in usual.items() if value is not None}
    yield known
    for name, spec in parameters.items():
        for choice in spec.choices or ():
            yield known | {name: choice}


def _stand_in(spec: ParameterSpec) -> Parameter:
    if spec.default is not None:
        return spec.default
    if spec.choices:
        return spec.choices[0]
    match spec.type:
        case ParameterType.INTEGER:
            return 1
        case ParameterType.BOOLEAN:
            return True
        case ParameterType.DATE:
            return date(2000, 1, 1).isoformat()
        case ParameterType.SOURCE | ParameterType.STRING | ParameterType.TENANT:
            return None


def _referring(
    node: Node, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every reference under `node`, with its place."""
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            yield from _referring(item, (*place, key))
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _referring(item, (*place, index))
    else:
        for name in references(node.value):
            yield place, name
