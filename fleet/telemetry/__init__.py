"""Spans and logs: their names, where they go, and what is taken out of them first."""
