"""The scanner: finds planted secrets in every kind of file, and leaves ordinary claims alone."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest
import typst
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.facts import FindingKind
from policies.scan import Finding, scan_file
from policies.secret_patterns import secrets_in
from tests.policies.secrets import HARMLESS, PLANTED

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET = "application/vnd.apache.parquet"
DATA = Path(__file__).parents[2].parent / "shared" / "data"

Write = Callable[[Path, str], None]


def as_text(path: Path, secret: str) -> None:
    path.write_text("first line\n" * 3 + f"see {secret} for more\n", encoding="utf-8")


def as_utf16(path: Path, secret: str) -> None:
    path.write_text(f"see {secret} for more\n", encoding="utf-16")


def as_json(path: Path, secret: str) -> None:
    path.write_text(json.dumps({"rows": [{"note": secret}], "é": 1}), encoding="utf-8")


def as_guarded_json(path: Path, secret: str) -> None:
    """As frameworks write JSON into pages: with `&`, `<`, `>` and `/` escaped."""
    text = json.dumps({secret: 1}).replace("&", "\\u0026").replace("/", "\\/")
    path.write_text(text.replace("<", "\\u003c").replace(">", "\\u003e"), encoding="utf-8")


def as_html(path: Path, secret: str) -> None:
    path.write_text(f"<a title='{secret.replace('&', '&amp;')}'>x</a>", encoding="utf-8")


def as_csv(path: Path, secret: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows([["claim", "note"], ["C-1", secret]])


def as_cell(path: Path, secret: str) -> None:
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_string("B7", secret)


def as_streamed_cell(path: Path, secret: str) -> None:
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        book.add_worksheet().write_string("B7", secret)


def as_formatted_cell(path: Path, secret: str) -> None:
    """A cell whose text is cut in the middle by formatting."""
    with xlsxwriter.Workbook(path) as book:
        bold, half = book.add_format({"bold": True}), len(secret) // 2
        book.add_worksheet().write_rich_string("B7", "x ", secret[:half], bold, secret[half:])


def as_comment(path: Path, secret: str) -> None:
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_comment("B7", secret)


def as_workbook_property(path: Path, secret: str) -> None:
    with xlsxwriter.Workbook(path) as book:
        for at in range(0, len(secret), 250):  # Excel's limit is 255
            book.set_custom_property(f"source{at}", secret[at : at + 250])


def as_page(path: Path, secret: str) -> None:
    source = f"#set page(width: 60cm)\nFirst page\n#pagebreak()\n#text({json.dumps(secret)})"
    path.write_bytes(typst.compile(source.encode(), format="pdf"))


def as_pdf_title(path: Path, secret: str) -> None:
    source = f"#set document(title: {json.dumps(secret)})\nA page"
    path.write_bytes(typst.compile(source.encode(), format="pdf"))


def as_column(path: Path, secret: str) -> None:
    pq.write_table(pa.table({"n": [1, 2, 3], "note": ["a", secret, None]}), path)


def as_nested_column(path: Path, secret: str) -> None:
    rows = [[{"k": "a"}], None, [{"k": "b"}, {"k": secret}]]
    pq.write_table(pa.table({"n": [1, 2, 3], "notes": rows}), path)


def as_dictionary_column(path: Path, secret: str) -> None:
    pq.write_table(pa.table({"note": pa.array(["a", secret, "a"]).dictionary_encode()}), path)


def as_binary_column(path: Path, secret: str) -> None:
    pq.write_table(pa.table({"note": pa.array([b"\xff\xfe", secret.encode()])}), path)


def as_parquet_metadata(path: Path, secret: str) -> None:
    table = pa.table({"n": [1]})
    pq.write_table(table.replace_schema_metadata({"written_by": secret}), path)


FILES: list[tuple[Write, str]] = [
    (as_text, "text/plain"),
    (as_utf16, "text/plain; charset=utf-16"),
    (as_json, "application/json"),
    (as_guarded_json, "application/vnd.leaf.packet+json"),
    (as_html, "text/html"),
    (as_csv, "text/csv"),
    (as_cell, XLSX),
    (as_streamed_cell, XLSX),
    (as_formatted_cell, XLSX),
    (as_comment, XLSX),
    (as_workbook_property, XLSX),
    (as_page, "application/pdf"),
    (as_pdf_title, "application/pdf"),
    (as_column, PARQUET),
    (as_nested_column, PARQUET),
    (as_dictionary_column, PARQUET),
    (as_binary_column, PARQUET),
    (as_parquet_metadata, PARQUET),
]
named = pytest.mark.parametrize(
    ("write", "media_type"), FILES, ids=lambda value: getattr(value, "__name__", "")
)


@named
def test_planted_secrets_are_found_and_not_repeated(
    tmp_path: Path, write: Write, media_type: str
) -> None:
    """Each kind of secret is found in each kind of file, and the report does not hold it."""
    for name, (kind, secret) in PLANTED.items():
        path = tmp_path / f"{name}.bin"
        write(path, secret)

        report = scan_file(path, media_type)

        assert report.scanned, (name, report)
        assert kind in {finding.kind for finding in report.findings}, name
        assert secret not in report.model_dump_json()


@named
def test_ordinary_text_is_left_alone(tmp_path: Path, write: Write, media_type: str) -> None:
    """Digests, identifiers, web addresses, codes of claims and prose are no findings."""
    write(tmp_path / "file", "  ".join(HARMLESS))

    report = scan_file(tmp_path / "file", media_type)

    assert (report.scanned, report.findings) == (True, ())


identifiers = st.one_of(
    st.uuids().map(str),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"[0-9]{5}-[0-9]{4}-[0-9]{2}", fullmatch=True),
    st.from_regex(r"[A-Z][0-9]{2}\.[0-9A-Z]{1,4}", fullmatch=True),
    st.from_regex(r"[A-Z0-9]{3,18}", fullmatch=True),
)


@given(st.lists(identifiers, max_size=30), st.sampled_from([",", "\t", "|", '","', "\n", " "]))
@settings(deadline=None)
def test_identifiers_are_no_secrets(values: list[str], separator: str) -> None:
    """No row of ids, digests, amounts, dates and codes is ever a finding."""
    assert list(secrets_in(separator.join(values))) == []


@pytest.mark.skipif(not DATA.is_dir(), reason="no claims data beside the project")
def test_claims_data_has_no_findings() -> None:
    """No false alarm in any CSV of claims that lies beside the project."""
    paths = sorted(DATA.rglob("*.csv"))

    reports = {path.name: scan_file(path, "text/csv") for path in paths}

    assert {
        name for name, report in reports.items() if not report.scanned or report.findings
    } == set()
    assert len(paths) >= 10


@pytest.mark.parametrize(
    ("write", "media_type", "where"),
    [
        (as_text, "text/plain", "line 4"),
        (as_csv, "text/csv", "line 2"),
        (as_streamed_cell, XLSX, "sheet1.xml B7"),
        (as_cell, XLSX, "sharedstrings.xml 1"),
        (as_page, "application/pdf", "page 2"),
        (as_column, PARQUET, "column 2, rows 1 to 3"),
    ],
)
def test_a_finding_says_where(tmp_path: Path, write: Write, media_type: str, where: str) -> None:
    """An operator can find the place in the file."""
    write(tmp_path / "file", "/home/" + "operator")

    assert scan_file(tmp_path / "file", media_type).findings == (
        Finding(kind=FindingKind.LOCAL_PATH, where=where),
    )


@given(before=st.integers((1 << 20) - 300, (1 << 20) + 50))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_secret_across_a_border_is_found_once(tmp_path: Path, before: int) -> None:
    """Large files are read in parts; what lies across two parts is found, with its line."""
    secret = PLANTED["blob address"][1]
    (tmp_path / "file").write_text("\n" * 5 + "." * (before - 6) + f" {secret}\n" + "." * 9999)

    found = scan_file(tmp_path / "file", "text/plain").findings

    assert Finding(kind=FindingKind.SIGNED_URL, where="line 6") in found
    assert {finding.where for finding in found} == {"line 6"}


def test_paths_of_this_machine_are_found_as_they_are(tmp_path: Path) -> None:
    """A place that the caller names is found wherever it stands."""
    (tmp_path / "file").write_text("made in /data7/fleet/scratch by the fleet")

    assert scan_file(tmp_path / "file", "text/plain").findings == ()
    assert scan_file(tmp_path / "file", "text/plain", places=("/data7/fleet",)).findings == (
        Finding(kind=FindingKind.LOCAL_PATH, where="line 1"),
    )


def not_a_workbook(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and then nothing of the kind")


def a_workbook_with_a_macro(path: Path) -> None:
    as_cell(path, "x")
    with zipfile.ZipFile(path, "a") as parts:
        parts.writestr("xl/vbaProject.bin", b"\0macro")


def a_workbook_with_entities(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("xl/a.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')


def half_a_workbook(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("xl/a.xml", "<worksheet><c><v>1</v>")


def half_a_parquet(path: Path) -> None:
    as_column(path, "x" * 2000)
    path.write_bytes(path.read_bytes()[:-20])


def not_a_pdf(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 1 0 R >>\nendobj\n")


def an_encrypted_pdf(path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("owner only", algorithm="AES-256")
    writer.write(path)


def a_pdf_with_an_attachment(path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.add_attachment("claims.csv", b"a,b")
    writer.write(path)


def text_that_is_not(path: Path) -> None:
    path.write_bytes(b"a\0b")


@pytest.mark.parametrize(
    ("write", "media_type"),
    [
        (not_a_workbook, XLSX),
        (a_workbook_with_a_macro, XLSX),
        (a_workbook_with_entities, XLSX),
        (half_a_workbook, XLSX),
        (half_a_parquet, PARQUET),
        (not_a_pdf, "application/pdf"),
        (an_encrypted_pdf, "application/pdf"),
        (a_pdf_with_an_attachment, "application/pdf"),
        (text_that_is_not, "text/plain"),
        (text_that_is_not, "application/octet-stream"),
        (text_that_is_not, ""),
    ],
)
def test_what_cannot_be_read_whole_is_not_scanned(
    tmp_path: Path, write: Callable[[Path], None], media_type: str
) -> None:
    """Broken, encrypted, hostile and unknown files are said to be unscanned, with the reason."""
    write(tmp_path / "file")

    report = scan_file(tmp_path / "file", media_type)

    assert not report.scanned
    assert report.why
    assert str(tmp_path) not in report.why


def test_findings_are_bounded(tmp_path: Path) -> None:
    """A file full of secrets gives a hundred findings and no more."""
    (tmp_path / "file").write_text(("/home/" + "operator\n") * 5000)

    report = scan_file(tmp_path / "file", "text/plain")

    assert (report.scanned, len(report.findings)) == (True, 100)


def hostile_texts() -> Iterator[str]:
    for unit in (
        "a",
        "eyJa.",
        "https://a?",
        "sk-",
        "\\\\a",
        "://:",
        "token=",
        "&sig=",
        "/home",
        "Pwd=",
    ):
        yield unit * (200_000 // len(unit))


@pytest.mark.timeout(20)
def test_hostile_text_costs_no_more_than_its_length() -> None:
    """No text makes a pattern run away."""
    for text in hostile_texts():
        for _ in secrets_in(text):
            pass


def test_a_part_name_does_not_pass_a_secret_on(tmp_path: Path) -> None:
    """Names inside a file are text of the file too: looked through, never repeated."""
    kind, secret = PLANTED["github"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as parts:
        parts.writestr(f"xl/{secret}.xml", "<x>" + PLANTED["home folder"][1] + "</x>")
    (tmp_path / "file").write_bytes(stream.getvalue())

    report = scan_file(tmp_path / "file", XLSX)

    assert kind in {finding.kind for finding in report.findings}
    assert secret not in report.model_dump_json()
