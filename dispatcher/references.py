"""`${name}` in a pipeline's payloads: which names are used, and what stands in their place.

A text that is one reference and nothing else takes the parameter's value with its type; in a
longer text a boolean reads `true` or `false` and null reads as nothing. `${partition}` is filled
in per task, by contracts.plan, and passes through here untouched.
"""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from contracts.plan import PARTITION_MARK
from contracts.request import Parameter

PARTITION = "partition"
_REFERENCE = re.compile(r"\$\{([^{}]*)\}")


def references(value: JsonValue) -> list[str]:
    """The names that `value` refers to, in order, with repeats; keys of mappings do not count."""
    if isinstance(value, str):
        return _REFERENCE.findall(value)
    if isinstance(value, dict):
        return [name for item in value.values() for name in references(item)]
    if isinstance(value, list):
        return [name for item in value for name in references(item)]
    return []


def filled(value: JsonValue, values: Mapping[str, Parameter]) -> JsonValue:
    """`value` with each reference to one of `values` replaced; any other reference stays."""
    if isinstance(value, dict):
        return {key: filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if (whole := _REFERENCE.fullmatch(value)) is not None:
        return values.get(whole[1], value)
    return _REFERENCE.sub(lambda found: _in_text(values.get(found[1], found[0])), value)


def with_partition(value: JsonValue, partition: str) -> JsonValue:
    """`value` as the task of one partition will see it."""
    return filled(value, {PARTITION: partition}) if PARTITION in references(value) else value


def _in_text(value: Parameter) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


assert f"${{{PARTITION}}}" == PARTITION_MARK, "contracts.plan fills in what passes through here"
