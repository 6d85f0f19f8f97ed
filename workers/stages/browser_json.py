"""present.json: packets for a browser, each value raw and as the text to show.

A page needs no rule about cents or shares: it prints `text`, aligns by `align`, colours by `tone`.
"""

import json

from pydantic import JsonValue

from contracts.artifact import Tier
from contracts.outcome import Output, Produced
from contracts.stage_payloads import PresentJson
from workers.stages.handler import Workbench
from workers.stages.packet import Cell, Column, Packet, Table, shown
from workers.stages.packets_in import packets_of
from workers.stages.reading import payload_of

SCHEMA = "leaf.presentation.v1"


def present_json(bench: Workbench) -> Produced:
    """Write the presentation. Raises StageFault (packet.*)."""
    payload = payload_of(bench, PresentJson)
    packets = packets_of(bench, payload)
    document = {"format": SCHEMA, "packets": [document_of(packet) for packet in packets]}
    path = bench.scratch / payload.name
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")
    output = Output(
        name=payload.name, path=path, media_type="application/json", tier=Tier.PRESENTED
    )
    return Produced(outputs=(output,), facts={"packets": len(packets)})


def document_of(packet: Packet) -> dict[str, JsonValue]:
    """A packet with the text of every value."""
    return {
        "name": packet.name,
        "title": packet.title,
        "subtitle": packet.subtitle,
        "tenant": packet.tenant,
        "parameters": [
            {"name": name, "title": title_of(name), "text": shown_parameter(value)}
            for name, value in packet.parameters.items()
            if value is not None
        ],
        "figures": [
            {
                "label": figure.label,
                "value": figure.value,
                "text": shown(figure.value, figure.format),
                "tone": figure.tone,
                "note": figure.note,
            }
            for figure in packet.figures
        ],
        "summary": packet.summary.model_dump() if packet.summary else None,
        "tables": [_table(table) for table in packet.tables],
        "notes": list(packet.notes),
        "origins": [origin.model_dump() for origin in packet.origins],
    }


def title_of(name: str) -> str:
    """A parameter's name as a title: `as_of` reads `As of`."""
    return name.replace("_", " ").capitalize()


def shown_parameter(value: JsonValue) -> str:
    """A parameter's value as text."""
    return "yes" if value is True else "no" if value is False else str(value)


def _table(table: Table) -> dict[str, JsonValue]:
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "empty": table.empty,
        "digest": table.digest,
        "columns": [
            {
                "name": column.name,
                "title": column.title,
                "format": column.format,
                "width": column.width,
                "align": "right" if column.to_the_right else "left",
            }
            for column in table.columns
        ],
        "rows": [_cells(table, row) for row in table.rows],
        "total": _cells(table, table.total) if table.total else None,
    }


def _cells(table: Table, row: tuple[Cell, ...]) -> list[JsonValue]:
    return [_cell(table, column, value) for column, value in zip(table.columns, row, strict=True)]


def _cell(table: Table, column: Column, value: Cell) -> dict[str, JsonValue]:
    cell: dict[str, JsonValue] = {"value": value, "text": shown(value, column.format)}
    if column.format == "status" and (tone := table.tones.get(str(value))):
        cell["tone"] = tone
    return cell
