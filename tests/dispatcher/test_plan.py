"""Planning: from a pipeline and parameters to a graph."""

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.artifact import ArtifactPointer, Scope, Tier
from contracts.lane import Lane, LaneTable
from contracts.limit import Slot
from contracts.plan import RunGraph
from contracts.request import Parameter
from dispatcher.faults import PipelineRefused, RequestRefused
from dispatcher.plan import plan
from fleet.lanes import load_lanes
from tests.dispatcher.pipelines import FILES, REGISTRY, YAML, a_pipeline

_POINTERS = {
    path: ArtifactPointer(
        name=path,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        size=len(text),
        media_type="text/plain",
        tier=Tier.EVIDENCE,
        scope=Scope(tenant="acme"),
    )
    for path, text in FILES.items()
}


def _plan(
    parameters: Mapping[str, Parameter], text: str = YAML, lanes: LaneTable | None = None
) -> RunGraph:
    return plan(
        a_pipeline(text),
        parameters,
        _POINTERS,
        tenant="acme",
        registry=REGISTRY,
        lanes=lanes or load_lanes(),
    )


def test_a_plan_holds_everything_but_the_partition() -> None:
    """Parameters keep their types, defaults are filled in, `${partition}` stays for the task."""
    graph = _plan({"client": "C-1", "rows": 5})

    claims = graph.stage("claims")
    assert claims.payload == {
        "source": "claims",
        "query": "sql/claims.sql",
        "batch_rows": 5,
        "parameters": {"client": "C-1", "month": "${partition}", "since": "2024-01-01"},
    }
    assert graph.stage("totals").payload["parameters"] == {"title": "for C-1"}


def test_a_stage_knows_its_lane_files_parents_and_partitions() -> None:
    """What the ledger and the workers need to know of a stage is in the graph."""
    graph = _plan({"client": "C-1"})

    claims, book = graph.stage("claims"), graph.stage("book")
    assert (claims.lane, claims.version, claims.deterministic) == ("mirror", 1, False)
    assert (claims.discovered_by, claims.needs) == ("months", ("months",))
    assert claims.files == {"sql/claims.sql": _POINTERS["sql/claims.sql"]}
    assert (book.partitions, book.deterministic) == (("north", "2024"), True)
    assert [t.payload["name"] for t in graph.initial_tasks("r") if t.stage == "book"] == [
        *("north.xlsx", "2024.xlsx")
    ]


