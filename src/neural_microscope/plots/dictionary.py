"""Pictures of a learnt dictionary: its latents, how often they fire, whether they come back, and their controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from . import forms, style
from .style import Plot, Theme, draws

WORDS = {
    "units": "units",
    "components": "principal components",
    "latents": "latents of the dictionary",
    "random": "latents of a random dictionary",
}


@draws
def dictionary(
    images: np.ndarray,
    order: xr.DataArray,
    pictures: np.ndarray | None = None,
    *,
    latents: Sequence[int] | None = None,
    columns: int = 2,
    theme: Theme,
) -> Plot:
    """Some latents (the first 16 unless named): beside each, its decoder picture (where given) and the images that excite it most,
    strongest first.

    ``images`` [example, row, col]; ``order`` [latent, rank], -1 for none: `analysis.selectivity.top_examples` of
    ``encode(…).rename(latent="unit")``; ``pictures`` [latent, row, col]: `analysis.dictionary.decoder_pictures`, each on a
    scale of its own, symmetric about 0.
    """
    size, ranks = images.shape[1:], order.shape[1]
    latents = range(min(16, len(order))) if latents is None else latents
    columns = min(columns, len(latents))
    count = -(-len(latents) // columns)
    tile = 6.6 / (columns * (ranks + 2))
    figure = style.new("wide", 0.45 + count * tile * 1.02, theme)
    for column, axes in enumerate(figure.subplots(1, columns, squeeze=False)[0]):
        shown = list(latents[column * count : (column + 1) * count])
        chosen = order.values[shown]
        top = np.where((chosen >= 0)[..., None, None], images[chosen] / 255, np.nan).reshape(-1, *size)
        sheet = forms.mosaic(top, ranks, theme.digit_map, (0, 1), theme)
        if pictures is not None:
            peak = np.abs(pictures[shown]).max((1, 2), keepdims=True)
            scaled = pictures[shown] / np.where(peak > 0, peak, 1)
            seen = forms.mosaic(scaled, 1, theme.signed_map, (-1, 1), theme)
            gap = forms.mosaic(np.full((len(shown), size[0], 3), 0.0), 1, theme.digit_map, (0, 1), theme)
            sheet = np.hstack([seen, gap, sheet])
        axes.imshow(sheet)
        forms.quiet(axes, ticks=True)
        axes.set_xticks([])
        axes.set_yticks([(i + 0.5) * (size[0] + 2) - 1.5 for i in range(len(shown))], [str(n) for n in shown])
    first = "direction in pixels, then the " if pictures is not None else ""
    figure.suptitle(f"Latents: {first}images that excite each most", x=0.01, ha="left", fontsize=9, fontweight="bold")
    beside = ", beside the pixels its direction adds (orange) or takes away (blue)" if pictures is not None else ""
    figure.alt = f"For {len(latents)} latents the {ranks} images that excite each most{beside}."
    return figure


@draws
def latent_density(table: xr.Dataset, *, theme: Theme) -> Plot:
    """How often latents fire: a histogram of their density on a log axis: `analysis.dictionary.evaluate_sae`."""
    density = table["density"].values
    alive = density[density > 0]
    figure = style.new("middle", 2.6, theme)
    axes = figure.subplots()
    lowest = min(np.floor(np.log10(alive.min())), -1.0) if len(alive) else -3.0
    axes.hist(alive, np.logspace(lowest, 0, 31).tolist(), color=theme.amount, edgecolor=theme.paper, linewidth=0.4)
    axes.set_xscale("log")
    mean = float(table["l0"]) / len(density)
    axes.axvline(mean, color=theme.null, linewidth=1.2, label=f"if all fired alike: {style.told(100 * mean)} %")
    axes.legend(loc="upper right")
    ticks = [10.0**k for k in range(int(lowest), 1)]
    axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.set_xlabel("share of examples in which a latent is active")
    axes.set_ylabel("latents")
    axes.set_title(f"{len(alive)} of {len(density)} latents fire, {style.told(float(table['l0']))} an example")
    figure.alt = f"Histogram of how often {len(density)} latents fire; {len(density) - len(alive)} never do."
    return figure


@draws
def dictionary_controls(table: xr.Dataset, *, theme: Theme) -> Plot:
    """How well one element tells a class, in four bases, with intervals: `analysis.dictionary.purity`.

    Grey bands: the same with shuffled labels. Two readings side by side, because sparse elements score low on the first and
    high on the second by being sparse: it is the random dictionary, as sparse, that the dictionary has to beat.
    """
    figure = style.new("wide", 2.6, theme)
    words = {"auc": "mean AUC (0.5: says nothing)", "share": "share of activation on its class"}
    bases = [str(basis) for basis in table["basis"].values][::-1]
    for axes, (name, label) in zip(figure.subplots(1, 2, sharey=True), words.items(), strict=True):
        value, low, high, bottom, top = (
            table[f"{name}{end}"].values[::-1] for end in ("", "_low", "_high", "_null_low", "_null_high")
        )
        for place, basis in enumerate(bases):
            label_once = "shuffled labels, 95 %" if not place else None
            band: dict[str, Any] = {"color": theme.null, "alpha": 0.4, "linewidth": 0, "label": label_once}
            axes.fill_betweenx([place - 0.32, place + 0.32], bottom[place], top[place], **band)
            colour = theme.null if basis == "random" else theme.ink
            axes.plot([low[place], high[place]], [place, place], color=colour, linewidth=1)
            axes.plot(value[place], place, "o", color=colour, markersize=5)
        random = value[bases.index("random")]
        axes.axvline(random, color=theme.null, linewidth=0.8, linestyle=":", label="a random dictionary, as sparse")
        axes.set_xlabel(label)
        axes.grid(True, axis="x")
        axes.margins(y=0.12)
        over = float(table[f"{name}_over_random"].sel(basis="latents"))
        said = "not known" if np.isnan(over) else f"{over:+.2f} over random".replace("-", "−")
        axes.set_title(f"Latents: {said}", fontsize=8.5)
        axes.set_yticks(range(len(bases)), [WORDS.get(basis, basis) for basis in bases])
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=7.5)
    figure.alt = (
        "Mean AUC and share of activation on the chosen class, held out, of units, principal components, the dictionary's latents and "
        "a random dictionary's, with intervals; grey bands: shuffled labels; dotted line: the random dictionary."
    )
    return figure


@draws
def stability(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Whether another seed finds a latent's direction, all latents in falling order: `analysis.dictionary.stability`.

    The grey band is the best match each would find among as many random directions.
    """
    order = np.argsort(-np.nan_to_num(table["cosine"].values, nan=-2.0), kind="stable")
    cosine, low, high = (table[f"cosine{end}"].values[order] for end in ("", "_null_low", "_null_high"))
    figure = style.new("middle", 2.8, theme)
    axes = figure.subplots()
    at = np.arange(len(cosine))
    axes.fill_between(at, low, high, color=theme.null, alpha=0.3, linewidth=0, label="best of random directions, 95 %")
    axes.plot(at, cosine, ".", color=theme.ink, markersize=3.5, label="best match in the other dictionary")
    beyond = int(table["cosine_shown"].sum())
    axes.set_title("Each latent's best match in a second dictionary")
    axes.set_xlabel("latents, by how well they recur")
    axes.set_ylabel("cosine")
    axes.set_ylim(min(0.0, float(np.nan_to_num(low).min(initial=0))), 1.03)
    axes.grid(True, axis="y")
    axes.legend(loc="lower left")
    figure.alt = (
        f"Cosine of each of {len(cosine)} decoder directions with its best match in a second dictionary; {beyond} lie beyond the grey "
        "band of random directions."
    )
    return figure
