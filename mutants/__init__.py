"""Mutations of the code by syntax-tree operators, and whether a test fails: ``python -m mutants``."""
