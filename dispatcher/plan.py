"""Planning: a pipeline and the values of its parameters become the graph of a run. Pure.

The same arguments give the same graph. What the graph holds is final but for `${partition}`:
payloads are checked here, with a stand-in partition, so that a run that starts can be carried out.
"""

from collections.abc import Iterator, Mapping

from contracts.artifact import ArtifactPointer
from contracts.fact import JsonObject
from contracts.lane import LaneTable
from contracts.limit import Slot, slot_of
from contracts.payload import Payload, PayloadRegistry, marked_values
from contracts.pipeline import ParameterType, StageSpec
from contracts.plan import RunGraph, StagePlan
from contracts.request import Parameter
from dispatcher.faults import LineFault, PipelineRefused, RequestRefused
from dispatcher.payload_check import PayloadCheck
from dispatcher.pipeline_file import LocatedPipeline, payload_of
from dispatcher.references import filled, with_partition
from dispatcher.stage_order import parents_first

_STAND_IN = "p0"


def plan(
    located: LocatedPipeline,
    parameters: Mapping[str, Parameter],
    files: Mapping[str, ArtifactPointer],
    *,
    tenant: str,
    registry: PayloadRegistry,
    lanes: LaneTable,
) -> RunGraph:
    """The graph of a run for `tenant`. `files`: pointers to the pipeline's files, by path.

    Raises RequestRefused where the parameters do not fit, PipelineRefused where no lane serves a
    stage.
    """
    values = parameter_values(located, parameters, tenant)
    planner = _Planner(located, values, files, registry, lanes, tenant=tenant)
    name = located.pipeline.name
    if faults := list(planner.lane_faults()):
        raise PipelineRefused(name, faults)
    if faults := list(planner.payload_faults()):
        raise RequestRefused(name, faults)
    return RunGraph(stages=tuple(planner.stages()))


def parameter_values(
    located: LocatedPipeline, given: Mapping[str, Parameter], tenant: str
) -> dict[str, Parameter]:
    """Every declared parameter with its value, defaults filled in. Raises RequestRefused.

    A parameter of type `tenant` is the request's tenant, given or not: nobody asks for the rows
    of another.
    """
    declared = located.pipeline.parameters
    faults: list[LineFault] = []
    for name in sorted(given.keys() - declared.keys()):
        there = ", ".join(declared) or "none"
        told = f"there is no parameter {name[:60]!r}; there are: {there}"
        faults.append(LineFault(line=located.line("parameters"), message=told))
    values: dict[str, Parameter] = {}
    for name, spec in declared.items():
        value = given.get(name)
        own = tenant if spec.type is ParameterType.TENANT else spec.default
        values[name] = own if value is None else value
        wrong = spec.fault(values[name])
        if wrong is None and spec.type is ParameterType.TENANT and values[name] != tenant:
            wrong = f"must be the request's tenant, {tenant!r}"
        if wrong is not None:
            told = f"parameter {name!r} {wrong}"
            faults.append(LineFault(line=located.line("parameters", name), message=told))
    if faults:
        raise RequestRefused(located.pipeline.name, faults)
    return values


class _Planner:
    def __init__(
        self,
        located: LocatedPipeline,
        values: Mapping[str, Parameter],
        files: Mapping[str, ArtifactPointer],
        registry: PayloadRegistry,
        lanes: LaneTable,
        *,
        tenant: str,
    ) -> None:
        self._located, self._files, self._lanes = located, files, lanes
        self._values, self._tenant = values, tenant
        self._specs = {stage.name: stage for stage in located.pipeline.stages}
        self._place = {stage.name: index for index, stage in enumerate(located.pipeline.stages)}
        self._payloads = {name: self._filled(spec, values) for name, spec in self._specs.items()}
        self._classes = {name: _known(registry, spec) for name, spec in self._specs.items()}

    def lane_faults(self) -> Iterator[LineFault]:
        for name, spec in self._specs.items():
            lane = self._lanes.serving(spec.kind)
            if lane is None:
                line = self._located.line("stages", self._place[name], "kind")
                yield LineFault(line=line, message=f"no lane serves the kind {spec.kind!r}")
            elif spec.isolated and not lane.scale.isolation:
                line = self._located.line("stages", self._place[name], "isolated")
                told = f"tasks of lane {lane.name!r} may have no pods of their own"
                yield LineFault(line=line, message=told)

    def payload_faults(self) -> Iterator[LineFault]:
        check = PayloadCheck(self._files)
        for name, payload in self._payloads.items():
            stands_in = self._as_of_a_partition(name)
            for place, told in check.faults(self._classes[name], payload, stands_in):
                line = self._located.line("stages", self._place[name], "with", *place)
                yield LineFault(line=line, message=f"stage {name!r}: {told}")

    def stages(self) -> Iterator[StagePlan]:
        parents = {name: spec.parents for name, spec in self._specs.items()}
        for name in parents_first(parents):
            spec, payload = self._specs[name], self._classes[name]
            lane = self._lanes.serving(spec.kind)
            assert lane is not None, "lane_faults come first"
            used = marked_values(payload, self._as_of_a_partition(name), "pipeline-file")
            yield StagePlan(
                name=name,
                kind=spec.kind,
                version=payload.VERSION,
                lane=lane.name,
                payload=self._payloads[name],
                files={path: self._files[path] for path in used},
                needs=spec.parents,
                discovered_by=spec.each if isinstance(spec.each, str) else None,
                partitions=spec.each if isinstance(spec.each, tuple) else None,
                deterministic=payload.DETERMINISTIC,
                isolated=spec.isolated,
                slots=tuple(self._slots(spec)),
            )

    def _slots(self, spec: StageSpec) -> Iterator[Slot]:
        """By the limits of the pipeline, then the stage's own."""
        pipeline = self._located.pipeline
        known = {"tenant": self._tenant, "pipeline": pipeline.name, "stage": spec.name}
        for limit, place in (
            *((limit, f"pipeline/{pipeline.name}") for limit in pipeline.limits),
            *((limit, f"pipeline/{pipeline.name}/{spec.name}") for limit in spec.limits),
        ):
            key = str(filled(f"{limit.key} ", self._values))[:-1]  # always as text
            yield slot_of(limit.model_copy(update={"key": key}), place, known)

    def _as_of_a_partition(self, name: str) -> JsonObject:
        each = self._specs[name].each
        partition = each[0] if isinstance(each, tuple) else _STAND_IN
        values = with_partition(self._payloads[name], partition)
        assert isinstance(values, dict)
        return values

    def _filled(self, spec: StageSpec, values: Mapping[str, Parameter]) -> JsonObject:
        payload = filled(spec.with_, values)
        assert isinstance(payload, dict)
        return payload


def _known(registry: PayloadRegistry, spec: StageSpec) -> type[Payload]:
    payload = payload_of(registry, spec)
    assert payload is not None, "read_pipeline has checked every kind"
    return payload
