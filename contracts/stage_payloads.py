"""What each stage kind of the data side is told to do.

The kinds follow the pattern every pipeline follows: mirror, normalize, validate, compute, publish,
present, with the agent beside them. `workers.stages` carries them out; docs/reference/stages.md
lists their inputs, outputs and fault codes. Every file field is a path inside the pipeline's
folder; every source field is a registered name.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from contracts.payload import Payload, PipelineFile, SourceName

Scalar = str | int | bool | None
"""What can be bound to a query: text, integers, booleans and null. Never a float."""

Parameters = dict[
    Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")],
    Scalar,
]

_TABLE = r"^[a-z][a-z0-9_]{0,59}$"
TableName = Annotated[str, StringConstraints(pattern=_TABLE)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?\[\]._ -][^\\:]*$", max_length=200)]
ColumnType = Literal["text", "integer", "boolean", "date", "timestamp"]

MemoryMegabytes = Annotated[int, Field(ge=64, le=65_536)]
Threads = Annotated[int, Field(ge=1, le=64)]


class MirrorKeys(Payload):
    """Ask a source which partitions it has: the first column of a query, in order."""

    KIND = "mirror.keys"

    source: SourceName
    """A database, or a folder whose CSV and Parquet files are the tables."""
    query: PipelineFile
    parameters: Parameters = {}
    at_least: int = Field(default=1, ge=0)
    """Fewer partitions than this is a fault, not an empty report."""
    at_most: int = Field(default=10_000, ge=1, le=1_000_000)


class MirrorSql(Payload):
    """Copy what a query of a source gives into one Parquet file, in bounded memory."""

    KIND = "mirror.sql"

    source: SourceName
    """A database, or a folder whose CSV and Parquet files are the tables."""
    query: PipelineFile
    parameters: Parameters = {}
    name: FileName = "rows.parquet"
    columns: dict[str, ColumnType] = {}
    """Types of columns that the source is trusted to keep; all others are mirrored as text."""
    batch_rows: int = Field(default=20_000, ge=1, le=1_000_000)
    """Rows held in memory at a time, and in a row group."""


class MirrorFiles(Payload):
    """Copy the matching files of a folder, byte for byte."""

    KIND = "mirror.files"

    source: SourceName
    """A folder."""
    folder: str = Field(default="", max_length=200)
    """A folder inside the source; empty means all of it."""
    include: tuple[Glob, ...] = Field(min_length=1)
    """Patterns relative to `folder`. Each must match at least one file."""
    at_most_bytes: int = Field(default=1 << 30, ge=1)
    """Of all files together."""


class SqlTables(Payload):
    """Tables made by SQL from the inputs: what normalize.sql and compute.sql share."""

    DETERMINISTIC = True

    tables: dict[str, PipelineFile] = Field(min_length=1)
    """Output table by name, made by one SELECT each; written to `<name>.parquet`."""
    parameters: Parameters = {}
    """Bound as `$name`."""
    memory_mb: MemoryMegabytes = 512
    threads: Threads = 1

    @field_validator("tables")
    @classmethod
    def _tables_are_named(cls, tables: dict[str, str]) -> dict[str, str]:
        # Checked here and not by the key's type: that would hide the values from `marked_values`.
        if wrong := [name for name in tables if not re.fullmatch(_TABLE, name)]:
            raise ValueError(f"not names of tables: {wrong}")
        return tables


class NormalizeSql(SqlTables):
    """Type the rows, money in integer cents, into one schema."""

    KIND = "normalize.sql"


class ComputeSql(SqlTables):
    """Compute. Nothing that an agent wrote may be an input."""

    KIND = "compute.sql"


class ValidateRules(Payload):
    """Hold a table against named rules: good rows go on, bad rows are split off and counted."""

    KIND = "validate.rules"
    DETERMINISTIC = True

    rules: PipelineFile
    """YAML: the rules, each with a severity."""
    table: TableName
    """The input view whose rows are checked."""
    parameters: Parameters = {}
    """Bound as `$name`."""
    memory_mb: MemoryMegabytes = 512
    threads: Threads = 1


class PublishPacket(Payload):
    """Promote chosen columns of chosen tables to a scoped, curated packet."""

    KIND = "publish.packet"
    DETERMINISTIC = True

    layout: PipelineFile
    """YAML: title, key figures, tables with their columns, titles and formats."""
    name: FileName = "packet.json"
    parameters: Parameters = {}
    """Shown in the packet."""
    scope_column: TableName | None = None
    scope_value: str | None = None
    """A row whose scope column holds anything else fails the stage; nothing is published."""
    summary: str | None = None
    """The stage whose summary text is carried along."""
    at_most_rows: int = Field(default=50_000, ge=1)
    """Of all tables together: a packet is for reading, not a second database."""


class AgentSummary(Payload):
    """Words about the figures. Without a model, a template fills them in. Tainted `ai` always."""

    KIND = "agent.summary"

    template: PipelineFile
    """Jinja2: the deterministic fallback, given `tables` and `parameters`."""
    tables: tuple[TableName, ...] = Field(min_length=1)
    """Input views that the words may speak of."""
    parameters: Parameters = {}
    instructions: PipelineFile | None = None
    """For a model, where one is configured."""
    at_most_rows: int = Field(default=500, ge=1)
    """Of each table."""


class Presentation(Payload):
    """What every kind of presentation shares: it renders packets and computes nothing."""

    DETERMINISTIC = True

    name: FileName
    packets: tuple[TableName, ...] = ()
    """Stages whose packets are shown, in this order; empty means every input, by stage name."""


class PresentWorkbook(Presentation):
    """An Excel workbook: a cover sheet and a sheet for each table."""

    KIND = "present.workbook"


class PresentPdf(Presentation):
    """A PDF, set by typst."""

    KIND = "present.pdf"

    template: PipelineFile
    """Typst; may import `/report.typ`, the house style. Reads `/packets.json`."""


class PresentJson(Presentation):
    """JSON for a browser: figures and tables with raw values and the text to show."""

    KIND = "present.json"


PAYLOADS: tuple[type[Payload], ...] = (
    MirrorKeys,
    MirrorSql,
    MirrorFiles,
    NormalizeSql,
    ValidateRules,
    ComputeSql,
    PublishPacket,
    AgentSummary,
    PresentWorkbook,
    PresentPdf,
    PresentJson,
)
