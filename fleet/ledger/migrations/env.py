"""Alembic's entry: runs within the transaction that `fleet.ledger.migrate` has opened, or only
writes down, for a dialect, what it would run."""

from alembic import context

from fleet.ledger.tables import metadata

context.configure(
    **context.config.attributes,
    target_metadata=metadata,
    # SQLite's data definition is transactional too, once the driver leaves transactions alone.
    transactional_ddl=True,
)
context.run_migrations()
