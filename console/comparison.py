"""Two runs side by side: which artifacts are the same, byte for byte."""

from collections.abc import Iterable

from contracts.artifact import ArtifactPointer
from contracts.fact import Fact
from fleet.ledger.rows import ArtifactRow


class ArtifactPair(Fact):
    """An artifact by stage, partition and name, in both runs; None where one has none."""

    place: str
    name: str
    here: ArtifactPointer | None
    there: ArtifactPointer | None

    @property
    def same(self) -> bool:
        return self.verdict == "same"

    @property
    def verdict(self) -> str:
        """`same`, `differs`, `only here` or `only there`."""
        if self.here is None:
            return "only there"
        if self.there is None:
            return "only here"
        return "same" if self.here.digest == self.there.digest else "differs"


def compared(here: Iterable[ArtifactRow], there: Iterable[ArtifactRow]) -> list[ArtifactPair]:
    """The artifacts of two runs, by place and name."""
    ours, theirs = _by_place(here), _by_place(there)
    return [
        ArtifactPair(
            place=place, name=name, here=ours.get((place, name)), there=theirs.get((place, name))
        )
        for place, name in sorted(ours.keys() | theirs.keys())
    ]


def _by_place(rows: Iterable[ArtifactRow]) -> dict[tuple[str, str], ArtifactPointer]:
    return {
        (f"{row.stage}/{row.partition}" if row.partition else row.stage, row.pointer.name): (
            row.pointer
        )
        for row in rows
    }
