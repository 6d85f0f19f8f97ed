"""The real worker process, with the chaos stage instead of the fleet's own stages."""

import os
import resource
import sys

import workers.__main__ as process
from contracts.payload import PayloadRegistry
from tests.chaos.handler import ChaosChild, ChaosStep, carry_out
from workers.stages.handler import StageHandler

FILE_LIMIT = "CHAOS_FILE_LIMIT"
"""Bytes of the largest file that this worker may write: a disk that is full for it alone."""

if __name__ == "__main__":
    if limit := os.environ.get(FILE_LIMIT):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    handlers = {
        (payload.KIND, 1): StageHandler(payload=payload, run=carry_out)
        for payload in (ChaosStep, ChaosChild)
    }
    # The process's own tables, before it starts.
    vars(process)["all_handlers"] = lambda: handlers
    vars(process)["payload_registry"] = lambda: PayloadRegistry([ChaosStep, ChaosChild])
    sys.exit(process.main())
