"""Rules in time: a worker does not decide by older rules than those that admitted the run.

Files of changed rules reach processes at different times. A worker that is behind looks again for a
while; one that stays behind gives the task back, for a worker that is not.
"""

import asyncio
import logging

from policies.gate import PolicyGate
from workers.site import Site

_log = logging.getLogger(__name__)
_BETWEEN = 0.5
"""Seconds between two looks."""


async def gate_of(generation: int, site: Site) -> PolicyGate | None:
    """The gate to decide by, at least of `generation`; None where it did not come in time."""
    for _ in range(1 + round(site.rules_patience / _BETWEEN)):
        if site.gate.generation >= generation:
            return site.gate.now
        if not await asyncio.to_thread(site.gate.refresh):
            await asyncio.sleep(min(_BETWEEN, site.rules_patience))
    if site.gate.generation >= generation:
        return site.gate.now
    _log.warning("rules of generation %d are asked for, and have not come", generation)
    return None
