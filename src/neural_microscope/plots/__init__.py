"""Pictures of results. They draw and compute nothing; each takes what an analysis returned and gives a matplotlib
figure with ``alt`` text, in the ``theme`` light or dark.
"""

from .dynamics import activity_over_time, histograms_over_time, learning_curves, unit_states
from .geometry import pca_over_time
from .predictions import confusion
from .style import TOKENS, Plot
from .units import class_means, feature_maps, selectivity, top_images, weights

__all__ = [
    "TOKENS",
    "Plot",
    "activity_over_time",
    "class_means",
    "confusion",
    "feature_maps",
    "histograms_over_time",
    "learning_curves",
    "pca_over_time",
    "selectivity",
    "top_images",
    "unit_states",
    "weights",
]
