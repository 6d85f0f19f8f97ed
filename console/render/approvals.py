"""What waits for people, a few lines each: digests and reasons are for reading, not for columns."""

from collections.abc import Iterable

from rich.text import Text

from console.render.marks import clock_time, shown
from fleet.ledger.votes import ApprovalRow


def approvals_shown(rows: Iterable[ApprovalRow]) -> Text:
    """In the order given."""
    return Text("\n").join(_one(row) for row in rows)


def _one(row: ApprovalRow) -> Text:
    by = ", ".join(row.approved_by) or "nobody"
    return Text(
        shown(
            f"{row.task}\n  {row.pipeline} {_place(row)} for {row.tenant}\n"
            f"  asked for by {row.requester}; expires {clock_time(row.expires)}\n"
            f"  approved by {by} ({len(row.approved_by)} of {row.needed}); "
            f"digest {row.digest[:12]}\n"
            f"  {row.reasons}"
        )
    )


def _place(row: ApprovalRow) -> str:
    if row.task == row.run:
        return "(the run)"
    place = f"{row.stage}/{row.partition}" if row.partition else row.stage
    return f"{place} ({row.kind})"
