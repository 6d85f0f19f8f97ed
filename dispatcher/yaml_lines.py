"""YAML with a line for every value, read in bounded time and memory.

Only what a pipeline needs: mappings with text keys, lists and plain values. Aliases, tags and deep
nesting are refused, which leaves nothing for a hostile file to expand. Plain values follow YAML
1.2: `no` and `on` are text, and so is what starts with a zero, so that codes keep theirs. A
`${name}` may stand anywhere a value may, inside a flow mapping too, where YAML has no room for it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from pydantic import JsonValue

from dispatcher.faults import LineFault

MAX_CHARACTERS = 200_000
MAX_DEPTH = 20
MAX_VALUES = 20_000

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
# In a flow mapping a brace ends a plain value, so references travel through YAML in disguise:
# two characters of the private use area stand for `${` and `}`.
_OPEN, _CLOSE = "\ue000", "\ue001"
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.-]*)\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DISGUISED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")


class YamlRefused(ValueError):
    """Not YAML, or more than is read here. Nothing after the fault was looked at."""

    def __init__(self, fault: LineFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value and the line (from 1) it stands on; for a mapping's item, the line of its key."""

    value: "str | int | float | bool | list[Node] | dict[str, Node] | None"
    line: int

    def plain(self) -> JsonValue:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, *place: str | int) -> "Node":
        """The node at `place`, or the nearest above it: steps that are not there are skipped."""
        node = self
        for step in place:
            if isinstance(node.value, dict) and isinstance(step, str):
                node = node.value.get(step, node)
            elif isinstance(node.value, list) and isinstance(step, int):
                node = node.value[step] if 0 <= step < len(node.value) else node
        return node


def read_yaml(text: str) -> Node:
    """The one document of `text`. Raises YamlRefused."""
    if len(text) > MAX_CHARACTERS:
        raise _refused(1, f"longer than {MAX_CHARACTERS:,} characters")
    if _OPEN in text or _CLOSE in text:
        raise _refused(1, "holds characters of the private use area")
    disguised = _REFERENCE.sub(rf"{_OPEN}\1{_CLOSE}", text)
    try:
        return _Reader(yaml.parse(disguised, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        raise _refused(mark.line + 1 if mark else 1, f"not YAML: {_told(cause.problem)}") from None
    except yaml.YAMLError:
        raise _refused(1, "not YAML: it holds a character that YAML does not allow") from None


class _Reader:
    """Builds nodes from YAML's events. Its recursion is as deep as MAX_DEPTH and no deeper."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._values = 0

    def document(self) -> Node:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if node is not None:
                    raise _refused(_line(event), "more than one document")
                node = self._node(event, depth=0)
        if node is None:
            raise _refused(1, "empty")
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line = _line(event)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _refused(line, f"more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise _refused(line, f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(line, "anchors and aliases are not read here: write the value out")
        if getattr(event, "tag", None):
            raise _refused(line, "tags (`!...`) are not read here")
        if isinstance(event, yaml.ScalarEvent):
            if _SURROGATE.search(event.value):
                raise _refused(line, "half a character: a lone surrogate")
            return Node(value=_scalar(event), line=line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(value=self._sequence(depth), line=line)
        return Node(value=self._mapping(depth), line=line)

    def _sequence(self, depth: int) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> "dict[str, Node]":
        items: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            key = self._node(event, depth + 1).plain()
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise _refused(line, "a key must be text")
            if str(key) in items:
                raise _refused(line, f"{str(key)!r} is written twice")
            value = self._node(next(self._events), depth + 1)
            items[str(key)] = Node(value=value.value, line=line)
        return items


def _scalar(event: yaml.ScalarEvent) -> str | int | float | bool | None:
    text = _DISGUISED.sub(r"${\1}", event.value)
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def _told(problem: str | None) -> str:
    return _DISGUISED.sub(r"${\1}", problem or "it ends too early")


def _refused(line: int, message: str) -> YamlRefused:
    return YamlRefused(LineFault(line=line, message=message))
