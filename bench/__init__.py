"""Measurements, each run by a make target; their figures are kept under docs/."""
