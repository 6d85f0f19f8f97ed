"""present.pdf: a PDF of the packets, set by typst.

The pipeline's template is compiled in a folder of its own with two files beside it: `/report.typ`,
the house style, and `/packets.json`, the packets with the text of every value. Promises the same
bytes for the same packets: the fonts are those bundled with typst, the date is fixed, and packages
(which would be fetched over the network) are refused.
"""

import json
import re
from pathlib import Path

import typst

from contracts.artifact import Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import PresentPdf
from workers.stages.browser_json import document_of
from workers.stages.faults import plain, stop_if_cancelled
from workers.stages.handler import StageFault, Workbench
from workers.stages.packets_in import packets_of
from workers.stages.reading import payload_of, pipeline_text

CREATED = 946_684_800
"""2000-01-01T00:00:00Z, in seconds: the run's ledger says when it was made."""

HOUSE_STYLE = Path(__file__).with_name("report.typ")

_PACKAGE = re.compile(r"[\"']@[a-z0-9-]+/")


def present_pdf(bench: Workbench) -> Produced:
    """Set the PDF. Raises StageFault (template.refused, packet.*)."""
    payload = payload_of(bench, PresentPdf)
    packets = packets_of(bench, payload)
    template = pipeline_text(bench, payload.template)
    if _PACKAGE.search(template):
        raise StageFault(
            FaultKind.PERMANENT,
            "template.refused",
            f"{payload.template} imports a package, which would be fetched over the network",
        )
    root = bench.scratch / "typst"
    root.mkdir()
    (root / "main.typ").write_text(template, encoding="utf-8")
    (root / HOUSE_STYLE.name).write_bytes(HOUSE_STYLE.read_bytes())
    documents = [document_of(packet) for packet in packets]
    (root / "packets.json").write_text(json.dumps(documents), encoding="utf-8")
    path = bench.scratch / payload.name
    stop_if_cancelled(bench.signals)
    _compile(root, path, payload.template)
    output = Output(name=payload.name, path=path, media_type="application/pdf", tier=Tier.PRESENTED)
    return Produced(outputs=(output,), facts={"packets": len(packets)})


def _compile(root: Path, path: Path, name: str) -> None:
    compiler = typst.Compiler(
        root / "main.typ",
        root=root,
        font_paths=typst.Fonts(include_system_fonts=False, include_embedded_fonts=True),
        package_path=root / "packages",
        package_cache_path=root / "packages",
    )
    try:
        made = compiler.compile(format="pdf", timestamp=CREATED)
    except typst.TypstError as error:
        raise StageFault(
            FaultKind.PERMANENT, "template.refused", f"{name}: {plain(error.message)}"
        ) from None
    if not isinstance(made, bytes):
        raise TypeError(f"typst gave {type(made).__name__}, not one PDF")
    path.write_bytes(made)
