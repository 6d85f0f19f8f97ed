"""Whether a changed schema still reads what the old one wrote, and is still read by it.

A wire change adds a field with a default, or is a new version. What is checked, both ways: no field
removed, none newly required, no type, pattern, constant or limit changed, no word of a fixed list
removed. A field added with a default passes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_FIXED = (
    *("type", "const", "pattern", "format", "x-leaf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems"),
)
Shape = dict[str, Any]


def incompatibilities(old: Shape, new: Shape) -> list[str]:
    """What breaks between two JSON Schemas, each with its place; empty when nothing does."""
    return list(_Comparison(old, new).faults(old, new, "", ()))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two documents, whose `$defs` the shapes under comparison refer to."""

    old: Shape
    new: Shape

    def faults(self, old: Shape, new: Shape, where: str, seen: tuple[str, ...]) -> Iterator[str]:
        """`seen` holds the references followed so far: a schema may contain itself."""
        reference = old.get("$ref", "")
        if reference in seen:
            return
        seen = (*seen, reference) if reference else seen
        old, new = _resolved(old, self.old), _resolved(new, self.new)
        place = where or "the document"
        yield from _own_faults(old, new, place)
        for name, shape in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}.{name}: was removed"
            else:
                yield from self.faults(shape, new["properties"][name], f"{where}.{name}", seen)
        for key in ("items", "additionalProperties"):
            before, after = old.get(key), new.get(key)
            if isinstance(before, dict) and isinstance(after, dict):
                yield from self.faults(before, after, f"{where}[{key}]", seen)
            elif before != after:
                yield f"{place}: {key} was {before!r} and is {after!r}"
        for number, option in enumerate(old.get("anyOf", ())):
            left = new.get("anyOf", [])
            if not any(not [*self.faults(option, other, where, seen)] for other in left):
                yield f"{place}: option {number} of its types was removed or changed"


def _own_faults(old: Shape, new: Shape, place: str) -> Iterator[str]:
    """What changed about a shape itself, not about the shapes within it."""
    for key in _FIXED:
        if old.get(key) != new.get(key):
            yield f"{place}: {key} was {old.get(key)!r} and is {new.get(key)!r}"
    if lost := set(old.get("enum", ())) - set(new.get("enum", ())):
        yield f"{place}: lost the words {sorted(lost)}"
    if needed := set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{place}: newly requires {sorted(needed)}"


def _resolved(shape: Shape, root: Shape) -> Shape:
    if "$ref" not in shape:
        return shape
    found: Shape = root["$defs"][shape["$ref"].rsplit("/", 1)[1]]
    return found
