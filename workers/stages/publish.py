"""publish.packet: promotes chosen columns of chosen tables to a scoped, curated packet.

Promises: rows of another scope fail the stage (`scope.broken`) and publish nothing; totals are
summed as integers; the packet's bytes depend on inputs, layout and payload alone. What a layout
file says is in `workers.stages.packet_layout`.
"""

import re
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from contracts.artifact import Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import PublishPacket
from workers.stages import duck
from workers.stages.faults import plain, stop_if_cancelled
from workers.stages.handler import StageFault, Workbench
from workers.stages.packet import (
    Cell,
    Column,
    Figure,
    Origin,
    Packet,
    Summary,
    Table,
    rows_digest,
)
from workers.stages.packet_layout import FigureLayout, Layout, TableLayout
from workers.stages.reading import payload_of, pipeline_model
from workers.stages.views import enclosed_inputs

_MEMORY_MB = 512
_ORDER = re.compile(r"([a-z][a-z0-9_]*)( asc| desc)?")


def publish_packet(bench: Workbench) -> Produced:
    """Make the packet. Raises StageFault (packet.*, scope.broken, sql.*, input.*)."""
    payload = payload_of(bench, PublishPacket)
    layout = pipeline_model(bench, payload.layout, Layout, "packet.refused")
    with enclosed_inputs(bench, memory_mb=_MEMORY_MB, threads=1) as connection:
        _require_scope(connection, payload, layout)
        figures = tuple(_figure(connection, figure) for figure in layout.figures)
        tables: list[Table] = []
        room = payload.at_most_rows
        for table in layout.tables:
            stop_if_cancelled(bench.signals)
            tables.append(_table(connection, table, room))
            room -= len(tables[-1].rows)
    packet = Packet(
        name=payload.name.rsplit(".", 1)[0],
        title=layout.title,
        subtitle=layout.subtitle,
        tenant=bench.scope.tenant,
        parameters=dict(payload.parameters),
        figures=figures,
        summary=_summary(bench, payload),
        tables=tuple(tables),
        notes=layout.notes,
        origins=_origins(bench),
    )
    path = bench.scratch / payload.name
    path.write_text(packet.model_dump_json(indent=1) + "\n", encoding="utf-8")
    rows = sum(len(table.rows) for table in tables)
    output = Output(
        name=payload.name,
        path=path,
        media_type="application/json",
        tier=Tier.CURATED,
        rows=rows,
    )
    return Produced(outputs=(output,), facts={"tables": len(tables), "rows": rows})


def _require_scope(connection: duck.Connection, payload: PublishPacket, layout: Layout) -> None:
    column = payload.scope_column
    if column is None:
        return
    views = sorted(
        {table.view for table in layout.tables} | {figure.view for figure in layout.figures}
    )
    for view in views:
        named = duck.identifier(view)
        names, _ = duck.rows_of(connection, f"SELECT * FROM {named} LIMIT 0")  # noqa: S608 - quoted
        if column not in names:
            continue
        _, rows = duck.rows_of(
            connection,
            f"SELECT count(*) FROM {named} "  # noqa: S608 - quoted
            f"WHERE CAST({duck.identifier(column)} AS VARCHAR) IS DISTINCT FROM $scope",
            {"scope": payload.scope_value},
        )
        if rows[0][0]:
            raise StageFault(
                FaultKind.BAD_INPUT,
                "scope.broken",
                f"{rows[0][0]} rows of {view} are not of the scope; nothing was published",
                view=view,
                rows=rows[0][0],
            )


def _figure(connection: duck.Connection, layout: FigureLayout) -> Figure:
    view = duck.identifier(layout.view)
    what = "count(*)" if layout.column is None else duck.identifier(layout.column)
    _, rows = duck.rows_of(connection, f"SELECT {what} FROM {view} LIMIT 2")  # noqa: S608 - quoted
    if len(rows) != 1:
        raise StageFault(
            FaultKind.BAD_INPUT,
            "packet.figure",
            f"{layout.label}: {layout.view} must have one row",
        )
    value = cell(rows[0][0], f"{layout.view}.{what}")
    # A figure is bad news only when there is any: a shortfall of nothing is not red.
    tone = layout.tone if value else "good"
    if layout.tone is None or value is None:
        tone = None
    return Figure(
        label=layout.label, value=value, format=layout.format, tone=tone, note=layout.note
    )


