"""The rules in force, while their files may change: built off to the side, proven, swapped at once.

A change is noticed by the files' places in the file system (a ConfigMap swaps one link, `..data`),
read, validated and held to its cases, and then takes the place of the old rules between two
decisions. Rules with any fault, and changed rules without a higher version, leave the old ones in
force, and are logged once. When to look is the caller's; looking costs a stat for each file.
"""

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.decision import Decision, Gate
from contracts.lane import LaneTable
from policies.bundle import Bundle, BundleRefused, load_bundle
from policies.facts import AnyFacts
from policies.gate import PolicyGate
from policies.proof import prove

_log = logging.getLogger(__name__)

_Signature = tuple[tuple[str, int, int, int], ...]


class LiveGate:
    """Decides by the newest good rules of a folder. May be shared between threads."""

    def __init__(self, folder: Path, lanes: LaneTable) -> None:
        """Raises BundleRefused where the first rules are not good: there are no older ones."""
        self._folder, self._lanes = folder, lanes
        self._seen = _signature(folder)
        prove(folder)
        self._gate = PolicyGate(load_bundle(folder, lanes))
        self._refused: tuple[str, ...] = ()
        self._refreshing = threading.Lock()

    @property
    def bundle(self) -> Bundle:
        return self._gate.bundle

    @property
    def generation(self) -> int:
        return self._gate.generation

    @property
    def refused(self) -> tuple[str, ...]:
        """The faults of the files as they are now; empty while they are in force."""
        return self._refused

    @property
    def now(self) -> PolicyGate:
        """The gate of this moment, for several decisions by the same rules."""
        return self._gate

    def decide(self, facts: AnyFacts) -> Decision:
        """See PolicyGate.decide."""
        return self._gate.decide(facts)

    def decide_values(self, gate: Gate, values: Mapping[str, Any]) -> Decision:
        """See PolicyGate.decide_values."""
        return self._gate.decide_values(gate, values)

    def refresh(self) -> bool:
        """Take up changed files; whether other rules are in force now. Blocking; never raises for
        what is wrong with the files."""
        with self._refreshing:
            signature = _signature(self._folder)
            if signature == self._seen:
                return False
            try:
                bundle = self._built()
                if _signature(self._folder) != signature:
                    return False  # changed while it was read: the next look reads it whole
            except BundleRefused as refused:
                self._seen, self._refused = signature, refused.faults
                _log.error(
                    "policy: changed rules are refused, generation %d stays in force: %s",
                    self.generation,
                    "; ".join(refused.faults),
                )
                return False
            self._seen, self._refused = signature, ()
            if bundle.digest == self.bundle.digest:
                return False
            self._gate = PolicyGate(bundle)
            _log.info("policy: generation %d is in force (%s)", self.generation, bundle.digest[:12])
            return True

    def _built(self) -> Bundle:
        bundle = load_bundle(self._folder, self._lanes)
        old = self.bundle
        if bundle.digest != old.digest and bundle.limits.version <= old.limits.version:
            raise BundleRefused(
                [f"bundle.toml: changed rules need a version above {old.limits.version}"]
            )
        prove(self._folder)
        return bundle


def _signature(folder: Path) -> _Signature:
    """Name, inode, size and time of each file, links followed; unreadable ones count as absent."""
    found = []
    for place, folders, files in os.walk(folder, followlinks=True):
        # Kubernetes keeps the files of a ConfigMap in hidden folders, and links to them.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            try:
                told = path.stat()
            except OSError:
                continue
            found.append((str(path), told.st_ino, told.st_size, told.st_mtime_ns))
    return tuple(found)
