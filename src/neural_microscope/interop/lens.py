"""A genuine TransformerLens model of an MLP or a CNN."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from ..doors import door
from ..hooks import HookPoint
from ..models import Network
from .needed import needed


@door
def to_transformer_lens(model: Network) -> Any:
    """The network as a `HookedRootModule` of TransformerLens (4.x), with a copy of its weights, in its mode.

    Hook points are called as there: ``blocks.{i}.mlp.hook_pre`` and ``hook_post`` (``hook_norm``, ``hook_pool`` where
    the network has them), and ``hook_input``, ``hook_logits`` around them; ``cfg.n_layers`` counts the hidden layers.
    So ``run_with_cache``, ``run_with_hooks``, ``hooks`` and ``patching.generic_activation_patch`` are theirs.
    Parameters are called ``blocks.{i}.mlp.linear.weight`` (or ``conv``) and ``output.weight``.

    Args:
        model: An MLP or a CNN.

    Raises:
        MicroscopeError: TransformerLens is not installed.

    >>> lens = nm.interop.to_transformer_lens(model)  # doctest: +SKIP
    >>> logits, cache = lens.run_with_cache(images)  # doctest: +SKIP
    """
    return _class()(model)


@door
def activation_cache(cache: dict[str, Tensor], lens: Any) -> Any:
    """TransformerLens's ActivationCache, so that ``cache["post", -1]`` works.

    Args:
        cache: What TransformerLens's ``run_with_cache`` returned.
        lens: The module from `to_transformer_lens`.

    Raises:
        MicroscopeError: TransformerLens is not installed.

    >>> nm.interop.activation_cache(cache, lens)["post", -1].shape  # doctest: +SKIP
    torch.Size([100, 16])
    """
    return needed("transformer_lens.ActivationCache", "transformer-lens").ActivationCache(cache, lens)


@functools.cache
def _class() -> type[nn.Module]:
    root: Any = needed("transformer_lens", "transformer-lens").HookedRootModule
    point: Any = needed("transformer_lens.hook_points", "transformer-lens").HookPoint

    class LensNetwork(root):
        """An MLP or a CNN whose hook points are TransformerLens's; the forward pass is still `Network.forward`."""

        def __init__(self, model: Network) -> None:
            super().__init__()
            own = copy.deepcopy(model)
            for module in list(own.modules()):
                for name, child in list(module.named_children()):
                    if isinstance(child, HookPoint):
                        setattr(module, name, point())
            self.__dict__["own"] = own  # not a child: its parts are, under their names
            self.hook_input = own.input
            self.blocks = nn.ModuleList(nn.ModuleDict({"mlp": layer}) for layer in own.layers)
            self.output = own.output
            self.hook_logits = own.logits
            device = str(next(model.parameters()).device)
            name, seed = type(model).__name__, model.seed
            self.cfg = SimpleNamespace(n_layers=len(self.blocks), model_name=name, seed=seed, device=device)
            self.setup()
            self.train(model.training)

        def forward(self, images: Tensor) -> Tensor:
            return self.own(images)

    return LensNetwork
