"""The first cells of a workbook's sheets (Office Open XML), read in bounded memory.

Source: ECMA-376 part 1, 18.3 (sheets) and 18.4 (shared strings).
"""

import posixpath
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.parsers import expat

_MOST = 32 << 20
"""Bytes of one part that are read: sizes in a zip file can lie."""
_CHUNK = 1 << 16
_SHEETS = 20


class _Enough(Exception):
    """What is wanted has been read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its upper left corner as text, every row of the same length."""

    name: str
    rows: tuple[tuple[str, ...], ...]


def sheets(path: Path, *, rows: int, columns: int) -> list[Sheet]:
    """The sheets in their order. Raises zipfile.BadZipFile, expat.ExpatError, KeyError."""
    with zipfile.ZipFile(path) as parts:
        strings = _shared(parts) if "xl/sharedStrings.xml" in parts.namelist() else []
        return [
            Sheet(name, _cells(parts, part, strings, rows, columns))
            for name, part in _named(parts)[:_SHEETS]
        ]


def _named(parts: zipfile.ZipFile) -> list[tuple[str, str]]:
    """The sheets' names, each with its part."""
    targets: dict[str, str] = {}
    names: list[tuple[str, str]] = []

    def relation(name: str, attributes: Mapping[str, str]) -> None:
        if name == "Relationship":
            targets[attributes["Id"]] = attributes["Target"]

    def sheet(name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            names.append((attributes["name"], attributes["id"]))

    _read(parts, "xl/_rels/workbook.xml.rels", relation)
    _read(parts, "xl/workbook.xml", sheet)
    return [
        (name, posixpath.normpath(posixpath.join("/xl", targets[key])).lstrip("/"))
        for name, key in names
    ]


def _shared(parts: zipfile.ZipFile) -> list[str]:
    found: list[str] = []
    runs: list[str] = []

    def ended(name: str) -> None:
        if name == "si":
            found.append("".join(runs))
            runs.clear()

    _read(parts, "xl/sharedStrings.xml", lambda *_: None, ended, runs.append)
    return found


def _cells(
    parts: zipfile.ZipFile, part: str, strings: list[str], rows: int, columns: int
) -> tuple[tuple[str, ...], ...]:
    grid: list[dict[int, str]] = []
    place, kind = 0, ""
    text: list[str] = []

    def started(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal place, kind
        if name == "row":
            if len(grid) == rows:
                raise _Enough
            grid.append({})
        elif name == "c":
            place, kind = _column(attributes.get("r", "A")), attributes.get("t", "n")
        text.clear()

    def ended(name: str) -> None:
        if name not in ("v", "t") or not grid or place >= columns:
            return
        value = "".join(text)
        if name == "v" and kind == "s":
            value = strings[int(value)]
        grid[-1][place] = grid[-1].get(place, "") + value if name == "t" else value

    _read(parts, part, started, ended, text.append)
    wide = max((max(row, default=-1) for row in grid), default=-1) + 1
    return tuple(tuple(row.get(column, "")[:200] for column in range(wide)) for row in grid)


def _column(place: str) -> int:
    """`B7` is column 1."""
    number = 0
    for letter in place:
        if not letter.isalpha():
            break
        number = number * 26 + ord(letter.upper()) - ord("A") + 1
    return number - 1


def _read(
    parts: zipfile.ZipFile,
    part: str,
    started: Callable[[str, Mapping[str, str]], None],
    ended: Callable[[str], None] = lambda _: None,
    said: Callable[[str], object] = lambda _: None,
) -> None:
    def refused(*_: object) -> None:
        raise expat.ExpatError("a part declares a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refused
    parser.StartElementHandler = lambda name, attributes: started(
        _local(name), {_local(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda name: ended(_local(name))
    parser.CharacterDataHandler = said
    with parts.open(part) as source:
        try:
            _fed(parser, source)
        except _Enough:
            return


def _fed(parser: expat.XMLParserType, source: IO[bytes]) -> None:
    read = 0
    while (chunk := source.read(_CHUNK)) and (read := read + len(chunk)) <= _MOST:
        parser.Parse(chunk, False)


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]
