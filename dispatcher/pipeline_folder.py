"""Pipelines on disk: each a folder with a pipeline.yaml, its SQL and its templates.

A folder is read whole, within limits, and kept until a file in it changes, comes or goes. Only
plain relative paths count as its files; hidden files and links that lead out of it do not.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from contracts.payload import PayloadRegistry
from dispatcher.faults import LineFault, PipelineRefused, PipelineUnknown
from dispatcher.payload_check import is_plain
from dispatcher.pipeline_file import LocatedPipeline, read_pipeline
from fleet.telemetry.redact import secret_places

PIPELINE_FILE = "pipeline.yaml"
MAX_FILES = 200
MAX_BYTES = 8 << 20

_Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of change and size of each file: what tells one state of a folder from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPipeline:
    """A checked pipeline with the bytes of its folder's files, by relative path."""

    located: LocatedPipeline
    files: Mapping[str, bytes]


class PipelineFolders:
    """All pipelines of some root folders; the first root that has a name wins. Thread-safe."""

    def __init__(self, roots: Sequence[Path], registry: PayloadRegistry) -> None:
        self._roots, self._registry = tuple(roots), registry
        self._known: dict[Path, tuple[_Stamp, LoadedPipeline | PipelineRefused]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Sorted, the refused ones included."""
        return sorted({found.parent.name for root in self._roots for found in _pipelines(root)})

    def require(self, name: str) -> None:
        """Raises PipelineUnknown where there is none; a faulty one is one."""
        self._folder(name)

    def load(self, name: str) -> LoadedPipeline:
        """Raises PipelineUnknown, PipelineRefused."""
        folder = self._folder(name)
        stamp = tuple(_stamps(folder))
        with self._lock:
            known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = (stamp, self._read(folder, [path for path, _, _ in stamp]))
            with self._lock:
                self._known[folder] = known
        if isinstance(known[1], PipelineRefused):
            # A raised error collects a traceback: each caller gets its own.
            raise PipelineRefused(name, known[1].faults)
        return known[1]

    def _folder(self, name: str) -> Path:
        for root in self._roots:
            for found in _pipelines(root):
                if found.parent.name == name:
                    return found.parent
        raise PipelineUnknown(name, self.names())

    def _read(self, folder: Path, paths: Sequence[str]) -> LoadedPipeline | PipelineRefused:
        if len(paths) > MAX_FILES:
            return _refused(folder, f"the folder holds more than {MAX_FILES} files")
        try:
            files = dict(_bounded(folder, paths))
            text = files[PIPELINE_FILE].decode("utf-8")
        except _TooLarge:
            return _refused(folder, f"the folder holds more than {MAX_BYTES:,} bytes")
        except UnicodeDecodeError:
            return _refused(folder, f"{PIPELINE_FILE} is not UTF-8 text")
        except (OSError, KeyError):
            return _refused(folder, "a file of the folder cannot be read")
        try:
            _refuse_secrets(folder, files)
            located = read_pipeline(text, name=folder.name, registry=self._registry, files=files)
        except PipelineRefused as refused:
            return refused
        return LoadedPipeline(located=located, files=files)


def _refuse_secrets(folder: Path, files: Mapping[str, bytes]) -> None:
    """Raises PipelineRefused: all files are stored, and workers read them."""
    texts: dict[str, JsonValue] = {
        path: data.decode("utf-8", "replace") for path, data in files.items()
    }
    for path, kind in secret_places(texts):
        told = f"{path} holds what looks like a {kind.replace('_', ' ')}; name a source instead"
        raise _refused(folder, told)


class _TooLarge(Exception):
    pass


def _pipelines(root: Path) -> list[Path]:
    return sorted(root.glob(f"[a-z]*/{PIPELINE_FILE}"))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    inside = folder.resolve()
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(names):
            file = Path(where, name)
            path = file.relative_to(folder).as_posix()
            # A mounted ConfigMap is all links, and they stay inside the folder.
            if is_plain(path) and file.is_file() and file.resolve().is_relative_to(inside):
                status = file.stat()
                yield path, status.st_mtime_ns, status.st_size


def _bounded(folder: Path, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    left = MAX_BYTES
    for path in paths:
        with (folder / path).open("rb") as source:
            data = source.read(left + 1)
        left -= len(data)
        if left < 0:
            raise _TooLarge
        yield path, data


def _refused(folder: Path, message: str) -> PipelineRefused:
    return PipelineRefused(folder.name, [LineFault(line=1, message=message)])
