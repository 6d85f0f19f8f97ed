"""Plain text: JSON, CSV, Markdown, XML, anything that is characters and nothing else."""

import codecs
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from policies.reading.piece import Piece, Unreadable

_CHUNK = 1 << 20
_OVERLAP = 1 << 13
"""Read again with the next chunk, so that what lies across the border is seen whole."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


def plain(text: str) -> str:
    """As it is."""
    return text


def json_unescaped(text: str) -> str:
    """With the escapes of JSON strings undone, but for line breaks: lines keep their numbers."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_character, text)


def markup_unescaped(text: str) -> str:
    """With the character references of HTML and XML undone."""
    return html.unescape(text) if "&" in text else text


def pieces(path: Path, unescaped: Callable[[str], str]) -> Iterator[Piece]:
    """The text in overlapping chunks. Raises Unreadable for what is no text."""
    with path.open("rb") as source:
        head = source.read(4)
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
    line, kept = 1, ""
    with path.open(encoding=encoding, errors="replace", newline="") as source:
        while chunk := source.read(_CHUNK):
            if "\0" in chunk:
                raise Unreadable("it is said to be text and holds NUL characters")
            text = unescaped(kept + chunk)
            yield Piece(text, _numbered(text, line))
            whole = kept + chunk
            kept = whole[-_OVERLAP:]
            line += whole.count("\n", 0, len(whole) - len(kept))


def _numbered(text: str, first: int) -> Callable[[int], str]:
    return lambda at: f"line {first + text.count(chr(10), 0, at)}"


def _character(escape: re.Match[str]) -> str:
    code, letter = escape.groups()
    if code is None:
        return " " if letter in "nrtbf" else str(letter)
    return " " if (character := chr(int(code, 16))) in "\r\n" else character
