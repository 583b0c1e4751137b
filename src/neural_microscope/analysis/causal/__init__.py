"""Causal measures: change activations inside a network and measure the change in its output.

Each takes a model (or any torch module) and images. Effects of units are compared with those of random directions of equal
norm, or of random units; a dead unit has an effect of exactly 0.
"""

from .ablation import ablate_all
from .confusion_shift import confusion_shift
from .curves import cumulative_ablation
from .direct_logit_attribution import direct_logit_attribution
from .directions import ablate_directions
from .dose import dose_response
from .interactions import interactions
from .logits import ablated_logits, label_dependence
from .own_loss import ablate_loss
from .patching import attribution_patching, patch_between
from .paths import path_patching

__all__ = [
    "ablate_all",
    "ablate_directions",
    "ablate_loss",
    "ablated_logits",
    "attribution_patching",
    "confusion_shift",
    "cumulative_ablation",
    "direct_logit_attribution",
    "dose_response",
    "interactions",
    "label_dependence",
    "patch_between",
    "path_patching",
]
