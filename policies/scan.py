"""Whether a file holds what must not leave: tokens, keys, signed addresses, paths of a machine.

A report never repeats what was found, only its kind and place. `scanned` is true only when every
byte that holds text was read; any doubt, a format nobody here reads, a broken or hostile file,
gives false, and the publish gate then keeps the artifact in.
"""

from collections.abc import Iterator
from pathlib import Path

from contracts.fact import Fact
from policies.facts import FindingKind
from policies.reading import parquet, pdf, text, workbook
from policies.reading.piece import Piece, Unreadable
from policies.secret_patterns import secrets_in

_MOST_FINDINGS = 100
_OFFICE = "application/vnd.openxmlformats-officedocument."
_PARQUET = frozenset({"application/vnd.apache.parquet", "application/x-parquet"})
_TEXT = frozenset(
    {"application/sql", "application/yaml", "application/toml", "application/javascript"}
)


class Finding(Fact):
    """One thing that must not leave."""

    kind: FindingKind
    where: str
    """For people: `line 12`, `sheet1.xml B7`, `column 3, rows 1 to 900`, `page 2`."""


class ScanReport(Fact):
    """What a scan saw."""

    scanned: bool
    findings: tuple[Finding, ...] = ()
    """One for each kind and place, the first hundred and the first of every kind, in the
    order of the file."""
    why: str = ""
    """Why it was not scanned."""


def scan_file(path: Path, media_type: str, *, places: tuple[str, ...] = ()) -> ScanReport:
    """Look through a file in bounded memory. Never raises for what the file holds.

    `places` are paths of this machine (the scratch folder, the fleet's home) that are found even
    where they look like nothing else. Raises OSError where the file cannot be read at all.
    """
    path.stat()
    found: dict[Finding, None] = {}
    kinds: set[FindingKind] = set()
    try:
        for piece in pieces_of(path, media_type):
            for kind, at, _ in secrets_in(piece.text, places):
                # A kind is told however many others there are: paths must not hide a token.
                if len(found) < _MOST_FINDINGS or kind not in kinds:
                    kinds.add(kind)
                    found[Finding(kind=kind, where=piece.where(at))] = None
    except Unreadable as why:
        return ScanReport(scanned=False, findings=tuple(found), why=str(why))
    # A parser given hostile bytes may raise anything; a scan that ends early did not see it all.
    except Exception as fault:
        why_not = f"it cannot be read as {media_type}: {type(fault).__name__}"
        return ScanReport(scanned=False, findings=tuple(found), why=why_not)
    return ScanReport(scanned=True, findings=tuple(found))


def pieces_of(path: Path, media_type: str) -> Iterator[Piece]:
    """The text of a file by its media type. Raises Unreadable, and what the parsers raise."""
    essence = media_type.partition(";")[0].strip().lower()
    if essence == "application/json" or essence.endswith(("+json", "/x-ndjson", "/jsonl")):
        return text.pieces(path, text.json_unescaped)
    if essence in ("text/html", "text/xml", "application/xml") or essence.endswith("+xml"):
        return text.pieces(path, text.markup_unescaped)
    if essence.startswith("text/") or essence in _TEXT:
        return text.pieces(path, text.plain)
    if essence.startswith(_OFFICE):
        return workbook.pieces(path)
    if essence == "application/pdf":
        return pdf.pieces(path)
    if essence in _PARQUET:
        return parquet.pieces(path)
    raise Unreadable(f"nothing here reads {essence or 'a file without a media type'}")
