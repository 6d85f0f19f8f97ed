"""`--param name=value` as the parameters of a request, typed as the pipeline says."""

from collections.abc import Iterable, Mapping

from console.errors import Refused
from contracts.pipeline import ParameterType
from contracts.request import Parameter

_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def split_parameters(words: Iterable[str]) -> dict[str, str]:
    """Values by name. Raises Refused for a word without `=` and for a name given twice."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Refused("--param takes name=value, for example --param year=2024")
        if name in given:
            raise Refused(f"the parameter {name} is given twice")
        given[name] = value
    return given


def typed(given: Mapping[str, str], types: Mapping[str, ParameterType]) -> dict[str, Parameter]:
    """The values with their types. What does not fit is sent as it is: the dispatcher says what
    is wrong with it, and on which line of the pipeline."""
    return {name: _typed(value, types.get(name)) for name, value in given.items()}


def _typed(value: str, kind: ParameterType | None) -> Parameter:
    if kind is ParameterType.BOOLEAN and value.casefold() in _TRUE | _FALSE:
        return value.casefold() in _TRUE
    if kind is ParameterType.INTEGER:
        try:
            return int(value)
        except ValueError:
            return value
    return value
