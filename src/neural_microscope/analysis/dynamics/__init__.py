"""Training dynamics: loss and accuracy, gradients, weights, unit activity, loss curvature."""

from .curves import gradient_flow, learning_by_class, learning_curve
from .hessian import sharpness
from .spectra import weight_spectra
from .units import activity, histograms, lives

__all__ = [
    "activity",
    "gradient_flow",
    "histograms",
    "learning_by_class",
    "learning_curve",
    "lives",
    "sharpness",
    "weight_spectra",
]
