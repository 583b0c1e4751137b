"""One image and everything that networks make of it, on one sheet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from . import forms, style
from .style import Plot, Theme, draws


@draws
def one_image(
    image: np.ndarray,
    layers: Mapping[str, Mapping[str, np.ndarray]],
    probabilities: Mapping[str, np.ndarray],
    *,
    theme: Theme,
) -> Plot:
    """One image [row, col] in 0..1, and network by network what each layer makes of it and the probabilities at the end.

    ``layers``: network -> layer -> the activations of this image, [unit] or [channel, row, col]; ``probabilities``: network ->
    [class]. Each layer has its own scale.
    """
    deepest = max((len(one) for one in layers.values()), default=0)
    figure = style.new("wide", 0.3 + 1.55 * len(layers), theme)
    panels = figure.subplots(len(layers), deepest + 2, squeeze=False, width_ratios=(1, *(1.35,) * deepest, 1.1))
    for row, (network, own) in zip(panels, layers.items(), strict=True):
        row[0].imshow(image, cmap=theme.digit_map, vmin=0, vmax=1)
        row[0].set_title(network, loc="center")
        forms.quiet(row[0])
        for axes, (layer, values) in zip(row[1:], own.items(), strict=False):
            _layer(axes, layer, np.asarray(values, float), theme)
        for axes in row[1 + len(own) : -1]:
            axes.set_visible(False)
        _answer(row[-1], np.asarray(probabilities[network]), theme)
    said = ", ".join(f"{name} predicts {int(np.argmax(values))}" for name, values in probabilities.items())
    figure.alt = f"One image, what each layer of each network makes of it, and the class they predict: {said}."
    return figure


def _layer(axes: Axes, layer: str, values: np.ndarray, theme: Theme) -> None:
    maps = values.reshape(len(values), *(values.shape[1:] if values.ndim == 3 else (1, 1)))
    across = max(1, round(np.sqrt(len(maps) * (1.6 if maps.shape[1] == 1 else 1))))
    most = float(np.abs(maps).max()) or 1.0
    signed = bool((maps < 0).any())
    colours, limits = (theme.signed_map, (-most, most)) if signed else (theme.amount_map, (0.0, most))
    if maps.shape[1:] == (1, 1):
        maps = maps.repeat(6, 1).repeat(6, 2)
    axes.imshow(forms.mosaic(maps, across, colours, limits, theme, gap=1))
    axes.set_title(layer, loc="center", fontsize=8)
    axes.set_xlabel(f"{len(maps)} {'units' if values.ndim == 1 else 'channels'}, to {style.told(most)}", fontsize=7.5)
    forms.quiet(axes)


def _answer(axes: Axes, values: np.ndarray, theme: Theme) -> None:
    best = int(values.argmax())
    axes.barh(range(len(values)), values, color=[theme.ink if k == best else theme.quiet for k in range(len(values))])
    axes.set_yticks(range(len(values)), [str(k) for k in range(len(values))], fontsize=7)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 1], ["0", "1"])
    axes.invert_yaxis()
    axes.set_title(f"predicts {best}: {style.share(float(values[best]))}", loc="center", fontsize=8)
    axes.set_xlabel("probability", fontsize=7.5)
