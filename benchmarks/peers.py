"""The tools beside which this one is measured; one that is not installed is named, not measured.

Each reads or changes the outputs of numbered parts of the same ``nn.Sequential``: `Read` gives them, `Cut` the logits without a unit.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

Read = Callable[[Tensor], object]
Cut = Callable[[Tensor, int], Tensor]

PACKAGES = {
    "TransformerLens": "transformer-lens",
    "captum": "captum",
    "nnsight": "nnsight",
    "scikit-learn": "scikit-learn",
}


def installed() -> dict[str, str]:
    """Version of each peer; empty where it is absent."""
    found = {}
    for name, package in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = ""
    return found


def needed(module: str) -> Any | None:
    """A module of a peer, or None where that is not installed."""
    return importlib.import_module(module) if importlib.util.find_spec(module.split(".")[0]) else None


def transformer_lens(plain: nn.Sequential, points: Sequence[int]) -> Any | None:
    """The same network as a HookedRootModule with a hook point after each of ``points``, called ``points.{i}``."""
    if not needed("transformer_lens"):
        return None
    from transformer_lens import HookedRootModule
    from transformer_lens.hook_points import HookPoint

    class Lens(HookedRootModule):
        def __init__(self) -> None:
            super().__init__()
            self.parts = plain
            self.points = nn.ModuleDict({str(i): HookPoint() for i in points})
            self.hooked = [(part, self.points[str(i)] if i in points else None) for i, part in enumerate(plain)]
            self.setup()

        def forward(self, x: Tensor) -> Tensor:
            for part, point in self.hooked:
                x = part(x) if point is None else point(part(x))
            return x

    return Lens().eval()


def readers(plain: nn.Sequential, points: Sequence[int]) -> dict[str, Read]:
    """Each peer's way to keep the outputs of ``points``."""
    found: dict[str, Read] = {}
    if lens := transformer_lens(plain, points):
        found["TransformerLens run_with_cache"] = lens.run_with_cache
    if nnsight := needed("nnsight"):
        traced = nnsight.NNsight(copy.deepcopy(plain))  # what it adds to modules should slow nobody else down

        def read(images: Tensor) -> object:
            with traced.trace(images):
                saved = nnsight.save([traced[i].output for i in points])
            return saved

        found["nnsight trace"] = read
    return found


def cutters(plain: nn.Sequential, part: int) -> dict[str, Cut]:
    """Each peer's logits of images where a unit (or channel) of the output of ``part`` is 0; first as plain torch does it."""

    def by_hook(images: Tensor, unit: int) -> Tensor:
        def zero(module: nn.Module, args: object, output: Tensor) -> Tensor:
            return output.index_fill(1, torch.tensor(unit), 0.0)

        handle = plain[part].register_forward_hook(zero)
        try:
            return plain(images)
        finally:
            handle.remove()

    found: dict[str, Cut] = {"plain torch, forward hook": by_hook}
    if lens := transformer_lens(plain, [part]):

        def lens_cut(images: Tensor, unit: int) -> Tensor:
            def zero(value: Tensor, hook: object) -> Tensor:
                value[:, unit] = 0
                return value

            return lens.run_with_hooks(images, fwd_hooks=[(f"points.{part}", zero)])

        found["TransformerLens run_with_hooks"] = lens_cut
    if nnsight := needed("nnsight"):
        traced = nnsight.NNsight(copy.deepcopy(plain))

        def nnsight_cut(images: Tensor, unit: int) -> Tensor:
            with traced.trace(images):
                traced[part].output[:, unit] = 0
                logits = traced.output.save()
            return logits

        found["nnsight trace"] = nnsight_cut
    return found


def sequential(model: Any) -> nn.Sequential:
    """One of our networks as plain torch, with the same weights in the same memory."""
    parts: list[nn.Module] = [] if model.layers[0].kind == "conv" else [nn.Flatten()]
    for before, layer in zip([None, *model.layers], model.layers, strict=False):
        if before is not None and before.kind == "conv" and layer.kind == "linear":
            parts.append(nn.Flatten())
        parts += [layer.weights, layer.activation, *([layer.pool] if layer.pool else [])]
    flat = model.layers[-1].kind == "linear"
    return nn.Sequential(*parts, *([] if flat else [nn.Flatten()]), model.output).eval()
