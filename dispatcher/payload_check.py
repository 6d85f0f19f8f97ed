"""Whether a stage's `with` is a payload of its kind: fields, values, and the files it names.

Used twice: on the pipeline's text with stand-ins for its parameters, and on a request with their
real values. What was filled in by a stand-in is only held to its type.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from contracts.artifact import ArtifactName
from contracts.fact import JsonObject
from contracts.payload import Payload, PipelineFile, marked_values
from dispatcher.references import PARTITION, references

_FILE: TypeAdapter[str] = TypeAdapter(PipelineFile)
_ARTIFACT: TypeAdapter[str] = TypeAdapter(ArtifactName)
Place = tuple[str | int, ...]


class PayloadCheck:
    """Checks payloads against one pipeline folder's files."""

    def __init__(self, files: Collection[str]) -> None:
        self._files = files

    def faults(
        self, payload: type[Payload], written: JsonObject, values: JsonObject
    ) -> Iterator[tuple[Place, str]]:
        """What is wrong, each with its place inside `with`.

        `values` is `written` with its references filled in; a reference still standing in
        `written` marks what is held to its type alone.
        """
        named = set(marked_values(payload, values, "pipeline-file"))
        yield from self._file_faults(sorted(named), values)
        told: set[Place] = set()
        for fault in _validation_faults(payload, values):
            place = _reached(fault["loc"], values)
            found = _at(values, place)
            stand_in = "${" in str(_at(written, place)) and not isinstance(found, dict | list)
            if stand_in and not fault["type"].endswith("_type"):
                continue
            if isinstance(found, str) and found in named and fault["type"] not in _SHAPE:
                continue  # told better as a fault of the file
            where = (*place, fault["loc"][-1]) if fault["type"] == "missing" else place
            # A union gives one fault for each of its members: the first says enough.
            if where not in told:
                told.add(where)
                yield where, _plain(payload, fault, where)

    def _file_faults(self, named: list[str], values: JsonObject) -> Iterator[tuple[Place, str]]:
        for file in named:
            place = next(_places_of(values, file), ())
            if PARTITION in (names := references(file)):
                yield place, f"the file name {file!r} differs between tasks: name one file"
            elif names:
                continue  # of a parameter that may be anything: a run's value tells
            elif not is_plain(file):
                yield place, f"{file!r} is not a plain path to a file inside the pipeline's folder"
            elif file not in self._files:
                yield place, f"the pipeline's folder has no file {file!r}"


_SHAPE = ("missing", "extra_forbidden")


def _validation_faults(payload: type[Payload], values: JsonObject) -> list[Any]:
    try:
        # Payloads ignore unknown fields for the sake of older workers; whoever writes a pipeline
        # wants to hear of a field that is misspelt.
        payload.model_validate(values, extra="forbid")
    except ValidationError as cause:
        return list(cause.errors(include_url=False))
    return []


def _plain(payload: type[Payload], fault: Any, where: Place) -> str:
    name = ".".join(str(step) for step in where) or "with"
    match fault["type"]:
        case "missing":
            return f"{payload.KIND} needs the field {name!r}"
        case "extra_forbidden" if len(where) == 1:
            there = ", ".join(payload.model_fields)
            return f"{payload.KIND} has no field {name!r}; there are: {there}"
        case "extra_forbidden":
            return f"{payload.KIND} has no field {name!r}"
        case _:
            said = re.sub(r"^(Input should|Value error,) ?", "", str(fault["msg"]))
            return f"{name!r} should {said}" if said != fault["msg"] else f"{name!r}: {said}"


def is_plain(file: str) -> bool:
    """Whether this is how a payload may name a file of its pipeline's folder."""
    try:
        _FILE.validate_python(file)
        _ARTIFACT.validate_python(file)  # as which it travels
    except ValidationError:
        return False
    return True


def _reached(loc: Place, values: Any) -> Place:
    """As much of `loc` as leads to something: pydantic adds the names of a union's members."""
    place: list[str | int] = []
    for step in loc:
        there = range(len(values)) if isinstance(values, list) else values
        if not isinstance(values, dict | list) or step not in there:
            break
        values = _at(values, (step,))
        place.append(step)
    return tuple(place)


def _at(values: Any, place: Place) -> Any:
    for step in place:
        values = values[step]
    return values


def _places_of(values: JsonValue, sought: str, place: Place = ()) -> Iterator[Place]:
    if values == sought:
        yield place
    elif isinstance(values, dict):
        for key, item in values.items():
            yield from _places_of(item, sought, (*place, key))
    elif isinstance(values, list):
        for index, item in enumerate(values):
            yield from _places_of(item, sought, (*place, index))
