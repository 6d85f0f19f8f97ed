"""Make the pictures of the README anew: `python docs/pictures/make_pictures.py [RUN]`.

Needs a succeeded run of guarantee_report in FLEET_HOME, as `fleet demo` leaves it; without RUN the
newest is taken. Writes run.svg (what `fleet run` draws) and report.png (the head of the PDF's first
page); with LibreOffice installed also workbook.png (the head of the workbook's first table). The
SVG fetches no font: its text is drawn in whatever monospace font a reader has.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import typst
from pypdf import PdfReader
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from console.render.run import drawing
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from fleet.clock import SystemClock
from fleet.ledger.reader import LedgerReader
from fleet.settings import load_settings

PICTURES = Path(__file__).parent
_COLUMNS = 130
_THEME = TerminalTheme(
    (250, 251, 250),
    (34, 51, 41),
    [
        (34, 51, 41),
        (178, 43, 43),
        (35, 122, 75),
        (150, 110, 10),
        (43, 91, 140),
        (130, 70, 140),
        (20, 120, 130),
        (90, 105, 96),
    ],
)


def run_svg(reader: LedgerReader, run: str) -> str:
    """What `fleet run RUN` draws, without the fonts that rich would have a browser fetch."""
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), highlight=False, force_terminal=True
    )
    console.print(drawing(reader.run(run), reader.tasks(run), SystemClock().now()))
    svg = console.export_svg(title=f"fleet run {run[:13]}", theme=_THEME, unique_id="run")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def page_png(pdf: Path, page: int, crop: tuple[str, str, str, str]) -> bytes:
    """Part of a page as PNG; `crop` is its left, top, width and height in typst's units."""
    left, top, width, height = crop
    sheet = PdfReader(pdf).pages[page - 1].mediabox
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(pdf, Path(folder, "page.pdf"))
        source = Path(folder, "picture.typ")
        source.write_text(
            f"#set page(width: {width}, height: {height}, margin: 0pt)\n"
            f"#place(top + left, dx: -{left}, dy: -{top}, "
            f'image("page.pdf", page: {page}, width: {sheet.width}pt, height: {sheet.height}pt))\n',
            encoding="utf-8",
        )
        return typst.compile(str(source), format="png", ppi=110)


def as_pdf(workbook: Path, folder: Path) -> Path | None:
    """The workbook as LibreOffice prints it; None where it is not installed."""
    if (office := shutil.which("soffice")) is None:
        return None
    words = [office, "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(workbook)]
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603  fixed words, own file
    return folder / f"{workbook.stem}.pdf"


def main(words: list[str]) -> int:
    settings = load_settings()
    store = FolderStore(settings.artifacts_folder)
    with LedgerReader(settings.ledger_address) as reader:
        newest = reader.runs(limit=1, state=State.SUCCEEDED, pipeline="guarantee_report")
        if not newest and not words:
            sys.stderr.write("no succeeded run of guarantee_report here: run `fleet demo` first\n")
            return 1
        run = reader.find_run(words[0]) if words else newest[0].run
        (PICTURES / "run.svg").write_text(run_svg(reader, run), encoding="utf-8")
        made = {row.pointer.name: row.pointer for row in reader.artifacts(run)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for wanted in ("guarantee_report.pdf", "guarantee_report.xlsx"):
            (folder / wanted).write_bytes(store.read(made[wanted]))
        report = page_png(folder / "guarantee_report.pdf", 1, ("35pt", "35pt", "722pt", "270pt"))
        (PICTURES / "report.png").write_bytes(report)
        printed = as_pdf(folder / "guarantee_report.xlsx", folder / "printed")
        if printed is not None:
            table = page_png(printed, 2, ("20pt", "35pt", "802pt", "270pt"))
            (PICTURES / "workbook.png").write_bytes(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
