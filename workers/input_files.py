"""The input files of one stage, as handlers read them: a tuple, or a file where they are too many.

A listing is opened here into a shelf, a line for each file: its place on this machine, proven by
digest, and its pointer. Handlers go through it as often as they like and hold one at a time.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from contracts.artifact import ArtifactPointer, is_listing
from fleet.artifacts.store import ArtifactStore
from fleet.ledger.types import as_json
from workers.stages.handler import InputFile


def input_files(
    pointers: Sequence[ArtifactPointer], shelf: Callable[[], Path], store: ArtifactStore
) -> Sequence[InputFile]:
    """The files of these inputs, in order; `shelf()` is written where listings are among them.

    Blocking. Raises ArtifactMissing, ArtifactDamaged.
    """
    files = (
        InputFile(pointer=pointer, path=store.local_path(pointer))
        for pointer in unlisted(pointers, store)
    )
    if any(map(is_listing, pointers)):
        return ShelvedFiles.written(shelf(), files)
    return tuple(files)


def unlisted(
    pointers: Iterable[ArtifactPointer], store: ArtifactStore
) -> Iterator[ArtifactPointer]:
    """`pointers`, with what is listed in place of each listing."""
    for pointer in pointers:
        if is_listing(pointer):
            with store.local_path(pointer).open(encoding="utf-8") as lines:
                yield from map(ArtifactPointer.model_validate_json, lines)
        else:
            yield pointer


class ShelvedFiles(Sequence[InputFile]):
    """A sequence in a file: eight bytes of memory for each. Can be pickled while the file lasts."""

    def __init__(self, shelf: Path, starts: "array[int]") -> None:
        self._shelf, self._starts = shelf, starts

    @classmethod
    def written(cls, shelf: Path, files: Iterable[InputFile]) -> "ShelvedFiles":
        """Written to `shelf`, and on it from now on."""
        shelf.parent.mkdir(parents=True, exist_ok=True)
        starts = array("Q")
        with shelf.open("wb") as out:
            for file in files:
                starts.append(out.tell())
                pointer = file.pointer.model_dump_json(exclude_defaults=True)
                # No tab stands in JSON text.
                out.write(f"{as_json(str(file.path))}\t{pointer}\n".encode())
        return cls(shelf, starts)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[InputFile]:
        with self._shelf.open("rb") as lines:
            yield from map(_read, lines)

    @overload
    def __getitem__(self, index: int) -> InputFile: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[InputFile]: ...
    def __getitem__(self, index: int | slice) -> InputFile | Sequence[InputFile]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(len(self))[index])
        with self._shelf.open("rb") as lines:
            lines.seek(self._starts[index])
            return _read(lines.readline())


def _read(line: bytes) -> InputFile:
    path, _, pointer = line.partition(b"\t")
    return InputFile(
        pointer=ArtifactPointer.model_validate_json(pointer), path=Path(json.loads(path))
    )
