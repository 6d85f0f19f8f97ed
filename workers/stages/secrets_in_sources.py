"""What a source holds, looked through for secrets before it is mirrored.

A mirrored row is kept for good and copied into everything derived from it, so a token in a source
fails the mirror and nothing is stored. The fault names column and row, or the place in a file, and
never the value. A place on a machine is no secret: the publish gate keeps it from leaving. A file
that its suffix does not tell how to read is read as text; what no scanner can read is mirrored
unseen, and never leaves.
"""

from array import array
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from contracts.outcome import FaultKind
from fleet.telemetry.redact import redacted, secret_places
from policies.facts import FindingKind
from policies.scan import scan_file
from policies.secret_patterns import SECRET_HINTS
from workers.stages.handler import StageFault

_WHAT_TO_DO = "take it out of the source, or leave it out of what is mirrored"


def refuse_secret_names(schema: pa.Schema) -> None:
    """Columns are named by the source. Raises StageFault (source.secret)."""
    for number, name in enumerate(schema.names, start=1):
        if kind := _kind_in(name):
            raise _refused(f"the name of column {number}", kind)


def refuse_secret_rows(batch: pa.RecordBatch, first: int) -> None:
    """`first`: the number of the batch's first row in the result, from 1.

    Raises StageFault (source.secret).
    """
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not (pa.types.is_string(column.type) and _may_hold_a_secret(column)):
            continue
        # All at once is many times faster; values side by side may look like more than they are.
        if _kind_in("\n".join(text for text in column.unique().to_pylist() if text)):
            for row, text in enumerate(column.to_pylist(), start=first):
                if text and (kind := _kind_in(text)):
                    raise _refused(f"column {name}, row {row}", kind)


def refuse_secret_file(path: Path, media_type: str, name: str) -> None:
    """Raises StageFault (source.secret); OSError where the file cannot be read."""
    report = scan_file(path, media_type)
    findings = report.findings
    if not report.scanned:  # its suffix is unknown, or is not what it holds: it may be text
        findings += scan_file(path, "text/plain").findings
    for finding in findings:
        if finding.kind is not FindingKind.LOCAL_PATH:
            raise _refused(f"{redacted(name)}, {finding.where}", finding.kind)


def _may_hold_a_secret(column: "pa.Array[Any]") -> bool:
    """Whether the column's bytes, one value after the other, hold any hint of one.

    The bytes are looked at where they lie, by RE2: making Python's strings of millions of values
    took most of a mirror's time.
    """
    _, offsets, data = column.buffers()
    if offsets is None or data is None or not len(column):
        return False
    places = memoryview(offsets).cast("i")
    first, last = places[column.offset], places[column.offset + len(column)]
    ends = pa.py_buffer(array("i", (0, last - first)))
    whole = pa.Array.from_buffers(pa.string(), 1, [None, ends, data.slice(first, last - first)])
    found = pc.match_substring_regex(whole, SECRET_HINTS, ignore_case=True)
    return bool(found[0].as_py())


def _kind_in(text: str) -> FindingKind | None:
    return next((kind for _, kind in secret_places(text)), None)


def _refused(where: str, kind: FindingKind) -> StageFault:
    words = f"{where}: looks like a {kind.replace('_', ' ')}; {_WHAT_TO_DO}"
    return StageFault(FaultKind.BAD_INPUT, "source.secret", words, where=where, looks_like=kind)
