"""The commands of `fleet`, one subject a module. `console.cli` lists them.

A module here imports what its options need and no more: the rest is imported when the command runs.
"""
