"""Reading what a wide stage has made, a portion at a time: its outputs are never all in memory."""

from collections.abc import Iterator

from sqlalchemy import Engine, bindparam, select, true

from fleet.ledger import tables

_AT_ONCE = 1000

_o = tables.output.c

_of_stage = (
    select(_o.pointer)
    .where(_o.run == bindparam("run"), _o.stage == bindparam("stage"), _o.produced == true())
    .order_by(_o.partition, _o.name)
)


def outputs_of(engine: Engine, run: str, stage: str) -> Iterator[str]:
    """The pointers of what a stage's tasks made, as JSON, ordered by partition, then name.

    Blocking. One statement, so that all is of one moment.
    """
    with engine.connect() as connection:
        streamed = connection.execution_options(yield_per=_AT_ONCE)
        yield from streamed.execute(_of_stage, {"run": run, "stage": stage}).scalars()
