"""What bytes were made from and what they went into, however far, within one run."""

from fleet.ledger.browse import Lineage
from fleet.ledger.rows import ArtifactRow


def related(
    task: str, digest: str, made: list[ArtifactRow], lineage: list[Lineage]
) -> tuple[set[str], set[str]]:
    """The stages that the bytes came from, and those that they went into, however far."""
    makers = {row.pointer.digest: row for row in made}
    reads: dict[str, set[str]] = {}
    readers: dict[str, list[Lineage]] = {}
    for one in lineage:
        reads.setdefault(one.task, set()).add(one.digest)
        readers.setdefault(one.digest, []).append(one)
    outputs: dict[str, set[str]] = {}
    for row in made:
        outputs.setdefault(row.task, set()).add(row.pointer.digest)
    above: dict[str, str] = {}
    left = [task]
    while left:
        for read in reads.get(left.pop(), ()):
            maker = makers.get(read)
            if maker is not None and maker.task not in above:
                above[maker.task] = maker.stage
                left.append(maker.task)
    below: dict[str, str] = {}
    digests = [digest]
    while digests:
        for reader in readers.get(digests.pop(), ()):
            if reader.task not in below:
                below[reader.task] = reader.stage
                digests += outputs.get(reader.task, ())
    return set(above.values()), set(below.values())
