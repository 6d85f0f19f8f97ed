"""The stages: one module a family of kinds, each a function from a workbench to an outcome."""
