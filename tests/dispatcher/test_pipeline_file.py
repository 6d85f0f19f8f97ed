"""pipeline.yaml: what is accepted, and that every fault is told with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.faults import PipelineRefused
from dispatcher.pipeline_file import read_pipeline
from tests.dispatcher.pipelines import FILES, REGISTRY, YAML, a_pipeline


def test_a_right_pipeline_is_read_whole() -> None:
    """Stages, parameters and partitions come out as they were written."""
    located = a_pipeline()

    assert [stage.name for stage in located.pipeline.stages] == [
        *("months", "claims", "typed", "totals", "book")
    ]
    assert located.pipeline.stages[4].each == ("north", "2024")
    assert located.pipeline.parameters["since"].default == "2024-01-01"
    assert located.line("stages", 1, "with", "query") == 19


def test_the_documented_example_is_right() -> None:
    """What docs/reference/pipeline-yaml.md shows can be copied."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "pipeline-yaml.md"
    text = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    name = "monthly_claims"

    located = read_pipeline(text, name=name, registry=REGISTRY, files=FILES)

    assert [stage.name for stage in located.pipeline.stages] == ["months", "claims", "totals"]


def _line(part: str) -> int:
    return YAML[: YAML.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("part", "instead", "told"),
    [
        ("name: monthly", "name: other", "the folder's is 'monthly'"),
        ("name: monthly", "name: Mon thly", "name: "),
        ("version: 3", "version: 0", "version: "),
        ("version: 3", "colour: red", "colour is not part of a pipeline"),
        ("client: {type: string", "client: {type: text", "parameters.client.type"),
        ("source: {type: source", "Source: {type: source", "parameters.Source"),
        ("rows: {type: integer, default: 1000", "rows: {type: integer, default: a", "an integer"),
        ("since: {type: date, default: 2024-01-01", "since: {type: date, default: May", "a date"),
        ("title: {type: string", "title: {type: string, required: true, default: x", "no default"),
        ("title: {type: string", 'title: {pattern: "("', "not a regular expression"),
        ("title: {type: string", "partition: {type: string", "every task's own"),
        ("kind: mirror.keys", "kind: mirror.kyes", "no stage kind 'mirror.kyes' is known"),
        ("kind: mirror.keys", "kind: mirror.keys\n    version: 9", "version 9 is known"),
        ("client: ${client}}}", "client: ${clinet}}}", "no parameter 'clinet' is declared"),
        ("client: ${client}}}", "client: ${partition}}}", "${partition} has no value"),
        ("client: ${client}}}", "client: 1.5}}", "'parameters.client' should be"),
        ("each: months", "each: month", "'month', which is no stage"),
        ("needs: [claims]", "needs: [claim]", "needs 'claim', and there is no such stage"),
        ("needs: [claims]", "needs: [totals]", "a cycle: typed -> totals -> typed"),
        ("needs: [claims]", "needs: [typed]", "a cycle: typed -> typed"),
        ("needs: [claims]", "needs: claims", "stages.2.needs"),
        ("name: typed", "name: claims", "stands on line 14 already"),
        ("name: typed", "nam: typed", "stages.2.name is missing"),
        ("query: sql/claims.sql", "query: sql/none.sql", "no file 'sql/none.sql'"),
        ("query: sql/claims.sql", "query: ../claims.sql", "not a plain path"),
        ("query: sql/claims.sql", "query: /etc/passwd", "not a plain path"),
        ("query: sql/claims.sql", "query: sql/${partition}.sql", "differs between tasks"),
        ("query: sql/claims.sql", "query: sql/${source}.sql", None),
        ("query: sql/claims.sql", "query: sql/${title}.sql", None),
        ("query: sql/claims.sql", "query: sql/${since}.sql", "no file 'sql/2024-01-01.sql'"),
        ("query: sql/claims.sql", "query: 7", "'query' should be"),
        ("query: sql/claims.sql", "quest: sql/claims.sql", "mirror.sql has no field 'quest'"),
        ("batch_rows: ${rows}", "batch_rows: many", "'batch_rows' should be"),
        ("batch_rows: ${rows}", "batch_rows: ${rows}0x", None),
        ("batch_rows: ${rows}", "batch_rows: {a: 1}", "'batch_rows' should be"),
        ("tables: {totals: sql/totals.sql}", "tables: {}", "'tables': Dictionary should have at"),
        ("each: [north, 2024]", "each: [north, north]", "names a partition twice"),
        ("each: [north, 2024]", "each: []", "has no partitions"),
        ("each: [north, 2024]", "each: [../x]", "stages.4.each"),
        ("each: [north, 2024]", "each: claims", "runs once a partition itself"),
        ("each: [north, 2024]", "each: [a: b]", "stages.4.each"),
    ],
)
def test_each_fault_names_its_line(part: str, instead: str, told: str | None) -> None:
    """One thing is wrong, and one line is named: that one. (None: only a run's values can tell.)"""
    text = YAML.replace(part, instead, 1)
    if told is None:
        a_pipeline(text)
        return

    with pytest.raises(PipelineRefused) as refused:
        a_pipeline(text)

    line = _line(part) + instead.count("\n")
    found = [fault for fault in refused.value.faults if told in fault.message]
    assert [fault.line for fault in found] == [line], refused.value.faults


