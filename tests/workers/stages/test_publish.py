"""publish.packet and agent.summary: what leaves, in which scope, and in whose words."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.artifact import Tier
from contracts.outcome import Produced
from contracts.stage_payloads import AgentSummary, PublishPacket
from tests.pipelines.harness import run_stage, stored, workbench
from tests.workers.stages.benches import fault_of, file_of, table_input
from workers.stages.handler import Workbench

LINES: list[dict[str, Any]] = [
    {"client": "alder", "cents": 250, "status": "missed", "secret": "s1"},
    {"client": "alder", "cents": -50, "status": "met", "secret": "s2"},
]
LAYOUT = """
title: Report
figures:
  - {label: Due, view: totals, column: due, format: money, tone: bad}
  - {label: Lines, view: lines, count: true, format: integer}
tables:
  - name: lines
    view: lines
    title: Lines
    order: [cents desc]
    columns:
      - {name: status, title: Status, format: status}
      - {name: cents, title: Amount, format: money}
    total: [cents]
    tones: {missed: bad}
"""


def publish(
    folder: Path, layout: str, lines: list[dict[str, Any]] | None = None, **more: Any
) -> Workbench:
    """A workbench for publish.packet over the tables `lines` and `totals`."""
    totals = [{"client": "alder", "due": 200}]
    return workbench(
        PublishPacket.model_validate({"layout": "packet.yaml", **more}),
        folder / "scratch",
        inputs={
            "lines": (table_input(folder, "lines", "lines.parquet", lines or LINES),),
            "totals": (table_input(folder, "totals", "totals.parquet", totals),),
        },
        files=file_of(folder, "packet.yaml", layout),
        tenant="alder",
    )


def packet_of(bench: Workbench) -> dict[str, Any]:
    """The packet that the stage published."""
    made = run_stage(bench)
    assert isinstance(made, Produced)
    (output,) = made.outputs
    assert output.tier is Tier.CURATED
    content: dict[str, Any] = json.loads(output.path.read_text(encoding="utf-8"))
    return content


def test_only_what_the_layout_names_is_published(tmp_path: Path) -> None:
    """Columns, order, totals and figures are the layout's; a column it leaves out stays in."""
    packet = packet_of(publish(tmp_path, LAYOUT))

    (table,) = packet["tables"]
    assert table["rows"] == [["missed", 250], ["met", -50]]
    assert table["total"] == [None, 200]
    assert [figure["value"] for figure in packet["figures"]] == [200, 2]
    assert "s1" not in json.dumps(packet)
    assert packet["tenant"] == "alder"
    assert [origin["stage"] for origin in packet["origins"]] == ["lines", "totals"]


def test_rows_of_another_scope_publish_nothing(tmp_path: Path) -> None:
    """One row of another client, or of none, fails the stage."""
    lines = [*LINES, {"client": None, "cents": 1, "status": "met", "secret": ""}]
    bench = publish(tmp_path, LAYOUT, lines, scope_column="client", scope_value="alder")

    kind, code, _ = fault_of(bench)

    assert (kind, code) == ("bad_input", "scope.broken")
    assert not (bench.scratch / "packet.json").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("title: Report", "titel: Report"), "packet.refused"),
        (("order: [cents desc]", "order: ['cents; drop']"), "packet.refused"),
        (("total: [cents]", "total: [secret]"), "packet.refused"),
        (("view: totals", "view: lines"), "sql.failed"),
        (("column: due", "count: false"), "packet.refused"),
        (("name: cents", "name: absent"), "sql.failed"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(
    tmp_path: Path, change: tuple[str, str], code: str
) -> None:
    """A wrong word in the layout is said, never skipped."""
    assert fault_of(publish(tmp_path, LAYOUT.replace(*change)))[1] == code


def test_a_packet_is_not_a_database(tmp_path: Path) -> None:
    """More rows than a packet may hold is a fault, not a truncated table."""
    assert fault_of(publish(tmp_path, LAYOUT, at_most_rows=1))[1] == "packet.too_large"


def summary(folder: Path, template: str) -> Workbench:
    """A workbench for agent.summary over the table `lines`."""
    return workbench(
        AgentSummary(template="s.j2", tables=("lines",), parameters={"client": "alder"}),
        folder / "scratch",
        inputs={"lines": (table_input(folder, "lines", "lines.parquet", LINES),)},
        files=file_of(folder, "s.j2", template),
    )


def test_a_summary_is_tainted_whoever_wrote_it(tmp_path: Path) -> None:
    """The fallback fills its template in, and its words carry the taint `ai` all the same."""
    template = (
        "{{ parameters.client }}:\n{% for line in tables.lines %}\n"
        "{{ line.cents | money }}\n{% endfor %}"
    )
    made = run_stage(summary(tmp_path, template))

    assert isinstance(made, Produced)
    (output,) = made.outputs
    assert output.taints == ("ai",)
    content = json.loads(output.path.read_text(encoding="utf-8"))
    assert content == {"text": "alder: -0.50 2.50", "author": "template"}


@pytest.mark.parametrize(
    "template",
    [
        "{{ absent }}",
        "{% for %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ parameters.update({'client': 'other'}) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing_but_its_tables(tmp_path: Path, template: str) -> None:
    """Unknown names, Python's insides and other files are refused."""
    assert fault_of(summary(tmp_path, template))[1] == "summary.refused"


def test_a_summary_that_is_none_is_refused(tmp_path: Path) -> None:
    """Another stage's table or JSON in the place of words is said, never shown."""
    bench = publish(tmp_path, LAYOUT, summary="lines")
    missing = publish(tmp_path / "b", LAYOUT, summary="absent")

    assert fault_of(bench)[1] == "packet.refused"
    assert fault_of(missing)[1] == "input.missing"


def test_a_packet_carries_its_summary(tmp_path: Path) -> None:
    """The words and their author come along; figures do not come from them."""
    made = run_stage(summary(tmp_path / "agent", "Words."))
    assert isinstance(made, Produced)
    words = stored(made.outputs[0], tmp_path / "store", "words")
    bench = publish(tmp_path, LAYOUT, summary="words")
    bench = workbench(
        bench.payload,
        tmp_path / "again",
        inputs={**bench.inputs, "words": (words,)},
        files=bench.files,
    )

    assert packet_of(bench)["summary"] == {"text": "Words.", "author": "template"}
