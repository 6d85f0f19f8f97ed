"""A stage that says outside the ledger that it ran: a line in a log, its mark in its output."""

import json
import os
import secrets
import threading
from pathlib import Path
from typing import ClassVar

from contracts.artifact import Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.payload import Payload
from workers.stages.handler import StageFault, Workbench

EFFECTS = "CHAOS_EFFECTS"
"""The variable that names the effect log."""
BIG = "CHAOS_BIG"
"""The variable that names a file over the size limit of a worker whose disk is full."""


class ChaosStep(Payload):
    """One stage of a chaos run."""

    KIND: ClassVar[str] = "chaos.step"

    stage: str
    of: str = ""
    run: str
    width: int = 0
    big: bool = False
    work: float = 0.0
    """Seconds."""
    fails: int = 0
    """Per cent of attempts that end with a fault that a second try may cure."""


class ChaosChild(ChaosStep):
    """The same in a process of its own, where a lane has it so."""

    KIND: ClassVar[str] = "chaos.child"


def carry_out(bench: Workbench) -> Produced:
    """Work a moment, read the inputs, append a line to the log, leave its mark in the output."""
    step = bench.payload
    assert isinstance(step, ChaosStep)
    threading.Event().wait(step.work)
    if secrets.randbelow(100) < step.fails:
        raise StageFault(FaultKind.TRANSIENT, "source.away", "the source did not answer")
    read = sum(len(file.path.read_bytes()) > 0 for files in bench.inputs.values() for file in files)
    mark = {"run": step.run, "place": f"{step.stage}/{step.of}", "mark": secrets.token_hex(8)}
    line = json.dumps(mark, sort_keys=True)
    log = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(log, f"{line}\n".encode())
    finally:
        os.close(log)
    path = bench.scratch / "mark.json"
    path.write_text(line, encoding="utf-8")
    outputs = [Output(name="mark.json", path=path, media_type="text/plain", tier=Tier.SILVER)]
    if step.big:
        large = bench.scratch / "large.bin"
        large.hardlink_to(Path(os.environ[BIG]))
        kind = "application/octet-stream"
        outputs.append(Output(name="large.bin", path=large, media_type=kind, tier=Tier.BRONZE))
    found = tuple(f"p{n}" for n in range(step.width)) if step.stage == "list" else None
    return Produced(outputs=tuple(outputs), partitions=found, facts={"read": read})
