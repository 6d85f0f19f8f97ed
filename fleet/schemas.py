"""Write the contracts' documents: `python -m fleet.schemas [--check | --release]`.

--check    say which committed document is not current; exit 1 if any is
--release  make the current schemas the baseline that later changes must stay compatible with
"""

import sys
from pathlib import Path

import contracts
from contracts.export import documents, states_page
from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from fleet.lanes import load_lanes

SCHEMAS = Path(contracts.__file__).parent / "schemas"
BASELINE = SCHEMAS / "baseline"
STATES_PAGE = SCHEMAS.parents[1] / "docs" / "reference" / "states.md"
"""Only in a checkout; an installed package carries no docs."""


def stale() -> list[str]:
    """Names of documents that are missing, outdated or no longer made."""
    wanted = documents(PayloadRegistry(PAYLOADS), load_lanes())
    there = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    outdated = sorted(name for name in wanted | there if wanted.get(name) != there.get(name))
    if STATES_PAGE.parent.is_dir():
        page = STATES_PAGE.read_text(encoding="utf-8") if STATES_PAGE.is_file() else ""
        outdated += [STATES_PAGE.name] if page != states_page() else []
    return outdated


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = documents(PayloadRegistry(PAYLOADS), load_lanes())
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    if STATES_PAGE.parent.is_dir():
        STATES_PAGE.write_text(states_page(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        outdated = stale()
        for name in outdated:
            sys.stderr.write(f"{name} is not current: python -m fleet.schemas\n")
        return 1 if outdated else 0
    if arguments not in ([], ["--release"]):
        sys.stderr.write(__doc__ or "")
        return 2
    write(BASELINE if arguments else SCHEMAS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
