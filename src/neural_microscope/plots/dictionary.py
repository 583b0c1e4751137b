"""Plots of a learned dictionary: its latents, their density, their stability, and their controls."""

from __future__ import annotations

from collections.abc import Sequence

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
    theme: Theme,
) -> Plot:
    """Latents, each with its decoder picture (if given) and its top-activating images, strongest first.

    Args:
        images: Images [example, row, col] or [example, row, col, 3], 0..255.
        order: Numbers of images [latent, rank], -1 for none: the result of `analysis.selectivity.top_examples` of
            ``encode(…).rename(latent="unit")``.
        pictures: Pictures [latent, row, col] from `analysis.dictionary.decoder_pictures`, each on a scale of its own,
            symmetric about 0; None: not drawn.
        latents: Numbers of the latents; None: the first 16.

    >>> sae = nm.analysis.dictionary.random_sae(acts[-1], n_latents=8, k=2)
    >>> latents = nm.analysis.dictionary.encode(sae, acts[-1])
    >>> order = nm.analysis.selectivity.top_examples(latents.rename(latent="unit"), n=3)
    >>> nm.plots.dictionary(run.probe.images, order).alt
    'For 8 latents the 3 top-activating images.'
    """
    latents, ranks = list(range(min(16, len(order))) if latents is None else latents), order.shape[1]
    rows, columns = -(-len(latents) // 2), min(2, len(latents))
    height = 0.45 + rows * 6.73 / (columns * (ranks + 2))
    figure, panels = style.new("wide", height, theme, columns=columns)
    for column, axes in enumerate(panels):
        shown = latents[column * rows : (column + 1) * rows]
        sheet = forms.mosaic(forms.chosen_images(images, order.values[shown]), ranks, theme.digit_map, (0, 1), theme)
        if pictures is not None:
            peak = np.abs(pictures[shown]).max((1, 2), keepdims=True)
            scaled = pictures[shown] / np.where(peak > 0, peak, 1)
            beside = np.broadcast_to(theme.digit_map(0), (len(sheet), 3, 4))
            sheet = np.hstack([forms.mosaic(scaled, 1, theme.signed_map, (-1, 1), theme), beside, sheet])
        axes.imshow(sheet)
        forms.quiet(axes)
        forms.name_rows(axes, [str(n) for n in shown], images.shape[1])
    first = "direction in pixels, then the " if pictures is not None else ""
    also = ", and the pixels its direction adds (orange) or removes (blue)" if pictures is not None else ""
    return figure.says(
        f"For {len(latents)} latents the {ranks} top-activating images{also}.",
        title=f"Latents: {first}top-activating images",
    )


@draws
def latent_density(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Histogram of the latents' density, the share of examples in which each is active, on a log axis.

    Args:
        table: Result of `analysis.dictionary.evaluate_sae`.

    >>> sae = nm.analysis.dictionary.random_sae(acts[-1], n_latents=8, k=2)
    >>> nm.plots.latent_density(nm.analysis.dictionary.evaluate_sae(sae, acts[-1], draws=2)).alt
    'Histogram of how often 8 latents fire; ...'
    """
    density = table["density"].values
    alive = density[density > 0]
    figure, (axes,) = style.new("middle", 2.6, theme)
    lowest = min(np.floor(np.log10(alive.min())), -1.0) if len(alive) else -3.0
    axes.hist(alive, np.logspace(lowest, 0, 31).tolist(), color=theme.amount, edgecolor=theme.paper, linewidth=0.4)
    axes.set_xscale("log")
    mean = float(table["l0"]) / len(density)
    axes.axvline(mean, color=theme.null, linewidth=1.2, label=f"mean: {style.told(100 * mean)}%")
    axes.legend(loc="upper right")
    ticks = [10.0**k for k in range(int(lowest), 1)]
    axes.set_xticks(ticks, [f"{100 * tick:g}%" for tick in ticks])
    axes.set(
        title="How often each latent fires",
        xlabel="share of examples in which a latent is active",
        ylabel="latents that ever fire",
    )
    return figure.says(f"Histogram of how often {len(density)} latents fire; {len(density) - len(alive)} never do.")


@draws
def dictionary_controls(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Class AUC of single elements in four bases, and the share of activation on their class, with intervals.

    Gray bands: the same with shuffled labels. Two measures side by side, because sparse elements score low on the first
    and high on the second by being sparse: the comparison is with the random dictionary, which is as sparse.

    Args:
        table: Result of `analysis.dictionary.purity`.

    >>> sae = nm.analysis.dictionary.random_sae(acts[-1], n_latents=8, k=2)
    >>> nm.plots.dictionary_controls(nm.analysis.dictionary.purity(sae, acts[-1], draws=5, resamples=5)).alt
    "Mean AUC and share of activation on the chosen class, held out, of units, ..."
    """
    figure, panels = style.new("wide", 2.6, theme, columns=2, sharey=True)
    words = {"auc": "mean AUC (0.5: no preference)", "share": "share of activation on its class"}
    names = [WORDS.get(basis, basis) for basis in table["basis"].values.astype(str)]
    for axes, (name, label) in zip(panels, words.items(), strict=True):
        forms.rows(axes, table, name, names, null="shuffled labels, 95%")
        random = float(table[name].sel(basis="random"))
        axes.axvline(random, color=theme.null, linewidth=0.8, linestyle=":", label="a random dictionary, as sparse")
        axes.set_xlabel(label)
    forms.legend_below(figure, panels[0])
    return figure.says(
        "Mean AUC and share of activation on the chosen class, held out, of units, principal components, the dictionary's latents and "
        "a random dictionary's, with intervals; gray bands: shuffled labels; dotted line: the random dictionary."
    )


@draws
def stability(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Cosine of each latent with its best match in another seed's dictionary, descending.

    The gray band is the best match of each among as many random directions.

    Args:
        table: Result of `analysis.dictionary.stability`.

    >>> one, other = (nm.analysis.dictionary.random_sae(acts[-1], n_latents=8, k=2, seed=seed) for seed in (0, 1))
    >>> nm.plots.stability(nm.analysis.dictionary.stability(one, other, draws=19)).alt
    'Cosine of each of 8 decoder directions with its best match in a second dictionary...'
    """
    figure, (axes,) = style.new("middle", 2.8, theme)
    forms.units(
        axes,
        table,
        "cosine",
        level=None,
        null="best of random directions, 95%",
        title="Each latent's best match in a second dictionary",
        xlabel="latents, largest first",
        ylabel="cosine",
        ylim=(min(0.0, float(table["cosine_null_low"].fillna(0).min())), 1.03),
    )
    axes.grid(True, axis="y")
    axes.legend(loc="lower left")
    return figure.says(
        f"Cosine of each of {table['cosine'].size} decoder directions with its best match in a second dictionary, largest first, over a "
        "gray band of random directions."
    )
