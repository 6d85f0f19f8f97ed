"""The claim lines to be measured with: the demo's, as many as wanted, streamed to their file.

The same number of lines is the same content everywhere. One client, one year.
"""

import csv
import random
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from console.demo.claims import Client, claim_lines, write_claims
from console.demo.inputs import made_up_client, make_inputs

COLUMNS = (
    "claim_id",
    "line",
    "client",
    "filled_on",
    "ndc",
    "channel",
    "drug_type",
    "quantity",
    "awp",
    "ingredient_cost",
    "dispensing_fee",
    "rebate",
)
FORMATS = ("parquet", "csv", "sqlite")
CLIENT = "alder-health"
_SEED = 20_250_101
_BATCH = 65_536
_SCHEMA = pa.schema(
    [(name, pa.int64() if name == "line" else pa.string()) for name in COLUMNS],
)


def made(folder: Path, lines: int, kind: str) -> dict[str, str]:
    """Make the claims and documents below `folder`, unless they are there; addresses by source."""
    documents = folder / "documents"
    if not documents.exists():
        make_inputs(folder / "demo", clients=1, lines=1_000)
        shutil.copytree(folder / "demo" / "documents", documents)
    name = "claims.db" if kind == "sqlite" else f"claim_lines.{kind}"
    path = folder / f"{kind}-{lines}" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{name}")
        unfinished.unlink(missing_ok=True)
        _WRITERS[kind](unfinished, lines)
        unfinished.rename(path)
    claims = f"sqlite:///{path.resolve()}" if kind == "sqlite" else str(path.parent.resolve())
    return {"claims": claims, "documents": str(documents.resolve())}


def _batches(lines: int) -> Iterator[list[tuple[Any, ...]]]:
    clients, rng = _client()
    rows = claim_lines(clients, lines, rng)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _client() -> tuple[list[Client], random.Random]:
    rng = random.Random(_SEED)
    return [made_up_client(0, rng)], rng


def _parquet(path: Path, lines: int) -> None:
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for batch in _batches(lines):
            columns = zip(zip(*batch, strict=True), _SCHEMA, strict=True)
            arrays = [pa.array(values, field.type) for values, field in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))


def _csv(path: Path, lines: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for batch in _batches(lines):
            writer.writerows(batch)


def _sqlite(path: Path, lines: int) -> None:
    clients, rng = _client()
    write_claims(path, clients, lines, rng)


_WRITERS = {"parquet": _parquet, "csv": _csv, "sqlite": _sqlite}
