"""mirror.keys and mirror.sql: what a source has, and a copy of it, by SQL.

The copy is written in bounded memory under a temporary name, and is an output only when the source
was read to its end.
"""

import json
import re

from contracts.artifact import Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import MirrorKeys, MirrorSql
from workers.stages import parquet
from workers.stages.faults import stop_if_cancelled
from workers.stages.handler import StageFault, Workbench
from workers.stages.reading import payload_of, pipeline_text
from workers.stages.secrets_in_sources import refuse_secret_names, refuse_secret_rows
from workers.stages.sources import Query, reading

_KEYS_BATCH = 10_000
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,119}")


def mirror_sql(bench: Workbench) -> Produced:
    """Stream the query's rows into one Parquet file. Raises StageFault (source.*)."""
    payload = payload_of(bench, MirrorSql)
    query = Query(
        source=payload.source,
        file=payload.query,
        sql=pipeline_text(bench, payload.query),
        values=payload.parameters,
        types=payload.columns,
        batch_rows=payload.batch_rows,
    )
    path = bench.scratch / payload.name
    # Entered first, so left last: the file gets its name only after the source was closed well.
    with reading(bench, query) as result:
        refuse_secret_names(result.schema)
        unnamed = path.with_name(f"{path.name}.read")
        with parquet.parquet_file(unnamed, result.schema, row_group=payload.batch_rows) as writer:
            for batch in result.batches:
                stop_if_cancelled(bench.signals)
                refuse_secret_rows(batch, writer.rows + 1)
                writer.write(batch)
                bench.signals.progress(writer.rows, None, "rows")
    unnamed.replace(path)
    output = Output(
        name=payload.name,
        path=path,
        media_type=parquet.MEDIA_TYPE,
        tier=Tier.BRONZE,
        rows=writer.rows,
    )
    return Produced(outputs=(output,), facts={"rows": writer.rows})


def mirror_keys(bench: Workbench) -> Produced:
    """Ask for the partitions. Raises StageFault (source.*)."""
    payload = payload_of(bench, MirrorKeys)
    query = Query(
        source=payload.source,
        file=payload.query,
        sql=pipeline_text(bench, payload.query),
        values=payload.parameters,
        types={},
        batch_rows=_KEYS_BATCH,
    )
    keys: list[str] = []
    with reading(bench, query) as result:
        for batch in result.batches:
            stop_if_cancelled(bench.signals)
            keys += _keys(batch.column(0).to_pylist(), payload.query)
            if len(keys) > payload.at_most:
                raise _refused(
                    payload.query, f"more than {payload.at_most} partitions", "source.too_large"
                )
    if len(keys) != len(set(keys)):
        raise _refused(payload.query, "a partition is named twice", "source.keys")
    if len(keys) < payload.at_least:
        raise _refused(
            payload.query,
            f"{len(keys)} partitions, and at least {payload.at_least} are needed",
            "source.empty",
        )
    path = bench.scratch / "keys.json"
    path.write_text(json.dumps({"partitions": keys}, indent=1) + "\n", encoding="utf-8")
    output = Output(
        name=path.name,
        path=path,
        media_type="application/json",
        tier=Tier.BRONZE,
        rows=len(keys),
    )
    return Produced(outputs=(output,), partitions=tuple(keys), facts={"partitions": len(keys)})


def _keys(values: list[str | None], file: str) -> list[str]:
    """Partitions name folders of an export and part of a task's id: plain words only."""
    keys = [value for value in values if value and _KEY.fullmatch(value)]
    if len(keys) != len(values):
        raise _refused(file, "a partition has no name, or one with other signs", "source.keys")
    return keys


def _refused(file: str, words: str, code: str) -> StageFault:
    return StageFault(FaultKind.BAD_INPUT, code, f"{file}: {words}")
