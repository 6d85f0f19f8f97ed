"""Alembic's revisions of the ledger, shipped with the package."""
