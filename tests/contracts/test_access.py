"""Roles and actions."""

import pytest

from contracts.access import MAY, OF_A_TENANT, Action, Identity, Role, refusal

VIEWER = Identity(name="vera", roles=(Role.VIEWER,), source="local")
ADMIN = Identity(name="ada", roles=(Role.ADMIN,), source="local")
OF_ACME = Identity(name="tess", roles=(Role.OPERATOR,), tenants=("acme",), source="local")


def test_every_action_says_who_may() -> None:
    """No action is missing from the table, and an admin may each: nothing is nobody's."""
    assert MAY.keys() == set(Action)
    assert all(Role.ADMIN in roles for roles in MAY.values())


def test_a_viewer_changes_nothing() -> None:
    """What a viewer may is seeing, trying and checking."""
    may = {action for action in Action if refusal(VIEWER, action) is None}

    assert {action.partition(".")[2] for action in may} == {"see", "try", "verify"}
    assert Action.RUN_VERIFY not in may  # it costs the workers' time


def test_who_moves_work_on_does_not_vouch_for_it() -> None:
    """An operator has no word on held work, and an approver redrives nothing."""
    assert MAY[Action.APPROVAL_VOTE].isdisjoint({Role.OPERATOR})
    assert MAY[Action.DEAD_LETTER_REDRIVE].isdisjoint({Role.APPROVER})


def test_a_refusal_says_which_role_is_needed() -> None:
    """A person reads what they lack and what they have."""
    why = refusal(VIEWER, Action.RUN_CANCEL)

    assert why == "This needs the role operator or admin; you are viewer."


@pytest.mark.parametrize("action", Action)
def test_people_of_a_tenant_stay_with_it(action: Action) -> None:
    """Another tenant's runs and the fleet as a whole are closed to them; their own runs are not."""
    assert refusal(OF_ACME, action, "beta") is not None
    if action in OF_A_TENANT:
        assert refusal(OF_ACME, action, "acme") is None
    else:
        assert refusal(OF_ACME, action) is not None
    assert refusal(ADMIN, action, "beta") is None
