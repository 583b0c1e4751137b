"""Analysis of a recorded run: every measure of the default analysis, on the network and on each of its hidden layers.

A look holds results by the name of their measure: ``look["predictions.confusion"]``, ``layer["causal.ablate_all"]``. Results that are not
there yet are computed on first access.
"""

from .. import causal, dynamics, geometry, predictions, selectivity, similarity  # noqa: F401 (importing them registers their measures)
from . import untrained  # noqa: F401 (likewise)
from .computing import first_look, looking
from .looks import (
    FEWEST_IMAGES,
    FirstLook,
    LayerLook,
    Pair,
    Progress,
    Unmeasured,
    pairs,
    unpictured,
)

__all__ = [
    "FEWEST_IMAGES",
    "FirstLook",
    "LayerLook",
    "Pair",
    "Progress",
    "Unmeasured",
    "first_look",
    "looking",
    "pairs",
    "unpictured",
]
