"""The real dispatcher process, which also knows the payload of the no-op stage."""

import sys

import dispatcher.__main__ as process
from bench.fleet.noop import Noop
from contracts.payload import PayloadRegistry

if __name__ == "__main__":
    # The process's own table, before it starts.
    vars(process)["payload_registry"] = lambda: PayloadRegistry([Noop])
    sys.exit(process.main())
