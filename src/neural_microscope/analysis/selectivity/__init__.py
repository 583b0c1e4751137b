"""Specialization of single units: selectivity by several measures with their null distributions; its onset in training; images
at all activation quantiles; and a comparison of the units with other directions of the layer.

The mean gradient of the loss or of a logit for each class needs no measure of its own: it is `class_means` of the
gradient at a hook point, and `top_units` ranks it.
"""

from .basis import basis_comparison
from .classes import EPSILON, class_means, selectivity_by_class, top_units, tuning
from .images import quantile_examples, top_examples
from .life import over_time
from .units import agreement, class_selectivity

__all__ = [
    "EPSILON",
    "agreement",
    "basis_comparison",
    "class_means",
    "class_selectivity",
    "over_time",
    "quantile_examples",
    "selectivity_by_class",
    "top_examples",
    "top_units",
    "tuning",
]
