"""Leaf Fleet measured from outside, as real processes: `python -m bench.fleet`."""
