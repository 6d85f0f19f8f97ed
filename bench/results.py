"""The figures behind docs/benchmarks.md: docs/benchmarks.json, rounds as they were measured."""

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "docs" / "benchmarks.json"
Results = dict[str, Any]


def read(file: Path = FILE) -> Results:
    """What was measured before: `peers` by name, `data` by source."""
    found: Results = {"peers": {}, "data": {}}
    if file.exists():
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def write(results: Results, file: Path = FILE) -> None:
    """Keep them, figures rounded to what they can mean."""
    text = json.dumps(_rounded(results), indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


def circumstances() -> dict[str, Any]:
    """When and on what something was measured."""
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def version(distribution: str, libraries: Path | None = None) -> str:
    """Of an installed package; `libraries` is another environment's site-packages."""
    if libraries is None:
        return importlib.metadata.version(distribution)
    (found,) = importlib.metadata.distributions(name=distribution, path=[str(libraries)])
    return found.version


def median(rounds: list[Any]) -> Any:
    """Of the same figures of several rounds, however they are nested."""
    first = rounds[0]
    if isinstance(first, Mapping):
        return {name: median([one[name] for one in rounds if name in one]) for name in first}
    return statistics.median(rounds)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
