"""Hook points: reading and changing a network from outside, by name.

The words are TransformerLens's (``run_with_cache``, ``run_with_hooks``, ``hooks``, ``names_filter``,
``hook_fn(tensor, hook)``), so its users know them; where it ignores a mistake, this package raises.
"""

from .attach import HookFunction
from .cache import ActivationCache
from .dataset import activations
from .model import HookedModel, lent
from .modes import evaluation
from .point import HookPoint
from .select import NamesFilter
from .wrap import bare, hooked

__all__ = [
    "ActivationCache",
    "HookFunction",
    "HookPoint",
    "HookedModel",
    "NamesFilter",
    "activations",
    "bare",
    "evaluation",
    "hooked",
    "lent",
]
