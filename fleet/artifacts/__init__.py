"""Immutable bytes named by their digest: the store, its folder, and the manifest of a run."""
