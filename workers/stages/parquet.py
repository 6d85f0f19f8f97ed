"""Parquet as the fleet writes it: same rows, same bytes.

Every writer option that shows in the bytes is pinned here, and row groups are cut at a fixed
number of rows however the batches came. Files appear under their name only when complete.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MEDIA_TYPE = "application/vnd.apache.parquet"
ROW_GROUP = 65_536


class Writer:
    """Collects batches into row groups of exactly `row_group` rows (the last may be smaller)."""

    def __init__(self, sink: pq.ParquetWriter, schema: pa.Schema, row_group: int) -> None:
        self._sink, self._schema, self._row_group = sink, schema, row_group
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch of the writer's schema."""
        self.rows += batch.num_rows
        while batch.num_rows:
            piece = batch.slice(0, self._row_group - self._held_rows)
            batch = batch.slice(piece.num_rows)
            self._held.append(piece)
            self._held_rows += piece.num_rows
            if self._held_rows == self._row_group:
                self.flush()

    def flush(self) -> None:
        """Write what is held as one row group."""
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema).combine_chunks()
            self._sink.write_table(table, row_group_size=self._row_group)
            self._held, self._held_rows = [], 0


@contextmanager
def parquet_file(path: Path, schema: pa.Schema, *, row_group: int = ROW_GROUP) -> Iterator[Writer]:
    """A file that exists at `path` only when the block ends well."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with pq.ParquetWriter(
            unfinished,
            schema,
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
            store_schema=False,
        ) as sink:
            writer = Writer(sink, schema, row_group)
            yield writer
            writer.flush()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write all batches; returns the number of rows."""
    with parquet_file(path, schema) as writer:
        for batch in batches:
            writer.write(batch)
    return writer.rows
