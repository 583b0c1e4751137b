"""Pictures of results. They draw and compute nothing; each takes what an analysis returned and gives a matplotlib
figure with ``alt`` text, in the ``theme`` light or dark.
"""

from .dynamics import activity_over_time, histograms_over_time, learning_curves, unit_states
from .geometry import (
    clusters_over_time,
    collapse_over_time,
    dimension_over_time,
    embedding,
    explained_variance,
    pca_over_time,
    subspaces,
)
from .predictions import confusion
from .style import TOKENS, Plot
from .tuning import basis_comparison, measure_agreement, quantile_strips, selectivity_over_time, tuning
from .units import class_means, feature_maps, selectivity, top_images, weights

__all__ = [
    "TOKENS",
    "Plot",
    "activity_over_time",
    "basis_comparison",
    "class_means",
    "clusters_over_time",
    "collapse_over_time",
    "confusion",
    "dimension_over_time",
    "embedding",
    "explained_variance",
    "feature_maps",
    "histograms_over_time",
    "learning_curves",
    "measure_agreement",
    "pca_over_time",
    "quantile_strips",
    "selectivity",
    "selectivity_over_time",
    "subspaces",
    "top_images",
    "tuning",
    "unit_states",
    "weights",
]
