"""The shape of a pipeline: what a parameter takes."""

import pytest
from pydantic import ValidationError

from contracts.pipeline import MAX_TEXT, ParameterSpec, StageSpec
from contracts.request import Parameter


@pytest.mark.parametrize(
    ("spec", "right", "wrong"),
    [
        ({"type": "string"}, ["", "x", None], [1, True, "x" * (MAX_TEXT + 1), "${partition}"]),
        ({"type": "string", "required": True}, ["x"], [None]),
        ({"type": "string", "pattern": "[a-z]+"}, ["abc"], ["abc1", "ABC"]),
        ({"type": "string", "choices": ["a", "b"]}, ["a"], ["c"]),
        ({"type": "integer"}, [0, -5], ["5", True]),
        ({"type": "integer", "choices": [1, 2]}, [2], [3]),
        ({"type": "boolean"}, [True, False], ["true", 1, 0]),
        ({"type": "date"}, ["2024-02-29"], ["2023-02-29", "2024-2-9", "20240229", 20240229]),
        ({"type": "source"}, ["claims", "a.b-c_1"], ["sqlite:///x", "../data", "Claims", ""]),
    ],
)
def test_a_parameter_takes_values_of_its_type_alone(
    spec: dict[str, object], right: list[Parameter], wrong: list[Parameter]
) -> None:
    """A value of another type is refused, never converted: '5' is not 5."""
    parameter = ParameterSpec.model_validate(spec)

    assert [value for value in right if parameter.fault(value)] == []
    assert [value for value in wrong if parameter.fault(value) is None] == []


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    """The owner hears of a broken pattern when the pipeline is read, not with the first run."""
    with pytest.raises(ValidationError, match="not a regular expression"):
        ParameterSpec.model_validate({"pattern": "("})


def test_the_stage_that_discovers_partitions_is_a_parent() -> None:
    """`each` implies the need, written or not, once."""
    spec = {"name": "a", "kind": "k", "each": "months", "needs": ["base", "months"]}

    assert StageSpec.model_validate(spec).parents == ("months", "base")
