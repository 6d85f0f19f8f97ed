"""Runs a pipeline and prints the digest of everything it made: for a process in another time zone.

python -m tests.pipelines.elsewhere PIPELINE FOLDER '{"parameters": {}, "sources": {}, ...}'
"""

import json
import sys
from pathlib import Path

from tests.pipelines.harness import run_pipeline


def main() -> None:
    """Print the digests as one JSON object."""
    name, folder, wishes = sys.argv[1:]
    finished = run_pipeline(name, folder=Path(folder), **json.loads(wishes))
    print(json.dumps(finished.digests()))


if __name__ == "__main__":
    main()
