"""What single units specialise in: how strongly, by several measures with their chance levels; since when; for which
images, not only the strongest; and whether other directions of the layer would specialise as much.

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
