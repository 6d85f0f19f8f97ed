"""Alembic's entry: runs within the transaction that `fleet.ledger.migrate` has opened."""

from alembic import context

from fleet.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's data definition is transactional too, once the driver leaves transactions alone.
    transactional_ddl=True,
)
context.run_migrations()
