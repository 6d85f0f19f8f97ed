"""The fleet in virtual time: real ledger, worker, sweep and relay; chance decides the rest.

`python -m tests.simulation --seeds 10000` or `make simulate`; docs/explanation/nothing-lost.md.
"""
