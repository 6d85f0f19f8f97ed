"""Parquet: every string of every column, nested ones too, and the file's own metadata."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policies.reading.piece import Piece, piece_at

_ROWS = 16_384


def pieces(path: Path) -> Iterator[Piece]:
    """A piece a batch of rows and column. Raises pyarrow.ArrowException, OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        schema = table.schema_arrow
        about = [*schema.names]
        for key, value in (schema.metadata or {}).items():
            about += [key.decode("utf-8", "replace"), value.decode("utf-8", "replace")]
        yield piece_at("\n".join(about), "the column names and metadata")
        first = 1
        for batch in table.iter_batches(batch_size=_ROWS):
            rows = f"rows {first} to {first + batch.num_rows - 1}"
            for number, column in enumerate(batch.columns, start=1):
                for text in _texts(pa, column):
                    yield piece_at(text, f"column {number}, {rows}")
            first += batch.num_rows


def _texts(pa: Any, array: Any) -> Iterator[str]:
    """All strings below an array, as few long texts. Each different string stands once."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield from _texts(pa, array.dictionary)
    elif pa.types.is_struct(kind):
        for inner in array.flatten():
            yield from _texts(pa, inner)
    elif pa.types.is_map(kind):
        yield from _texts(pa, array.keys)
        yield from _texts(pa, array.items)
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _texts(pa, array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield "\n".join(text for text in array.unique().to_pylist() if text is not None)
    elif pa.types.is_string_view(kind):
        yield from _texts(pa, array.cast(pa.large_string()))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield "\n".join(data.decode("latin-1") for data in array.unique().to_pylist() if data)
