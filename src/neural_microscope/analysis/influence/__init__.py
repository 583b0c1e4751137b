"""Influence of training images: how reliable the truth from retraining is, and how well estimates agree with it."""

from .agreement import agreement
from .harm import harm
from .reliability import reliability

__all__ = ["agreement", "harm", "reliability"]
