"""Write the dispatcher's OpenAPI document: `python -m dispatcher.openapi [--check]`.

--check    say whether the committed document is current; exit 1 if it is not
"""

import json
import sys
from pathlib import Path

from dispatcher.http import api

DOCUMENT = Path(__file__).parents[1] / "docs" / "reference" / "openapi.json"


def document() -> str:
    """The document as it is committed."""
    return json.dumps(api().openapi(), indent=2, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        current = DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == document()
        if not current:
            sys.stderr.write(f"docs/reference/{DOCUMENT.name} is not current\n")
        return 0 if current else 1
    if arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    DOCUMENT.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
