"""Imports point one way: contracts, policies, fleet, then dispatcher, workers and console apart."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "contracts": {"contracts"},
    "policies": {"policies", "contracts"},
    "fleet": {"fleet", "policies", "contracts", "pipelines"},
    "dispatcher": {"dispatcher", "fleet", "policies", "contracts"},
    "workers": {"workers", "fleet", "policies", "contracts"},
    "console": {"console", "fleet", "policies", "contracts"},
    "localbus": {"localbus"},
    "pipelines": set(),
}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_above_it(package: str) -> None:
    """Read from the source, so an import inside a function counts too."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, line in _imported(path)
        if name in MAY_IMPORT and name not in MAY_IMPORT[package]
    ]

    assert wrong == []


def _imported(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module.split(".")[0], node.lineno))
    return found
