"""The rules of the dispatcher's gate, looked at every few seconds for a change of their files."""

import asyncio

from policies.live import LiveGate

RULES_EVERY = 2.0
"""Seconds."""


async def refreshed(gate: LiveGate) -> bool:
    """One look. No other look is due at once."""
    await asyncio.to_thread(gate.refresh)
    return False
