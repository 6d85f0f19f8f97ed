"""kill -9 under load, again and again: `rounds` does it, `history` decides whether all was kept.

python -m tests.localbus.chaos --rounds 20 --seed 1
"""
