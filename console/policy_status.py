"""Which rules each process of the fleet decides by: asked of the dispatcher, told by workers."""

from collections.abc import Iterable, Sequence

from console.errors import Refused, Unreachable
from console.site import Site
from contracts.fact import Fact
from fleet.ledger.rows import WorkerRow

_SHORT = 12


class ProcessRules(Fact):
    """One process, and the rules it decides by."""

    process: str
    generation: int | None
    """None where it does not say."""
    bundle: str
    """The beginning of the digest of the rules."""
    refused: tuple[str, ...]
    """Why the files as it found them are not in force."""


def rules_in_force(site: Site) -> list[ProcessRules]:
    """The dispatcher, then the live workers by name."""
    with site.reader() as reader:
        workers = [row for row in reader.workers() if row.state == "live"]
    return [_dispatcher(site), *map(_worker, workers)]


def agree(rows: Iterable[ProcessRules]) -> bool:
    """Whether every process decides by the same rules, and by those that the files say."""
    rows = list(rows)
    return len({(row.generation, row.bundle) for row in rows}) <= 1 and not any(
        row.refused for row in rows
    )


def told(rows: Sequence[ProcessRules]) -> str:
    """A line for each process, and beneath it what is wrong."""
    lines = []
    for row in rows:
        now = "does not say" if row.generation is None else f"generation {row.generation}"
        lines.append(f"{row.process}: {now} {row.bundle}".rstrip())
        lines += [f"  changed rules are refused: {fault}" for fault in row.refused]
    if not agree(rows):
        lines.append("not every process decides by the rules as the files say")
    return "\n".join(lines)


def _dispatcher(site: Site) -> ProcessRules:
    name = "dispatcher"
    try:
        with site.intake() as intake:
            said = intake.policy()
    except (Unreachable, Refused):
        return ProcessRules(process=name, generation=None, bundle="", refused=())
    return ProcessRules(
        process=name,
        generation=said["generation"],
        bundle=said["bundle"][:_SHORT],
        refused=tuple(said["refused"]),
    )


def _worker(row: WorkerRow) -> ProcessRules:
    said = row.facts.get("policy")
    said = said if isinstance(said, dict) else {}
    generation, refused = said.get("generation"), said.get("refused")
    return ProcessRules(
        process=row.worker,
        generation=generation if isinstance(generation, int) else None,
        bundle=str(said.get("bundle", "")),
        refused=tuple(map(str, refused)) if isinstance(refused, list) else (),
    )
