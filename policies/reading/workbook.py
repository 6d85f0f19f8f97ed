"""Workbooks and other Office Open XML files: every text and attribute of every part.

Cells, formulas, comments, link targets and document properties are all parts; nothing is left out
because it does not show. Sizes are bounded while reading, for the sizes in a zip file can lie.
Source: ECMA-376, parts 1 and 2.
"""

import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.parsers import expat

from policies.reading.piece import Piece, Unreadable, piece_at

_CHUNK = 1 << 20
_LONGEST_PART = 1 << 31
_MOST_PARTS = 10_000
_XML = (".xml", ".rels", ".vml")
_IMAGES = (".png", ".jpeg", ".jpg", ".gif", ".emf", ".wmf")
_SHORTEST = 5
"""Of texts that can hold anything that is looked for; most cells and attributes are shorter."""
_OWN_TEXT = frozenset({"c", "si", "is", "comment"})
"""Elements whose text is one, however many runs of formatting it is cut into."""


def pieces(path: Path) -> Iterator[Piece]:
    """The text of every part. Raises Unreadable, zipfile.BadZipFile, expat.ExpatError."""
    with zipfile.ZipFile(path) as parts:
        if len(parts.infolist()) > _MOST_PARTS:
            raise Unreadable(f"it has more than {_MOST_PARTS} parts")
        yield piece_at("\n".join(parts.namelist()), "the names of its parts")
        for part in parts.infolist():
            name = part.filename.lower()
            with parts.open(part) as source:
                if name.endswith(_XML):
                    yield from _PartText(_short(name)).pieces(source)
                elif name.endswith(_IMAGES):
                    for chunk in _chunks(source):
                        yield piece_at(chunk.decode("latin-1"), _short(name))
                elif not part.is_dir():
                    raise Unreadable(
                        f"it has a part that is neither XML nor an image: {_short(name)}"
                    )


def _short(name: str) -> str:
    """`sheet1.xml`, and nothing that somebody hid in a part's name."""
    last = name.rsplit("/", 1)[-1]
    return (
        last if len(last) <= 40 and last.replace(".", "").replace("_", "").isalnum() else "a part"
    )


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    read = 0
    while chunk := source.read(_CHUNK):
        read += len(chunk)
        if read > _LONGEST_PART:
            raise Unreadable("a part is too long")
        yield chunk


class _PartText:
    """The texts of one XML part, in batches; cells keep their names."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._started
        self._parser.CharacterDataHandler = self._own_text
        self._parser.EndElementHandler = self._ended
        # Office files have no document type; one could only make a small part large.
        self._parser.StartDoctypeDeclHandler = self._refused
        self._texts: list[str] = []
        self._places: list[str] = []
        self._runs: list[str] = []
        self._depth = 0
        self._count = 0
        self._cell = ""

    def pieces(self, source: IO[bytes]) -> Iterator[Piece]:
        for chunk in _chunks(source):
            self._parser.Parse(chunk, False)
            yield self._batch()
        self._parser.Parse(b"", True)
        self._flush()
        yield self._batch()

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rsplit(":", 1)[-1]
        if self._depth or local in _OWN_TEXT:
            self._depth += 1
        else:
            self._flush()
        if self._depth == 1:
            self._flush()
            self._count += 1
            self._cell = attributes.get("r") or attributes.get("ref") or str(self._count)
        for value in attributes.values():
            self._add(value)

    def _own_text(self, data: str) -> None:
        self._runs.append(data)

    def _ended(self, _: str) -> None:
        if self._depth:
            self._depth -= 1
        if not self._depth:
            self._flush()
            self._cell = ""

    def _refused(self, *_: object) -> None:
        raise Unreadable("a part declares a document type")

    def _flush(self) -> None:
        if self._runs:
            self._add("".join(self._runs))
            self._runs.clear()

    def _add(self, text: str) -> None:
        if len(text) < _SHORTEST:
            return
        self._texts.append(text)
        self._places.append(f"{self._part} {self._cell}".rstrip())

    def _batch(self) -> Piece:
        texts, places = self._texts, self._places
        self._texts, self._places = [], []
        starts = [0]
        for text in texts:
            starts.append(starts[-1] + len(text) + 1)
        return Piece("\n".join(texts), lambda at: places[bisect_right(starts, at) - 1])