@pytest.mark.parametrize(
    ("parameters", "line", "told"),
    [
        ({}, 5, "parameter 'client' is required"),
        ({"client": None}, 5, "parameter 'client' is required"),
        ({"client": 5}, 5, "must be a string"),
        ({"client": "c 1"}, 5, "must match the pattern"),
        ({"client": "C", "colour": "red"}, 4, "there is no parameter 'colour'"),
        ({"client": "C", "rows": "5"}, 8, "must be an integer"),
        ({"client": "C", "since": "yesterday"}, 7, "must be a date"),
        ({"client": "C", "source": "sqlite:///etc"}, 6, "the name of a source"),
        ({"client": "C", "rows": 0}, 20, "'batch_rows' should be"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_with_the_line(
    parameters: dict[str, Parameter], line: int, told: str
) -> None:
    """The line is that of the declaration, or of the field that the value does not fit."""
    with pytest.raises(RequestRefused) as refused:
        _plan(parameters)

    assert [(fault.line, told in fault.message) for fault in refused.value.faults] == [(line, True)]


def test_all_wrong_parameters_are_told_at_once() -> None:
    """A requester corrects a request once."""
    with pytest.raises(RequestRefused) as refused:
        _plan({"rows": "x", "since": 3, "colour": "red"})

    assert [fault.line for fault in refused.value.faults] == [4, 5, 7, 8]


def test_a_null_where_a_field_wants_a_value_is_refused() -> None:
    """An optional parameter without a default is null, and the field says whether it may be."""
    text = YAML.replace("batch_rows: ${rows}", "name: ${title}")

    with pytest.raises(RequestRefused, match="line 20: stage 'claims': 'name' should be"):
        _plan({"client": "C"}, text)


def test_a_kind_without_a_lane_is_refused_on_its_line() -> None:
    """A run whose stage nobody would ever take is not started."""
    only_mirror = LaneTable([Lane(name="mirror", kinds=("mirror.keys", "mirror.sql"))])

    with pytest.raises(PipelineRefused) as refused:
        _plan({"client": "C"}, lanes=only_mirror)

    assert [fault.line for fault in refused.value.faults] == [23, 28, 32]


@given(
    st.fixed_dictionaries(
        {"client": st.from_regex(r"[A-Z0-9-]{1,9}", fullmatch=True)},
        optional={
            "rows": st.integers(1, 10**6),
            "since": st.dates().map(str),
            "title": st.none() | st.text(max_size=9).filter(lambda text: "${" not in text),
        },
    ),
    st.permutations(range(5)),
)
def test_planning_is_deterministic_and_puts_parents_first(
    parameters: dict[str, Parameter], order: list[int]
) -> None:
    """In whatever order stages are written: same plan each time, every parent before its child."""
    head, *stages = YAML.split("  - name: ")
    text = head + "".join(f"  - name: {stages[index]}" for index in order)

    graph = _plan(parameters, text)

    assert graph.model_dump_json() == _plan(parameters, text).model_dump_json()
    names = [stage.name for stage in graph.stages]
    for stage in graph.stages:
        assert all(names.index(need) < names.index(stage.name) for need in stage.needs)


_OF_TENANT = YAML.replace(
    'client: {type: string, required: true, pattern: "[A-Z0-9-]+", description: The client.}',
    "client: {type: tenant}",
)


@pytest.mark.parametrize("given", [{}, {"client": None}, {"client": "acme"}])
def test_a_tenant_parameter_is_the_tenant_of_the_request(given: dict[str, str | None]) -> None:
    """Said or not."""
    graph = _plan(given, _OF_TENANT)

    assert graph.stage("totals").payload["parameters"] == {"title": "for acme"}


def test_nobody_asks_for_the_rows_of_another_tenant() -> None:
    """Refused with the line of the parameter."""
    with pytest.raises(RequestRefused, match="must be the request's tenant, 'acme'"):
        _plan({"client": "rival"}, _OF_TENANT)


def test_a_stage_may_ask_for_pods_of_its_own_where_its_lane_allows() -> None:
    """As compute does; elsewhere it is refused, with the line."""
    asked = YAML.replace("    kind: compute.sql\n", "    kind: compute.sql\n    isolated: true\n")
    refused = YAML.replace("    kind: mirror.keys\n", "    kind: mirror.keys\n    isolated: true\n")

    graph = _plan({"client": "C-1"}, asked)

    assert [stage.name for stage in graph.stages if stage.isolated] == ["totals"]
    with pytest.raises(PipelineRefused, match=r"line 13: .*'mirror' may have no pods of their own"):
        _plan({"client": "C-1"}, refused)


_LIMITED = """\
name: monthly
version: 1
parameters:
  client: {type: string, required: true}
limits:
  - {key: "{tenant}", running: 4}
stages:
  - name: months
    kind: mirror.keys
    with: {source: claims, query: sql/months.sql}
    limits:
      - {key: "client-${client}", running: 1}
      - {key: crm, starts: 10, per: minute, shared: true}
      - {key: "{requester}/{partition}", running: 2}
"""


def test_a_pipelines_limits_become_the_slots_of_its_stages() -> None:
    """The pipeline's for all of its stages, then the stage's own; each counted by the values of
    this run, shared ones across pipelines, and what only a task knows is left for its worker."""
    graph = _plan({"client": "C-1"}, _LIMITED)

    assert graph.stage("months").slots == (
        Slot(key="pipeline/monthly/acme", running=4),
        Slot(key="pipeline/monthly/months/client-C-1", running=1),
        Slot(key="shared/crm", starts=10, per=60),
        Slot(key="pipeline/monthly/months/{requester}/{partition}", running=2),
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{key: '{client}', running: 1}", r"line 6: .*\{client\} is unknown; there are tenant"),
        ("{key: all}", r"line 6: .*say running .* or starts"),
        ("{running: 1, shared: true}", r"line 6: .*a shared limit needs a key"),
        ("{running: 0}", r"line 6: .*greater than or equal to 1"),
    ],
)
def test_a_limit_that_says_nothing_is_refused_with_its_line(written: str, told: str) -> None:
    """A mistake is told when the pipeline is read, not when tasks pile up."""
    with pytest.raises(PipelineRefused, match=told):
        _plan({"client": "C-1"}, _LIMITED.replace('{key: "{tenant}", running: 4}', written))
