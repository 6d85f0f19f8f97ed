"""The written reference of the settings."""

from fleet.settings import Settings
from fleet.settings_page import PAGE, settings_page


def test_the_page_is_current() -> None:
    """docs/reference/settings.md is what `python -m fleet.settings_page` writes."""
    assert PAGE.read_text(encoding="utf-8") == settings_page()


def test_the_page_says_what_each_setting_means() -> None:
    """Each setting has a row, with a default and a meaning."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if "| `FLEET_" in line]

    assert [row[0] for row in rows] == [f"| `FLEET_{n.upper()}`" for n in Settings.model_fields]
    assert all(row[1] and row[2].rstrip(" |") for row in rows)
