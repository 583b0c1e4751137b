"""Plots of results. They draw and compute nothing; each takes the result of an analysis and returns a matplotlib
figure with ``alt`` text, in the ``theme`` light or dark.
"""

from .animate import animate
from .attribution import attributions, sanity, single_pixels
from .causal import (
    ablation,
    attribution_vs_patching,
    confusion_shift,
    cumulative_ablation,
    direct_logit_attribution,
    dose_response,
    interactions,
    patching,
)
from .development import change_of_learning, takeover
from .dictionary import dictionary, dictionary_controls, latent_density, stability
from .dynamics import (
    activity_over_time,
    class_learning,
    gradient_flow,
    histograms_over_time,
    learning_curves,
    unit_lives,
    unit_states,
    weight_spectra,
)
from .geometry import (
    clusters_over_time,
    collapse_over_time,
    dimension_over_time,
    embedding,
    explained_variance,
    pca_over_time,
    subspaces,
)
from .influence import influence_agreement, influential_images
from .overview import overview
from .predictions import confusion, image_lives, probes, reliability
from .similarity import displacement, drift, similarity_matrix, unit_drift
from .simple import lines, plane
from .style import TOKENS, Plot
from .tuning import basis_comparison, quantile_strips, selectivity_over_time, tuning
from .units import class_means, feature_maps, one_image, selectivity, top_images, weights

__all__ = ["TOKENS", *sorted(name for name, thing in globals().items() if callable(thing) and name[0] != "_")]
