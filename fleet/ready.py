"""Ready files: how a process tells the one that started it that it is at work, and where.

Written whole or not at all, so whoever waits for the file can read it as soon as it is there.
"""

import json
import os
from pathlib import Path


def write_ready(path: Path, **facts: object) -> None:
    """Write `facts` and this process's `pid` as one JSON object."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"pid": os.getpid(), **facts}) + "\n", encoding="utf-8")
    part.replace(path)
