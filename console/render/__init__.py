"""Rows of the ledger as tables and drawings for a terminal. Pure: time is an argument."""
