"""Similarity of two sets of activations of the same images: between layers, networks and seeds, and over training."""

from .cca import cca, principal_angles
from .cka import cka, minibatch_cka
from .compare import compare, matrix
from .drift import drift
from .matching import match_units, replication
from .procrustes import procrustes
from .rsa import rsa
from .unit_drift import unit_drift

__all__ = [
    "cca",
    "cka",
    "compare",
    "drift",
    "match_units",
    "matrix",
    "minibatch_cka",
    "principal_angles",
    "procrustes",
    "replication",
    "rsa",
    "unit_drift",
]
