"""What is taken out of texts before they are recorded: the one place for logs, spans and faults.

The shapes are those of the scanner that guards artifacts, and this machine's own folders. Each is
replaced by its kind in brackets: `[token]`, `[local_path]`.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from pydantic import JsonValue

from contracts.fact import JsonObject
from policies.facts import FindingKind
from policies.secret_patterns import secrets_in

_LONGEST = 8192
_SHORT = 64
_is_id = re.compile(r"[0-9a-f:-]{0,80}").fullmatch
"""Ids and digests: most attributes of most spans, and no secret has this shape."""


def redacted(text: str) -> str:
    """`text` without secrets and without places on this machine, at most 8,192 characters."""
    if _is_id(text):
        return text
    return _remembered(text) if len(text) < _SHORT else _redacted(text)


def _redacted(text: str) -> str:
    cut = text[:_LONGEST] + "…" if len(text) > _LONGEST else text
    found = sorted((start, -end, kind) for kind, start, end in secrets_in(cut, this_machine()))
    if not found:
        return cut
    parts: list[str] = []
    done = 0
    for start, end, kind in ((start, -end, kind) for start, end, kind in found):
        if start >= done:
            parts += (cut[done:start], f"[{kind}]")
        done = max(done, end)
    return "".join((*parts, cut[done:]))


def redacted_values(values: Mapping[str, object]) -> JsonObject:
    """The attributes of a span or a log record: numbers as they are, the rest as redacted text."""
    return {name: _redacted_value(value) for name, value in values.items()}


def redacted_json(value: JsonValue) -> JsonValue:
    """A JSON value with every text in it redacted, the names of its members too."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [redacted_json(item) for item in value]
    if isinstance(value, dict):
        return {redacted(name): redacted_json(item) for name, item in value.items()}
    return value


def secret_places(value: JsonValue, place: str = "") -> Iterator[tuple[str, FindingKind]]:
    """The members of a JSON value that hold a secret, each with its first kind. A place on a
    machine is none: it tells where something is, and opens nothing."""
    if isinstance(value, str):
        kinds = (kind for kind, *_ in secrets_in(value) if kind is not FindingKind.LOCAL_PATH)
        if (kind := next(kinds, None)) is not None:
            yield place, kind
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from secret_places(item, f"{place}.{number}")
    elif isinstance(value, dict):
        for name, item in value.items():
            within = f"{place}.{redacted(name)[:80]}".lstrip(".")
            yield from secret_places(name, within)
            yield from secret_places(item, within)


@cache
def this_machine() -> tuple[str, ...]:
    """The folders that would tell where the process runs, the longest first."""
    folders = {Path.cwd(), Path.home(), Path(tempfile.gettempdir())}
    if home := os.environ.get("FLEET_HOME"):
        folders.add(Path(home).absolute())
    # `/` and `/app` stand in many texts that name no place on this machine.
    deep = {str(folder) for folder in folders if len(folder.parts) > 2}
    return tuple(sorted(deep, key=lambda folder: (-len(folder), folder)))


def _redacted_value(value: object) -> JsonValue:
    if type(value) is str:  # most are
        return redacted(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_redacted_value(item) for item in value]
    return redacted(str(value))


@lru_cache(maxsize=2048)
def _remembered(text: str) -> str:
    """Names of lanes, stages and queues come again with every span."""
    return _redacted(text)
