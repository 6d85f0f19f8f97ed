"""The stages: one module a family of kinds, each a plain function from a workbench to an outcome."""
