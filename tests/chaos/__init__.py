"""Faults against real processes, and a checker of what they leave. `make chaos`."""
