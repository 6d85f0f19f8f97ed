"""Another payload for a task's next attempt: edited by paths, held to its model, told as a patch.

Pure. A path names a field by dots, an item of a list by its number: `parameters.client`,
`include.0`. What is made must be a payload of the task's kind, and may name only files that travel
with the task.
"""

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from contracts.fact import JsonObject
from contracts.payload import PayloadRegistry, UnknownKind, marked_values
from dispatcher.payload_check import PayloadCheck
from fleet.errors import FleetError


class EditRefused(FleetError):
    """The payload cannot be edited so. Holds every fault, each with its path; nothing was done."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{path}: {words}" for path, words in self.faults))


def edited(
    payload: JsonObject, changes: Mapping[str, JsonValue], without: Collection[str] = ()
) -> JsonObject:
    """`payload` with `changes` by path, and without the fields of `without`. Raises EditRefused."""
    result = copy.deepcopy(payload)
    faults: list[tuple[str, str]] = []
    for path, value in changes.items():
        try:
            _set(result, path.split("."), value)
        except LookupError as cause:
            faults.append((path, str(cause.args[0])))
    for path in without:
        try:
            _drop(result, path.split("."))
        except LookupError as cause:
            faults.append((path, str(cause.args[0])))
    if faults:
        raise EditRefused(faults)
    return result


def check(
    payload: JsonObject, kind: str, version: int, registry: PayloadRegistry, files: Collection[str]
) -> None:
    """Hold `payload` to its model and to the files that travel with it. Raises EditRefused."""
    try:
        model = registry.find(kind, version)
    except UnknownKind as cause:
        raise EditRefused(
            [("kind", f"{cause}; only a dispatcher that knows it can check")]
        ) from None
    named = marked_values(model, payload, "pipeline-file")
    faults = [
        ("file", f"{file!r} does not travel with this task; there are: {', '.join(sorted(files))}")
        for file in named
        if file not in files
    ]
    # The files are told above, in words that fit an edit.
    wrong = PayloadCheck({*files, *named}).faults(model, payload, payload)
    faults += [
        (".".join(str(step) for step in place) or "payload", words) for place, words in wrong
    ]
    if faults:
        raise EditRefused(faults)


def difference(old: JsonValue, new: JsonValue, path: str = "") -> list[JsonObject]:
    """How `new` differs from `old`: a JSON Patch (RFC 6902) in the order of the fields.

    Beside each operation stands `was`, what it replaces or removes; readers of patches ignore it.
    """
    return list(_difference(old, new, path))


def _difference(old: Any, new: Any, path: str) -> Iterator[JsonObject]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in new:
                yield {"op": "remove", "path": place, "was": old[name]}
            elif name not in old:
                yield {"op": "add", "path": place, "value": new[name]}
            else:
                yield from _difference(old[name], new[name], place)
    # 1 and True are equal and not the same.
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield {"op": "replace", "path": path, "value": new, "was": old}


def _set(values: Any, steps: Sequence[str], value: JsonValue) -> None:
    holder = _reached(values, steps[:-1])
    match holder:
        case list():
            index = _index(holder, steps[-1], one_more=True)
            holder[index : index + 1] = [value]
        case dict():
            holder[steps[-1]] = value
        case _:
            raise LookupError(f"{'.'.join(steps[:-1])!r} holds no fields")


def _drop(values: Any, steps: Sequence[str]) -> None:
    holder = _reached(values, steps[:-1])
    if isinstance(holder, list):
        del holder[_index(holder, steps[-1])]
    elif isinstance(holder, dict) and steps[-1] in holder:
        del holder[steps[-1]]
    else:
        raise LookupError("there is no such field")


def _reached(values: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(values, list):
            values = values[_index(values, step)]
        elif isinstance(values, dict) and step in values:
            values = values[step]
        else:
            raise LookupError(f"there is no field {step!r}")
    return values


def _index(values: list[Any], step: str, *, one_more: bool = False) -> int:
    last = len(values) if one_more else len(values) - 1
    if not (step.isascii() and step.isdigit()) or int(step) > last:
        raise LookupError(f"{step!r} is no item of a list of {len(values)}")
    return int(step)
