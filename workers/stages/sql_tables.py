"""normalize.sql and compute.sql: tables made by SQL from the inputs, in DuckDB.

Promises the same bytes for the same inputs: one SELECT a table, refused if it asks the clock or
chance, rows in a total order, Parquet options pinned. Where normalize.sql only types rows it leaves
them in the order of its inputs: sorting would cost half as much again as the work itself. Neither
kind reads what an agent wrote.
"""

from contracts.artifact import AI_TAINT, Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import NormalizeSql, SqlTables
from workers.stages import parquet
from workers.stages.determinism import require_deterministic
from workers.stages.duck import write_table
from workers.stages.faults import stop_if_cancelled
from workers.stages.handler import StageFault, Workbench
from workers.stages.reading import payload_of, pipeline_text
from workers.stages.views import enclosed_inputs


def make_tables(bench: Workbench) -> Produced:
    """Run every SELECT and write its table. Raises StageFault."""
    payload = payload_of(bench, SqlTables)
    refuse_agents_words(bench)
    types_rows = isinstance(payload, NormalizeSql)
    outputs: list[Output] = []
    with enclosed_inputs(bench, memory_mb=payload.memory_mb, threads=payload.threads) as connection:
        for done, (name, file) in enumerate(sorted(payload.tables.items())):
            stop_if_cancelled(bench.signals)
            bench.signals.progress(done, len(payload.tables), name)
            sql = pipeline_text(bench, file)
            require_deterministic(connection, sql, file)
            path = bench.scratch / f"{name}.parquet"
            rows = write_table(connection, sql, payload.parameters, path, file, as_read=types_rows)
            outputs.append(
                Output(
                    name=path.name,
                    path=path,
                    media_type=parquet.MEDIA_TYPE,
                    tier=Tier.SILVER,
                    rows=rows,
                )
            )
    return Produced(
        outputs=tuple(outputs),
        facts={output.name.removesuffix(".parquet"): output.rows for output in outputs},
    )


def refuse_agents_words(bench: Workbench) -> None:
    """Raises StageFault (input.from_agent). The gate says so too; this needs no policy file."""
    tainted = sorted(
        {
            stage
            for stage, items in bench.inputs.items()
            if any(AI_TAINT in item.pointer.taints for item in items)
        }
    )
    if tainted:
        raise StageFault(
            FaultKind.DENIED,
            "input.from_agent",
            f"an agent had a part in what {', '.join(tainted)} made; it may not be computed with",
        )
