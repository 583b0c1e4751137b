"""Measures of what happens inside. They take named arrays (causal ones a model and images) and return xarray datasets.

Imported on first use: ``nm.analysis.selectivity.class_selectivity(acts)``.
"""

from . import causal, dynamics, findings, geometry, predictions, selectivity

__all__ = ["causal", "dynamics", "findings", "geometry", "predictions", "selectivity"]
