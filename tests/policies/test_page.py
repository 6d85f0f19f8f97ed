"""The reference page about the rules."""

from pathlib import Path

from policies.bundle import REQUIRED
from policies.page import policy_page
from tests.policies.cases import RULES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"


def test_the_page_is_current() -> None:
    """The committed page is what `python -m policies.page` writes from the rules as they are."""
    assert PAGE.read_text(encoding="utf-8") == policy_page(RULES)


def test_the_page_names_every_guardrail() -> None:
    """No rule decides that the reference does not explain."""
    page = policy_page(RULES)

    assert all(f"`{name}`" in page for name in REQUIRED)
