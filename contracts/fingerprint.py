"""Fingerprints of faults: what a thousand failures with one cause have in common.

A fingerprint is made of the fault's code and its message with everything folded that differs from
one task to the next: numbers, ids, quoted values, addresses. Two causes may share one (a group is a
place to look, not a proof); the same cause always has the same one.
"""

import hashlib
import re

LENGTH = 12
"""Hex digits: 48 bits, so that among 10,000 causes two share one by chance once in 5 million."""

_AT_MOST = 2000
"""Characters of a message that count: beyond are listings and traces."""

_QUOTED = re.compile(
    r"""(?<!\w)(?:'[^'\n]*'|"[^"\n]*"|`[^`\n]*`)(?!\w)|[\u201c\xab\u2018][^\u201d\xbb\u2019\n]*[\u201d\xbb\u2019]""",
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+")
# Whatever holds a digit, with what hangs together with it: C-001, 2026-03-01T08:00, rows_7.parquet.
# Begun only where a word begins: else a long word without a digit is tried from each letter.
_COUNTED = re.compile(r"(?<![\w.:/+%@-])[\w.:/+%@-]*\d[\w.:/+%@-]*")
_LISTED = re.compile(r"#(?:[\s,;]+#)+")
_SPACE = re.compile(r"\s+")


def normalised(message: str) -> str:
    """The message with what differs between tasks folded to `'*'` (quoted) and `#` (counted)."""
    folded = _SPACE.sub(" ", message[:_AT_MOST]).strip().casefold()
    folded = _ADDRESS.sub("#", folded)
    folded = _QUOTED.sub("'*'", folded)
    folded = _COUNTED.sub("#", folded)
    return _LISTED.sub("#", folded)


def fingerprint(code: str, message: str) -> str:
    """The group of a fault: LENGTH lower-case hex digits. The same everywhere and for ever."""
    text = f"{code}\n{normalised(message)}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:LENGTH]
