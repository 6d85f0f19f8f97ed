"""The order of stages, and cycles."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.stage_order import cycles, parents_first

_graphs = st.integers(1, 8).flatmap(
    lambda count: st.fixed_dictionaries(
        {f"s{n}": st.lists(st.sampled_from([f"s{m}" for m in range(count)])) for n in range(count)}
    )
)


@given(_graphs)
def test_any_parent_precedes_its_child(parents: dict[str, list[str]]) -> None:
    """Every stage in the order comes after all of its parents."""
    order = parents_first(parents)

    for index, stage in enumerate(order):
        assert set(parents[stage]) <= set(order[:index])


@given(_graphs)
def test_a_cycle_is_told_exactly_where_no_order_exists(parents: dict[str, list[str]]) -> None:
    """Each cycle told is one: every stage of it needs the next, and no stage is told twice."""
    found = cycles(parents)

    assert bool(found) == (len(parents_first(parents)) < len(parents))
    for cycle in found:
        for stage, parent in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert parent in parents[stage]
    told = [stage for cycle in found for stage in cycle]
    assert len(told) == len(set(told))


def test_the_written_order_is_kept_where_it_can_be() -> None:
    """A person finds the stages where they wrote them."""
    parents: dict[str, list[str]] = {"c": ["z"], "a": [], "z": [], "b": ["a"]}

    assert parents_first(parents) == ["a", "z", "c", "b"]
