"""The real worker process, with the chaos stage instead of the fleet's own stages."""

import os
import resource
import sys

import workers.__main__ as process
from contracts.payload import PayloadRegistry
from tests.chaos.handler import ChaosStep, carry_out
from workers.stages.handler import StageHandler

FILE_LIMIT = "CHAOS_FILE_LIMIT"
"""Bytes of the largest file that this worker may write: a disk that is full for it alone."""

if __name__ == "__main__":
    if limit := os.environ.get(FILE_LIMIT):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    handler = StageHandler(payload=ChaosStep, run=carry_out)
    # The process's own tables, before it starts.
    vars(process)["all_handlers"] = lambda: {("chaos.step", 1): handler}
    vars(process)["payload_registry"] = lambda: PayloadRegistry([ChaosStep])
    sys.exit(process.main())
