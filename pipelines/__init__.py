"""The pipelines that ship: one folder each, data only."""
