"""Pictures of results. They draw and compute nothing; each takes what an analysis returned and gives a matplotlib
figure with ``alt`` text, in the ``theme`` light or dark.
"""

from .attribution import attributions, deletion_insertion, maximised, sanity, single_pixels
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
    "attributions",
    "basis_comparison",
    "class_means",
    "clusters_over_time",
    "collapse_over_time",
    "confusion",
    "deletion_insertion",
    "dimension_over_time",
    "embedding",
    "explained_variance",
    "feature_maps",
    "histograms_over_time",
    "learning_curves",
    "maximised",
    "measure_agreement",
    "pca_over_time",
    "quantile_strips",
    "sanity",
    "selectivity",
    "selectivity_over_time",
    "single_pixels",
    "subspaces",
    "top_images",
    "tuning",
    "unit_states",
    "weights",
]