def test_a_file_of_every_choice_must_be_there() -> None:
    """An owner hears of a choice that leads nowhere before anybody takes it."""
    text = YAML.replace("title: {type: string", "title: {choices: [claims, gone]").replace(
        "query: sql/claims.sql", "query: sql/${title}.sql"
    )

    with pytest.raises(PipelineRefused) as refused:
        a_pipeline(text)

    assert [(fault.line, "'sql/gone.sql'" in fault.message) for fault in refused.value.faults] == [
        (19, True)
    ]


def test_a_missing_field_is_told_where_the_payload_begins() -> None:
    """There is no line for what is not there, so the line of `with` is named."""
    text = YAML.replace("      query: sql/claims.sql\n", "")

    with pytest.raises(PipelineRefused, match=r"line 17: .*mirror\.sql needs the field 'query'"):
        a_pipeline(text)


def test_all_faults_are_told_at_once() -> None:
    """A person corrects a file once, not once a fault."""
    text = (
        YAML.replace("mirror.keys", "mirror.kyes")
        .replace("needs: [claims]", "needs: [ghost]")
        .replace("sql/totals.sql", "sql/none.sql")
        .replace("version: 3", "versoin: 3")
    )

    with pytest.raises(PipelineRefused) as refused:
        a_pipeline(text)

    assert [fault.line for fault in refused.value.faults] == [2, 12, 25, 30]


@pytest.mark.parametrize("text", ["", "just text", "[]", "stages: {}", "stages: []", "name: x"])
def test_what_is_no_pipeline_is_refused(text: str) -> None:
    """Any YAML that is not a pipeline is refused with at least one fault."""
    with pytest.raises(PipelineRefused) as refused:
        a_pipeline(text)

    assert refused.value.faults


_LINES = YAML.splitlines()


@given(
    st.integers(0, len(_LINES) - 1),
    st.sampled_from(["", "x", "- y", "  z: [", "}", "    kind: 3", "each: ${a}", "  - {name: b}"]),
)
def test_every_fault_names_a_line_of_the_file(index: int, instead: str) -> None:
    """Whatever line is spoilt: the file is read, or refused with lines that it has."""
    text = "\n".join([*_LINES[:index], instead, *_LINES[index + 1 :]])

    lines = [1]
    try:
        read_pipeline(text, name="monthly", registry=REGISTRY, files=FILES)
    except PipelineRefused as refused:
        lines = [fault.line for fault in refused.faults]

    assert lines
    assert all(1 <= line <= len(_LINES) + 1 for line in lines)
