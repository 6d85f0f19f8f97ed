"""Every handler by kind and version: ours in one explicit table, others by entry point.

A package brings stage kinds of its own by two entry points: `leaf_fleet.payloads` names a tuple of
Payload classes (the dispatcher checks pipelines with them), `leaf_fleet.handlers` a tuple of
(payload class, function). They are asked for at start, never by importing something else. How to:
docs/how-to/write-a-stage.md.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points

from contracts import stage_payloads as kinds
from contracts.payload import Payload
from workers.stages.browser_json import present_json
from workers.stages.handler import AsyncRun, Run, StageHandler
from workers.stages.mirror_files import mirror_files
from workers.stages.mirror_sql import mirror_keys, mirror_sql
from workers.stages.pdf import present_pdf
from workers.stages.publish import publish_packet
from workers.stages.sql_tables import make_tables
from workers.stages.summary import summarise
from workers.stages.validate import validate_rules
from workers.stages.workbook import present_workbook


def handler_table(
    *pairs: tuple[type[Payload], Run | AsyncRun],
) -> Mapping[tuple[str, int], StageHandler]:
    """Handlers by the kind and version of their payloads. Raises ValueError for a repeat."""
    table: dict[tuple[str, int], StageHandler] = {}
    for payload, run in pairs:
        place = (payload.KIND, payload.VERSION)
        if place in table:
            raise ValueError(f"two handlers are registered for {place[0]} version {place[1]}")
        table[place] = StageHandler(payload=payload, run=run)
    return table


ENTRY_POINTS = "leaf_fleet.handlers"

_OURS: tuple[tuple[type[Payload], Run | AsyncRun], ...] = (
    (kinds.MirrorKeys, mirror_keys),
    (kinds.MirrorSql, mirror_sql),
    (kinds.MirrorFiles, mirror_files),
    (kinds.NormalizeSql, make_tables),
    (kinds.ValidateRules, validate_rules),
    (kinds.ComputeSql, make_tables),
    (kinds.PublishPacket, publish_packet),
    (kinds.AgentSummary, summarise),
    (kinds.PresentWorkbook, present_workbook),
    (kinds.PresentPdf, present_pdf),
    (kinds.PresentJson, present_json),
)

HANDLERS = handler_table(*_OURS)
"""The handlers that ship."""


def all_handlers() -> Mapping[tuple[str, int], StageHandler]:
    """Ours, and those of every installed package. Raises ValueError when two serve one kind."""
    brought = [pair for entry in entry_points(group=ENTRY_POINTS) for pair in entry.load()]
    return handler_table(*_OURS, *brought)
