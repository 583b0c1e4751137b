"""Automatic differentiation on single numbers: no torch, no numpy, only Python."""

from __future__ import annotations

from .engine import Value

__all__ = ["Value"]
