"""Shared ground: the bus, the ledger, artifacts, telemetry, settings, the clock."""
