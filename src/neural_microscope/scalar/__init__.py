"""Automatic differentiation on single numbers: no torch, no numpy, only Python."""

from __future__ import annotations

from .engine import Value
from .nn import MLP, Layer, Module, Neuron

__all__ = ["MLP", "Layer", "Module", "Neuron", "Value"]
