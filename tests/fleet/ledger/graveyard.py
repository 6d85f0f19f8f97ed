"""Many runs that failed, of a few causes."""

import asyncio
from collections.abc import Sequence

from contracts.outcome import Fault, FaultKind
from contracts.states import State
from fleet.ledger.ledger import Ledger
from tests.fleet.ledger.story import NOW, a_graph, a_run, a_stage, carried_out, promised

CAUSES: Sequence[tuple[str, str]] = (
    ("source.unreachable", "source 'claims' did not answer within {} s"),
    ("rules.broken", "{} rows of client C-{} have no amount"),
    ("handler.ValueError", 'no column "amount_{}" in the export'),
)
ONE = a_graph(a_stage("fetch"))


def a_fault(number: int, causes: int = len(CAUSES)) -> Fault:
    code, words = CAUSES[number % causes]
    return Fault(kind=FaultKind.PERMANENT, code=code, message=words.format(number, number))


async def buried(ledger: Ledger, count: int, causes: int = len(CAUSES)) -> list[str]:
    """`count` runs whose one task failed, by turns of each cause; the tasks, in that order."""
    runs = [a_run(ONE) for _ in range(count)]
    await asyncio.gather(*[ledger.start_run(run) for run in runs])
    by_run = {envelope.run: envelope for envelope in await promised(ledger)}
    await asyncio.gather(
        *[
            carried_out(
                ledger, by_run[run.run], State.FAILED, fault=a_fault(number, causes), now=NOW
            )
            for number, run in enumerate(runs)
        ]
    )
    return [by_run[run.run].task for run in runs]
