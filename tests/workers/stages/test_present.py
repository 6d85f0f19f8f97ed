"""The presentations: workbook, PDF and JSON of a packet, opened by other libraries."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from pypdf import PdfReader

from contracts.artifact import Tier
from contracts.outcome import Output, Produced
from contracts.stage_payloads import PresentJson, PresentPdf, PresentWorkbook
from tests.pipelines.harness import PIPELINES, run_stage, stored, workbench
from tests.workers.stages.benches import fault_of, file_of, json_input
from workers.stages.handler import InputFile, Workbench
from workers.stages.packet import Column, Figure, Format, Packet, Table, rows_digest, shown

HOSTILE = '=HYPERLINK("https://example.org","x")'
TEMPLATE = (PIPELINES / "guarantee_report/templates/report.typ").read_text(encoding="utf-8")


def packet(title: str = "Report", note: str = "") -> Packet:
    """A packet with every format in it."""
    rows = ((HOSTILE, 123_456, 1_850, "missed"), ("b", -5, None, "met"), ("c", None, 0, "new"))
    return Packet(
        name="p",
        title=title,
        tenant="alder & co",
        parameters={"client": "alder", "as_of": None},
        figures=(Figure(label="Due", value=123_451, format="money", tone="bad"),),
        tables=(
            Table(
                name="t",
                title="Lines: all [of] them / which is a long title",
                note=note,
                columns=(
                    Column(name="a", title="Name"),
                    Column(name="b", title="Amount", format="money"),
                    Column(name="c", title="Share", format="basis_points"),
                    Column(name="d", title="Status", format="status"),
                ),
                rows=rows,
                total=(None, 123_451, None, None),
                tones={"missed": "bad", "met": "good"},
                digest=rows_digest(rows),
            ),
            Table(
                name="e",
                title="Empty",
                columns=(Column(name="a", title="A"),),
                rows=(),
                digest=rows_digest(()),
                empty="None at all.",
            ),
        ),
        notes=("A note.",),
    )


def packet_input(folder: Path, stage: str, content: Packet) -> InputFile:
    """The packet as the output of `stage`."""
    path = folder / f"{stage}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(content.model_dump_json(), encoding="utf-8")
    output = Output(name="packet.json", path=path, media_type="application/json", tier=Tier.CURATED)
    return stored(output, folder / "store", stage)


def present(folder: Path, payload: Any, *packets: Packet, **more: Any) -> Workbench:
    """A workbench for a presentation of packets by the stages p0, p1, ..."""
    inputs = {
        f"p{number}": (packet_input(folder / "in", f"p{number}", content),)
        for number, content in enumerate(packets)
    }
    return workbench(payload, folder / "scratch", inputs=inputs, **more)


def made_by(bench: Workbench) -> Output:
    """The one output of the stage."""
    made = run_stage(bench)
    assert isinstance(made, Produced)
    (output,) = made.outputs
    assert output.tier is Tier.PRESENTED
    return output


def test_a_workbook_holds_real_numbers(tmp_path: Path) -> None:
    """Money is a number to the cent, nulls are empty, totals stand below their columns."""
    output = made_by(present(tmp_path, PresentWorkbook(name="r.xlsx"), packet()))

    book = openpyxl.load_workbook(output.path)
    sheet = book.worksheets[1]
    values = [row[:4] for row in sheet.iter_rows(min_row=5, max_row=8, values_only=True)]
    assert values == [
        (HOSTILE, 1234.56, 18.5, "missed"),
        ("b", -0.05, None, "met"),
        ("c", None, 0, "new"),
        ("Total", 1234.51, None, None),
    ]
    assert sheet["B5"].number_format.startswith("#,##0.00")
    assert sheet["A5"].data_type == "s"  # text, and no formula


def test_sheets_have_legal_names_of_their_own(tmp_path: Path) -> None:
    """Two packets with the same tables make sheets of different, legal names."""
    output = made_by(present(tmp_path, PresentWorkbook(name="r.xlsx"), packet(), packet("Other")))

    names = openpyxl.load_workbook(output.path).sheetnames
    assert len(names) == len(set(names)) == 6
    assert all(len(name) <= 31 for name in names)


def test_a_pdf_says_what_the_packet_says(tmp_path: Path) -> None:
    """Title, figures, every row and page numbers are in the text of the PDF."""
    bench = present(
        tmp_path,
        PresentPdf(name="r.pdf", template="t.typ"),
        packet(note="*not* #strong[markup]"),
        files=file_of(tmp_path, "t.typ", TEMPLATE),
    )

    text = "\n".join(page.extract_text() for page in PdfReader(made_by(bench).path).pages)

    words = ("Report", "alder & co", "1,234.56", "18.50 %", "-0.05", "None at all.", "Page 1 of")
    for expected in (*words, "*not* #strong[markup]", "A note."):
        assert expected in text


@pytest.mark.parametrize(
    "template",
    [
        '#import "@preview/cetz:0.3.0"',
        "#(",
        '#read("/etc/passwd")',
        '#read("../../secret.txt")',
        "#panic()",
    ],
)
def test_a_template_stays_in_its_folder(tmp_path: Path, template: str) -> None:
    """Packages from the network, other files and broken templates are refused."""
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    payload = PresentPdf(name="r.pdf", template="t.typ")
    bench = present(tmp_path, payload, packet(), files=file_of(tmp_path, "t.typ", template))

    _, code, message = fault_of(bench)

    assert code == "template.refused"
    assert str(tmp_path) not in message


def test_json_shows_values_and_their_text(tmp_path: Path) -> None:
    """A browser gets the raw value, the text, the side and the tone of each cell."""
    output = made_by(present(tmp_path, PresentJson(name="r.json"), packet()))

    (document,) = json.loads(output.path.read_text(encoding="utf-8"))["packets"]
    row = document["tables"][0]["rows"][0]
    assert row[1] == {"value": 123_456, "text": "1,234.56"}
    assert row[3] == {"value": "missed", "text": "missed", "tone": "bad"}
    assert document["tables"][0]["columns"][1]["align"] == "right"
    assert document["parameters"] == [{"name": "client", "title": "Client", "text": "alder"}]


def test_packets_come_in_the_order_asked_for(tmp_path: Path) -> None:
    """`packets` orders them; otherwise the names of the stages do."""
    payload = PresentJson(name="r.json", packets=("p1", "p0"))
    output = made_by(present(tmp_path, payload, packet("First"), packet("Second")))

    content = json.loads(output.path.read_text(encoding="utf-8"))
    assert [item["title"] for item in content["packets"]] == ["Second", "First"]


def test_what_is_no_packet_is_refused(tmp_path: Path) -> None:
    """Nothing to present, or another JSON, is a fault with its reason."""
    empty = workbench(PresentJson(name="r.json"), tmp_path / "a")
    other = workbench(
        PresentJson(name="r.json"),
        tmp_path / "b",
        inputs={"x": (json_input(tmp_path, "x", "x.json", {"a": 1}),)},
    )

    assert fault_of(empty)[1] == "packet.missing"
    assert fault_of(other)[1] == "packet.refused"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "money", ""),
        (0, "money", "0.00"),
        (-5, "money", "-0.05"),
        (123_456_789, "money", "1,234,567.89"),
        (-1_850, "basis_points", "-18.50 %"),
        (1_000, "integer", "1,000"),
        ("1234.500", "decimal", "1,234.500"),
        (True, "text", "yes"),
        ("2025-01-31", "date", "2025-01-31"),
    ],
)
def test_values_are_shown_exactly(value: Any, kind: Format, text: str) -> None:
    """No float touches a value on its way to the reader."""
    assert shown(value, kind) == text
