"""Payloads: what a stage is told to do. One frozen model for each stage kind and major version.

The registry is a value built from an explicit list, never a side effect of importing.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from contracts.fact import Fact

PipelineFile = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.[a-z0-9]+$", max_length=200),
    Field(json_schema_extra={"x-leaf": "pipeline-file"}),
]
"""A file of the pipeline's folder, by relative path. The planner stores it and sends its digest."""

SourceName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$"),
    Field(json_schema_extra={"x-leaf": "source"}),
]
"""A source system by its registered name; its address and secret stay in the worker's settings."""


class Payload(Fact):
    """Base of every payload. `DETERMINISTIC`: same inputs and files give the same bytes.

    `MUTATES`: the handler writes to a source system, which needs explicit permission.
    `HIGH_RISK`: it needs two people's approval, and working hours.
    """

    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1
    DETERMINISTIC: ClassVar[bool] = False
    MUTATES: ClassVar[bool] = False
    HIGH_RISK: ClassVar[bool] = False


class UnknownKind(LookupError):
    """No payload of this kind and version is registered here: the message is parked, not lost."""

    def __init__(self, kind: str, version: int) -> None:
        super().__init__(f"no payload {kind!r} version {version} is known here")
        self.kind, self.version = kind, version


class PayloadRegistry:
    """Payload classes by kind and version. Raises ValueError when two claim the same place."""

    def __init__(self, payloads: Iterable[type[Payload]]) -> None:
        self._table: dict[tuple[str, int], type[Payload]] = {}
        for payload in payloads:
            place = (payload.KIND, payload.VERSION)
            if place in self._table:
                raise ValueError(f"two payloads are registered as {place[0]} version {place[1]}")
            self._table[place] = payload

    def __iter__(self) -> Iterator[type[Payload]]:
        return iter(self._table[place] for place in sorted(self._table))

    def find(self, kind: str, version: int) -> type[Payload]:
        """Raises UnknownKind."""
        try:
            return self._table[kind, version]
        except KeyError:
            raise UnknownKind(kind, version) from None

    def newest(self, kind: str) -> type[Payload]:
        """The highest version of a kind. Raises UnknownKind (version 0)."""
        versions = [version for known, version in self._table if known == kind]
        return self.find(kind, max(versions, default=0))


@functools.cache  # classes are few and never change; building a schema takes a millisecond
def _schema(payload: type[Payload]) -> dict[str, Any]:
    return payload.model_json_schema()


@functools.cache
def _marks(payload: type[Payload], mark: str) -> bool:
    """Whether any field is marked so: most payloads of most kinds have none to search for."""
    return f"'x-leaf': {mark!r}" in repr(_schema(payload))


def marked_values(payload: type[Payload], values: dict[str, Any], mark: str) -> list[str]:
    """The values of fields marked `mark` ("pipeline-file" or "source"), nested too, sorted.

    `values` is a dumped instance of `payload`. Collections are searched by the schema's shape.
    """
    if not _marks(payload, mark):
        return []
    schema = _schema(payload)
    found: set[str] = set()

    def walk(shape: dict[str, Any], value: Any) -> None:
        if "$ref" in shape:
            shape = schema["$defs"][shape["$ref"].rsplit("/", 1)[1]]
        if shape.get("x-leaf") == mark and isinstance(value, str):
            found.add(value)
        for option in shape.get("anyOf", ()):
            walk(option, value)
        if isinstance(value, dict):
            for key, item in value.items():
                inner = shape.get("properties", {}).get(key, shape.get("additionalProperties"))
                if isinstance(inner, dict):
                    walk(inner, item)
        elif isinstance(value, list | tuple) and isinstance(shape.get("items"), dict):
            for item in value:
                walk(shape["items"], item)

    walk(schema, values)
    return sorted(found)
