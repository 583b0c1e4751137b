"""The time of ablating every unit of a layer over 1,000 images, compared with loops over the same ablations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.analysis.causal.downstream import batches

from . import peers
from .timing import Form, Times, interleaved, table

LENS = "TransformerLens run_with_hooks"
FORWARD, LOGITS = "one forward pass", "the logits of every ablation, as in ablate_all"
EFFECTS, WHOLE = "ablate_all, one direction as null", "ablate_all, its whole null"
OURS = {FORWARD, LOGITS, EFFECTS, WHOLE}


def run(form: Form) -> list[str]:
    torch.set_num_threads(1)
    images = form.data.test.subset(slice(0, form.pick(1000, 60)))
    wide = nm.MLP(nm.MLPConfig(hidden=form.pick((512, 256), (24, 16)))).eval()
    mlp = "Ablating all 512 units of layer 0 of 784-512-256-10"
    aims = {LOGITS: "≤ 10 × forward", EFFECTS: "≤ 10 × forward, ≤ 0.04 × the loop"}
    parts = [_ablation(form, wide, 0, images, mlp, form.pick(32, 4), aims)]
    cnn = nm.CNN().eval()
    for layer, part in enumerate((1, 4)):
        channels = cnn.config.channels[layer]
        title = f"Ablating all {channels} channels of layer {layer} of a CNN 16-32-64"
        parts.append(
            _ablation(form, cnn, layer, images, title, form.pick(channels, 2), {EFFECTS: "≤ 0.33 × the loop"}, part)
        )
    return parts


def _ablation(
    form: Form,
    model: Any,
    layer: int,
    images: nm.data.ImageSet,
    title: str,
    measured: int,
    aims: dict[str, str],
    part: int = 2,
) -> str:
    """``part``: the layer's nonlinearity in the network as plain torch. Each loop is timed on ``measured`` units."""
    plain, point = peers.sequential(model), f"layers.{layer}.hook_post"
    pixels, labels = images.tensor(), images.label_tensor()
    units = model.layers[layer].weights.weight.shape[0]
    cutters = peers.cutters(plain, part)
    variants: dict[str, Callable[[], object]] = {
        FORWARD: lambda: plain(pixels),
        LOGITS: lambda: _cut(model, images, point),
        EFFECTS: lambda: causal.ablate_all(model, images, point, draws=1),
        WHOLE: lambda: causal.ablate_all(model, images, point),
        **{name: functools.partial(_loop, cut, pixels, labels, measured) for name, cut in cutters.items()},
    }
    if captum := peers.needed("captum.attr"):
        features = torch.arange(units).clamp(max=measured - 1)  # the last of them is all the rest
        shape = (1, units) if model.layers[layer].kind == "linear" else (1, units, 1, 1)
        method = captum.LayerFeatureAblation(lambda x: _losses(plain(x), labels), plain[part])
        variants["captum LayerFeatureAblation"] = lambda: method.attribute(pixels, layer_mask=features.view(shape))
    with torch.no_grad():
        _refuse_unequal(cutters, pixels)
        times = interleaved(variants, form.pick(3, 1))
    loops = set(variants) - OURS
    base = LENS if LENS in times else "plain torch, forward hook"
    return table(title, _scaled(times, loops, units / measured), base, aims, limit=FORWARD) + (
        f"\n\nIn each loop, {measured} units were timed, and the time multiplied by {units / measured:g}."
        * (measured < units)
    )


def _cut(model: Any, images: nm.data.ImageSet, point: str) -> None:
    for _, down, _ in batches(model, images, point):
        for _ in down.each_unit(torch.zeros_like(down.acts)):
            pass


def _loop(cut: peers.Cut, pixels: Tensor, labels: Tensor, units: int) -> Tensor:
    """Each image's loss without each unit, and whether it is classified correctly: the first result of `ablate_all`."""
    losses, right = torch.empty(units, len(pixels)), torch.empty(units, len(pixels), dtype=torch.bool)
    for unit in range(units):
        logits = cut(pixels, unit)
        losses[unit], right[unit] = _losses(logits, labels), logits.argmax(1) == labels
    return losses


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _refuse_unequal(cutters: dict[str, peers.Cut], pixels: Tensor) -> None:
    """Checks that the compared functions give equal results."""
    first, *others = (cut(pixels, 1) for cut in cutters.values())
    for other in others:
        torch.testing.assert_close(other, first)


def _scaled(times: Times, names: set[str], factor: float) -> Times:
    return {name: [t * factor for t in values] if name in names else values for name, values in times.items()}
