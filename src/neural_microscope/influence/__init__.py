"""Influence of training images on predictions, confusions and units: estimated, and verified by networks that were retrained.

An influence is the change that an image makes by being among the training images: above 0 it raises its target. An
estimate is one network's arithmetic; whether it is right is decided by networks that were trained without the images.
Retrained networks differ between seeds too, so the truth has a reliability, whose square root is the ceiling of any
estimate's agreement with it.
"""

from .estimates import METHODS, estimate
from .retraining import retrain
from .sets import alike, halves, singles
from .targets import Activation, Confusion, Prediction, Target
from .verified import claims, verify

__all__ = [
    "METHODS",
    "Activation",
    "Confusion",
    "Prediction",
    "Target",
    "alike",
    "claims",
    "estimate",
    "halves",
    "retrain",
    "singles",
    "verify",
]
