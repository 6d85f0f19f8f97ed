"""guarantee_report from its sources to its presentations."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pypdf import PdfReader

from console.demo.inputs import DemoInputs, held_against
from tests.pipelines.conftest import Elsewhere, shared
from tests.pipelines.harness import PIPELINES, Finished, StageFailed, run_pipeline, workbook_at
from workers.stages.handler import StageFault

TUVA = PIPELINES / "guarantee_report" / "examples" / "tuva"


def of_client(demo: DemoInputs, folder: Path, number: int = 0, **more: Any) -> Finished:
    """The report of one of the demo's clients."""
    parameters = demo.requests[number]["parameters"]
    tenant = demo.requests[number]["scope"]["tenant"]
    return run_pipeline("guarantee_report", parameters, demo.sources, folder, tenant=tenant, **more)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_planted_discrepancy_is_named_and_no_other(
    demo: DemoInputs, tmp_path: Path, number: int
) -> None:
    """The comparison names each planted mistake by kind, key and both values; nothing else."""
    finished = of_client(demo, tmp_path, number, until="comparison_packet")

    packet = json.loads(finished.path("comparison_packet", "comparison.json").read_text())
    held = held_against(packet, demo.planted[demo.requests[number]["parameters"]["client"]])
    assert len(held.found) == 8
    assert (held.missed, held.unexpected) == ([], [])


def test_bad_lines_are_split_off_and_counted(demo: DemoInputs, tmp_path: Path) -> None:
    """Each bad line that was planted is evidence, in no figure, and counted by its rule."""
    finished = of_client(demo, tmp_path, until="totals")

    rejected = pq.read_table(finished.path("checked", "rejected.parquet"))
    assert rejected.num_rows == demo.bad_lines["alder-health"] == 8
    assert set(rejected["broken"].to_pylist()) == {
        "line_is_single",
        "date_is_real",
        "ndc_has_11_digits",
        "channel_is_known",
        "drug_class_is_known",
        "awp_is_known",
        "ingredient_cost_is_known",
    }
    (totals,) = pq.read_table(finished.path("totals", "totals.parquet")).to_pylist()
    assert totals["claims"] == 2_000 - 8


def test_the_report_is_the_same_everywhere(
    demo: DemoInputs, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    """Other folder, other time zone, two threads: every artifact has the same bytes."""
    here = of_client(demo, tmp_path / "here").digests()

    wishes: dict[str, Any] = {
        "parameters": demo.requests[0]["parameters"],
        "sources": demo.sources,
        "tenant": "alder-health",
        "overrides": {"threads": 2},
    }
    assert elsewhere("guarantee_report", "Pacific/Kiritimati", **wishes) == here
    assert {name.rsplit(".", 1)[-1] for name in here} == {"parquet", "json", "csv", "xlsx", "pdf"}


def test_the_presentations_agree(demo: DemoInputs, tmp_path: Path) -> None:
    """Workbook, PDF and JSON show the amount due that the packet holds."""
    finished = of_client(demo, tmp_path)

    packet = json.loads(finished.path("report_packet", "report.json").read_text())
    due = packet["figures"][0]["value"]
    text = f"{due // 100:,}.{due % 100:02}"
    assert due > 0
    browser = json.loads(finished.path("browser", "guarantee_report.json").read_text())
    assert browser["packets"][0]["figures"][0]["text"] == text
    pages = PdfReader(finished.path("pdf", "guarantee_report.pdf")).pages
    assert text in pages[0].extract_text()
    book = workbook_at(finished.path("workbook", "guarantee_report.xlsx"))
    amounts = [row[2] for row in book["Summary"].iter_rows(values_only=True) if len(row) > 2]
    assert due / 100 in amounts


def test_words_of_the_agent_touch_no_figure(demo: DemoInputs, tmp_path: Path) -> None:
    """The summary and what shows it are tainted; nothing computed is."""
    finished = of_client(demo, tmp_path)

    tainted = {
        stage
        for stage, items in finished.inputs.items()
        if any("ai" in item.pointer.taints for item in items)
    }
    assert tainted == {"summary", "report_packet", "workbook", "pdf", "browser"}


def test_a_contract_of_another_client_stops_the_report(demo: DemoInputs, tmp_path: Path) -> None:
    """A contract in the wrong folder breaks a hard rule; nothing is computed."""
    documents = tmp_path / "documents"
    for name in ("alder-health", "birch-benefits"):
        (documents / name).mkdir(parents=True)
    theirs = Path(demo.sources["documents"]) / "birch-benefits"
    for path in theirs.iterdir():
        (documents / "alder-health" / path.name).write_bytes(path.read_bytes())

    with pytest.raises(StageFailed) as raised:
        run_pipeline(
            "guarantee_report",
            {"client": "alder-health"},
            {**demo.sources, "documents": str(documents)},
            tmp_path / "run",
        )

    assert raised.value.failed.fault.code == "rule.broken"
    assert raised.value.failed.fault.facts == {"contract_of_the_client": 15}


def test_a_client_without_claims_gets_no_empty_report(demo: DemoInputs, tmp_path: Path) -> None:
    """No month is found, and that is said; a report of zeros would be worse."""
    with pytest.raises(StageFault) as raised:
        run_pipeline("guarantee_report", {"client": "nobody"}, demo.sources, tmp_path)

    assert raised.value.fault.code == "source.empty"


def test_what_the_claims_cannot_support_is_not_zero(tmp_path: Path) -> None:
    """Tuva's pharmacy claims have no AWP, channel or brand flag: no guarantee is computable, each
    says why, and no amount is stated."""
    finished = run_pipeline(
        "guarantee_report",
        {"client": "medicare", "layout": "tuva", "source": "tuva", "documents": "documents"},
        {"tuva": shared("tuva"), "documents": str(TUVA)},
        tmp_path,
        tenant="medicare",
    )

    lines = pq.read_table(finished.path("guarantees", "lines.parquet")).to_pylist()
    assert len(lines) == 10
    assert {line["status"] for line in lines} == {"not computable"}
    for line in lines:
        assert line["shortfall_cents"] is line["actual_cents"] is line["guaranteed_cents"] is None
        assert "217 of 217 claims say neither channel nor drug class" in line["reason"]
    discounts = [line["reason"] for line in lines if line["measure"] == "awp_discount"]
    assert all(reason.endswith("217 have no AWP") for reason in discounts)
    (totals,) = pq.read_table(finished.path("totals", "totals.parquet")).to_pylist()
    assert totals["claims"] == 291
    assert totals["due_cents"] is None
    assert (
        "not computable"
        in PdfReader(finished.path("pdf", "guarantee_report.pdf")).pages[0].extract_text()
    )


def test_the_demos_input_is_what_it_says(demo: DemoInputs) -> None:
    """The database holds as many lines as asked for, money as decimal text."""
    connection = sqlite3.connect(demo.sources["claims"].removeprefix("sqlite:///"))
    (lines,) = connection.execute("SELECT count(*) FROM claim_lines").fetchone()
    (clients,) = connection.execute("SELECT count(DISTINCT client) FROM claim_lines").fetchone()
    connection.close()

    assert (lines, clients) == (demo.lines, 3)
