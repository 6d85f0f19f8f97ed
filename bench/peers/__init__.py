"""Leaf Fleet beside its peers, on one machine in one run: `python -m bench.peers` (`make bench`).

`apps/` has what each peer needs to run no-op tasks, and runs in an environment of its own
(`.bench`); everything else runs in the project's. What is compared is said in docs/benchmarks.md.
"""
