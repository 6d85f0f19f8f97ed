"""Artifacts: who sees which bytes, what a preview shows, whether they are what was recorded."""

from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typst
import xlsxwriter

from console.web.preview import preview
from contracts.artifact import Audience, Tier
from fleet.ledger.browse import RunFilter
from tests.console.ledgers import Home
from tests.console.web.conftest import Web, a_web
from tests.console.web.test_access import csrf_in

TOKEN = "ghp_" + "A" * 36
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def addresses(web: Web, tier: Tier) -> list[str]:
    """The pages of the artifacts of a tier, of the newest run first."""
    found = web.site.browser.artifacts().rows
    return [
        f"/artifacts/{row.task}/{row.epoch}/{position}"
        for _, position, row in found
        if row.pointer.tier is tier
    ]


@pytest.mark.parametrize("data", [b'{"due": 12}', f'{{"key": "{TOKEN}"}}'.encode()])
def test_bytes_leave_through_the_publish_gate(home: Home, data: bytes) -> None:
    """People of a tenant get what was published to them, unless it holds a secret; of the rest
    not even that it is there. People of the fleet see it either way."""
    home.audience, home.packet = Audience.TENANT, data
    home.run(1)
    with ExitStack() as opened:
        web = a_web(home, opened)
        theirs, others, ours = (
            web.somebody(tenants="acme"),
            web.somebody(tenants="beta"),
            web.somebody(),
        )
        (published,), (inside, *_) = addresses(web, Tier.CURATED), addresses(web, Tier.SILVER)

        secret = TOKEN.encode() in data
        assert theirs.get(f"{published}/bytes").status_code == (403 if secret else 200)
        assert ("leaving.holds_a_secret" in theirs.get(published).text) is secret
        assert (TOKEN in theirs.get(published).text) is False
        for address in (inside, f"{inside}/bytes"):
            assert theirs.get(address).status_code == 404
        assert others.get(published).status_code == 404
        assert "packet.json" in theirs.get("/artifacts").text
        assert "mirror.json" not in theirs.get("/artifacts").text
        answer = ours.get(f"{published}/bytes")
        assert answer.content == data
        assert answer.headers["content-disposition"].startswith("attachment")


def test_verify_now_hashes_the_bytes_again(web: Web, home: Home) -> None:
    """What is as recorded is said to be; a byte changed on the disk is found, and not shown."""
    browser = web.somebody()
    (address,) = addresses(web, Tier.CURATED)
    form = {"csrf": csrf_in(browser.get(address).text)}

    assert browser.post(f"{address}/verify", form).headers["location"] == address
    assert "Verified now: " in browser.get(address).text
    run = web.site.browser.runs(RunFilter()).rows[-1].run
    row = next(r for r in web.site.reader.artifacts(run) if r.pointer.tier is Tier.CURATED)
    path = home.folder / "artifacts" / row.pointer.key
    path.chmod(0o600)
    path.write_bytes(b"other")
    browser.post(f"{address}/verify", form)
    damaged = browser.get(address).text
    assert "Not verified: " in damaged
    assert browser.get(f"{address}/bytes").status_code == 409


def test_what_an_artifact_was_made_from(web: Web) -> None:
    """Provenance up: the packet's page leads to the parquet it read, by digest."""
    (address,) = addresses(web, Tier.CURATED)
    text = web.somebody().get(address).text

    assert text.count('class="box ') >= 1
    assert "Made from" in text


def test_a_preview_of_each_kind(tmp_path: Path) -> None:
    """Parquet with its types and rows, JSON laid out, a workbook by sheet, a PDF's words, CSV."""
    pq.write_table(pa.table({"claim": ["C-1", "C-2"], "cents": [10, None]}), tmp_path / "a.parquet")
    (tmp_path / "b.json").write_text('{"due":{"cents":12}}')
    book = xlsxwriter.Workbook(str(tmp_path / "c.xlsx"))
    sheet = book.add_worksheet("Due")
    sheet.write_row(0, 0, ["what", "amount"])
    sheet.write_row(1, 0, ["rebate", 12.5])
    book.add_worksheet("Empty")
    book.close()
    (tmp_path / "d.pdf").write_bytes(typst.compile(b"A guarantee was missed."))
    (tmp_path / "e.csv").write_text("claim,paid\nC-1,10.00\n")

    (table,) = preview(tmp_path / "a.parquet", "application/vnd.apache.parquet", "a").tables
    assert (table.columns, table.types, table.of) == (("claim", "cents"), ("string", "int64"), 2)
    assert table.rows == (("C-1", "10"), ("C-2", ""))
    assert '"cents": 12' in preview(tmp_path / "b.json", "application/json", "b").text
    (due,) = preview(tmp_path / "c.xlsx", XLSX, "c").tables
    assert (due.title, due.columns, due.rows) == ("Due", ("what", "amount"), (("rebate", "12.5"),))
    assert "A guarantee was missed." in preview(tmp_path / "d.pdf", "application/pdf", "d").text
    (lines,) = preview(tmp_path / "e.csv", "text/csv", "e").tables
    assert lines.rows == (("C-1", "10.00"),)


@pytest.mark.parametrize(
    "media_type", ["application/vnd.apache.parquet", "application/json", XLSX, "application/pdf"]
)
def test_a_preview_of_what_is_broken_says_so(tmp_path: Path, media_type: str) -> None:
    """Bytes that are not what they are called never break the page."""
    path = tmp_path / "broken"
    path.write_bytes(b"\x00<script>\xff" * 50)

    assert "cannot be shown" in preview(path, media_type, "broken").note
