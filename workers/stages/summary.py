"""agent.summary: words about the figures.

Without a model, a Jinja2 template of the pipeline is filled in: deterministic, and always there.
Whoever wrote the words, they are tainted `ai`, so that swapping the author changes no rule. The
template sees `tables` (a list of rows, each a mapping, by view name), `parameters`, and the filters
`money` and `percent`; it can reach nothing else.
"""

import asyncio
import json
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from contracts.artifact import AI_TAINT, Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import AgentSummary
from workers.stages import duck
from workers.stages.faults import plain
from workers.stages.handler import StageFault, Workbench
from workers.stages.packet import shown
from workers.stages.publish import cell
from workers.stages.reading import payload_of, pipeline_text
from workers.stages.views import enclosed_inputs

FALLBACK = "template"
"""The author, where no model wrote."""

_MEMORY_MB = 256


async def summarise(bench: Workbench) -> Produced:
    """Write the summary. Raises StageFault (summary.refused, sql.*, input.*)."""
    return await asyncio.to_thread(_fill_in, bench)


def _fill_in(bench: Workbench) -> Produced:
    payload = payload_of(bench, AgentSummary)
    template = pipeline_text(bench, payload.template)
    tables = _tables(bench, payload)
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["money"] = lambda cents: shown(cents, "money")
    environment.filters["percent"] = lambda points: shown(points, "basis_points")
    try:
        text = environment.from_string(template).render(
            tables=tables, parameters=dict(payload.parameters)
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise StageFault(
            FaultKind.PERMANENT, "summary.refused", f"{payload.template}: {plain(error)}"
        ) from None
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    summary = {"text": "\n\n".join(filter(None, paragraphs)), "author": FALLBACK}
    path = bench.scratch / "summary.json"
    path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    output = Output(
        name=path.name,
        path=path,
        media_type="application/json",
        tier=Tier.SILVER,
        taints=(AI_TAINT,),
    )
    return Produced(outputs=(output,), facts={"author": FALLBACK, "signs": len(summary["text"])})


def _tables(bench: Workbench, payload: AgentSummary) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    with enclosed_inputs(bench, memory_mb=_MEMORY_MB, threads=1) as connection:
        for view in payload.tables:
            names, rows = duck.rows_of(
                connection,
                f"SELECT * FROM {duck.identifier(view)} ORDER BY ALL "  # noqa: S608 - quoted
                f"LIMIT {payload.at_most_rows}",
            )
            tables[view] = [
                {name: cell(value, view) for name, value in zip(names, row, strict=True)}
                for row in rows
            ]
    return tables