def _table(connection: duck.Connection, layout: TableLayout, room: int) -> Table:
    columns = ", ".join(duck.identifier(column.name) for column in layout.columns)
    where, values = _conditions(layout)
    order = ", ".join([*(_order(key, layout.name) for key in layout.order), columns])
    _, raw = duck.rows_of(
        connection,
        f"SELECT {columns} FROM {duck.identifier(layout.view)} "  # noqa: S608 - quoted
        f"WHERE {where} ORDER BY {order} LIMIT {room + 1}",
        values,
    )
    if len(raw) > room:
        raise StageFault(
            FaultKind.BAD_INPUT,
            "packet.too_large",
            f"{layout.name} has more rows than a packet may hold",
        )
    names = [column.name for column in layout.columns]
    rows = tuple(
        tuple(cell(value, f"{layout.view}.{name}") for value, name in zip(row, names, strict=True))
        for row in raw
    )
    return Table(
        name=layout.name,
        title=layout.title,
        note=layout.note,
        columns=tuple(Column(**column.model_dump()) for column in layout.columns),
        rows=rows,
        total=_total(layout, rows),
        tones=layout.tones,
        empty=layout.empty,
        digest=rows_digest(rows),
    )


def _conditions(layout: TableLayout) -> tuple[str, dict[str, str | int]]:
    """The WHERE of a table, and the values bound in it."""
    conditions, values = ["true"], dict[str, str | int]()
    for sign, wanted in (("=", layout.where), ("IS DISTINCT FROM", layout.other_than)):
        for key, value in wanted.items():
            values[f"value_{len(values)}"] = value
            conditions.append(f"{duck.identifier(key)} {sign} $value_{len(values) - 1}")
    return " AND ".join(conditions), values


def _order(key: str, table: str) -> str:
    match = _ORDER.fullmatch(key)
    if match is None:
        raise StageFault(
            FaultKind.PERMANENT, "packet.refused", f"{table}: order {plain(key)!r} is not a column"
        )
    return f"{duck.identifier(match[1])}{match[2] or ''} NULLS LAST"


def _total(layout: TableLayout, rows: tuple[tuple[Cell, ...], ...]) -> tuple[Cell, ...] | None:
    if not layout.total or not rows:
        return None
    names = [column.name for column in layout.columns]
    totals: list[Cell] = [None] * len(names)
    for name in layout.total:
        if name not in names:
            raise StageFault(
                FaultKind.PERMANENT, "packet.refused", f"{layout.name}: no column {name} to total"
            )
        place = names.index(name)
        known = [value for row in rows if isinstance(value := row[place], int)]
        totals[place] = sum(known) if known else None  # what is not known does not add up to zero
    return None if all(total is None for total in totals) else tuple(totals)


def cell(value: Any, where: str) -> Cell:
    """A value of a query as JSON keeps it exactly. Raises StageFault (packet.float)."""
    if isinstance(value, float):
        raise StageFault(
            FaultKind.PERMANENT, "packet.float", f"{where} is floating; use cents or DECIMAL"
        )
    if value is None or isinstance(value, str | int | bool):
        return value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _summary(bench: Workbench, payload: PublishPacket) -> Summary | None:
    if payload.summary is None:
        return None
    items = bench.inputs.get(payload.summary, ())
    if len(items) != 1:
        raise StageFault(
            FaultKind.PERMANENT,
            "input.missing",
            f"stage {payload.summary} must give one summary, not {len(items)}",
        )
    try:
        return Summary.model_validate_json(items[0].path.read_bytes())
    except ValidationError:
        raise StageFault(
            FaultKind.PERMANENT, "packet.refused", f"stage {payload.summary} gave no summary"
        ) from None


def _origins(bench: Workbench) -> tuple[Origin, ...]:
    return tuple(
        Origin(
            stage=stage,
            partition=item.pointer.provenance.partition if item.pointer.provenance else "",
            name=item.pointer.name,
            digest=item.pointer.digest,
            rows=item.pointer.rows,
        )
        for stage, items in sorted(bench.inputs.items())
        for item in items
    )
