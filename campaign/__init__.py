"""Damage by the hundred thousand, kills by the hundred: ``make campaign`` tries both and writes docs/reliability.md."""
