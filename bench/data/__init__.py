"""Ten million claim lines through the data stages, beside plain DuckDB: `python -m bench.data`."""
