"""A small pipeline that is right in every way, for tests to use and to break."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from dispatcher.pipeline_file import LocatedPipeline, read_pipeline

REGISTRY = PayloadRegistry(PAYLOADS)

YAML = """\
name: monthly
version: 3
description: Claims by month.
parameters:
  client: {type: string, required: true, pattern: "[A-Z0-9-]+", description: The client.}
  source: {type: source, default: claims}
  since: {type: date, default: 2024-01-01}
  rows: {type: integer, default: 1000}
  title: {type: string}
stages:
  - name: months
    kind: mirror.keys
    with: {source: ${source}, query: sql/months.sql, parameters: {client: ${client}}}
  - name: claims
    kind: mirror.sql
    each: months
    with:
      source: ${source}
      query: sql/claims.sql
      batch_rows: ${rows}
      parameters: {client: ${client}, month: "${partition}", since: ${since}}
  - name: typed
    kind: normalize.sql
    each: months
    needs: [claims]
    with: {tables: {claims: sql/typed.sql}}
  - name: totals
    kind: compute.sql
    needs: [typed]
    with: {tables: {totals: sql/totals.sql}, parameters: {title: "for ${client}"}}
  - name: book
    kind: present.workbook
    each: [north, 2024]
    needs: [totals]
    with: {name: "${partition}.xlsx"}
"""
FILES: Mapping[str, str] = {
    "pipeline.yaml": YAML,
    "sql/months.sql": "select month from claims",
    "sql/claims.sql": "select * from claims",
    "sql/typed.sql": "select * from claims",
    "sql/totals.sql": "select count(*) from claims",
}


def a_folder(root: Path, files: Mapping[str, str] = FILES, name: str = "monthly") -> Path:
    """Write a pipeline folder under `root`, in place of what was there, and give its path."""
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def a_pipeline(text: str = YAML) -> LocatedPipeline:
    """The pipeline of `text`, read with all the files that FILES has."""
    return read_pipeline(text, name="monthly", registry=REGISTRY, files=FILES)
