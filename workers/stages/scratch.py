"""The scratch folder of one attempt, made when it is first asked for.

Making a folder and removing it costs more than everything else that a short task needs, and most
handlers that wait for something write no file.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Self


class Scratch:
    """An empty folder of its own, under `root`. Can be pickled once it is made. A context manager;
    leaving it removes the folder."""

    def __init__(self, root: Path, made: Path | None = None) -> None:
        self._root, self._made = root, made

    @classmethod
    def of(cls, folder: Path) -> "Scratch":
        """A folder that is there already, and that somebody else removes."""
        return cls(folder.parent, folder)

    @property
    def path(self) -> Path:
        """The folder. Blocking the first time; raises OSError."""
        if self._made is None:
            self._root.mkdir(parents=True, exist_ok=True)
            self._made = Path(tempfile.mkdtemp(dir=self._root))
        return self._made

    def place(self, *parts: str) -> Path:
        """A path in it. Raises OSError."""
        return self.path.joinpath(*parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove it with everything in it, if it was made."""
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)
