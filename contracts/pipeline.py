"""A pipeline as its owner writes it: parameters, and stages that refer to one another by name.

The shape only. Whether stages, kinds, files and parameters fit together is the dispatcher's
check, which knows the line of every fault. Format: docs/reference/pipeline-yaml.md.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from contracts.fact import JsonObject, StrictFact
from contracts.limit import Limit
from contracts.request import Parameter, PipelineName

StageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
StageKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Partition = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=-]{0,119}$")]

MAX_TEXT = 1000
"""Characters of a text parameter: what a pattern is matched against stays short."""

_SOURCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class ParameterType(StrEnum):
    """What a parameter's value may be."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"  # YYYY-MM-DD
    SOURCE = "source"  # the registered name of a source system
    TENANT = "tenant"  # the request's own tenant, and no other


class ParameterSpec(StrictFact):
    """One parameter of a pipeline. Without a default and not required, it is null."""

    type: ParameterType = ParameterType.STRING
    required: bool = False
    default: Parameter = None
    pattern: str | None = Field(default=None, max_length=200)
    """A regular expression that the whole of a string must match."""
    choices: tuple[str | int, ...] | None = None
    description: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as cause:
            raise ValueError(f"not a regular expression: {cause}") from None
        return value

    def fault(self, value: Parameter) -> str | None:
        """What is wrong with `value` ("must be an integer"), or None. Null is only right where
        the parameter is optional and has no default."""
        if value is None:
            return "is required" if self.required else None
        if not _is_a(self.type, value):
            return f"must be {_IN_WORDS[self.type]}"
        return self._fault_of_text(value) if isinstance(value, str) else self._unchosen(value)

    def _fault_of_text(self, text: str) -> str | None:
        if len(text) > MAX_TEXT:
            return f"must be at most {MAX_TEXT} characters long"
        if "${" in text:
            return "must not hold `${`"  # it would be filled in once more
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            return f"must match the pattern {self.pattern}"
        return self._unchosen(text)

    def _unchosen(self, value: Parameter) -> str | None:
        if self.choices is None or value in self.choices:
            return None
        return f"must be one of {', '.join(str(choice) for choice in self.choices)}"


_IN_WORDS = {
    ParameterType.STRING: "a string",
    ParameterType.INTEGER: "an integer",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.DATE: "a date, YYYY-MM-DD",
    ParameterType.SOURCE: "the name of a source: lower-case letters, digits and . _ -",
    ParameterType.TENANT: "the request's tenant",
}


def _is_a(kind: ParameterType, value: Parameter) -> bool:
    match kind:
        case ParameterType.BOOLEAN:
            return isinstance(value, bool)
        case ParameterType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case ParameterType.STRING | ParameterType.TENANT:
            return isinstance(value, str)
        case ParameterType.SOURCE:
            return isinstance(value, str) and _SOURCE.fullmatch(value) is not None
        case ParameterType.DATE:
            return isinstance(value, str) and _is_date(value)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


class StageSpec(StrictFact):
    """One stage: a kind, what it needs, and its payload with `${...}` not yet filled in."""

    name: StageName
    kind: StageKind
    version: int | None = Field(default=None, ge=1)
    """Of the payload; absent means the newest."""
    each: StageName | tuple[Partition, ...] | None = None
    """One task a partition: of those that a stage discovers, or of a list."""
    isolated: bool = False
    """On Kubernetes, each of its tasks runs in a pod of its own; elsewhere nothing changes."""
    needs: tuple[StageName, ...] = ()
    """Stages whose outputs are inputs. The stage named in `each` is always one of them."""
    limits: tuple[Limit, ...] = Field(default=(), max_length=10)
    """What of this stage may run at the same time, or start in a span of time, in the fleet."""
    with_: JsonObject = Field(default={}, alias="with")

    @field_validator("each", mode="before")
    @classmethod
    def _years_are_names(cls, value: object) -> object:
        """`[2024, 2025]` names partitions, though YAML reads numbers."""
        if not isinstance(value, list):
            return value
        return [str(item) if type(item) is int else item for item in value]

    @property
    def parents(self) -> tuple[str, ...]:
        """`needs` with the discovering stage, without repeats, as written."""
        implied = (self.each,) if isinstance(self.each, str) else ()
        return tuple(dict.fromkeys((*implied, *self.needs)))


class Pipeline(StrictFact):
    """A pipeline.yaml."""

    name: PipelineName
    version: int = Field(default=1, ge=1)
    description: str = ""
    parameters: dict[ParameterName, ParameterSpec] = Field(default={}, max_length=100)
    limits: tuple[Limit, ...] = Field(default=(), max_length=10)
    """As of a stage, for all stages of all runs together."""
    stages: tuple[StageSpec, ...] = Field(min_length=1, max_length=500)
