"""The written reference of `fleet`."""

from console.cli import COMMANDS
from console.reference import REFERENCE, reference


def test_the_reference_is_current() -> None:
    """docs/reference/cli.md is what `python -m console.reference` writes."""
    assert REFERENCE.read_text(encoding="utf-8") == reference()


def test_the_reference_has_every_command_and_exit_code() -> None:
    """Each command has a section, and each exit code a row."""
    text = reference()

    assert all(f"\n## fleet {name}\n" in text for name in COMMANDS)
    assert all(f"\n| {code} |" in text for code in (0, 1, 2, 3))
