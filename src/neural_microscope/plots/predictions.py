"""Pictures of what the network says."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator

from . import style
from .style import Look, Plot, draws


@draws
def confusion(table: xr.Dataset, *, look: Look) -> Plot:
    """Confusion matrix with its counts; the right answers are grey, so that the errors are seen:
    `analysis.predictions.confusion`.
    """
    counts = table["images"].values
    errors = counts.astype(float)
    np.fill_diagonal(errors, np.nan)
    figure = style.new("middle", 3.9, look)
    axes = figure.subplots()
    image = axes.imshow(errors, cmap=look.amount_map, vmin=0, vmax=max(1.0, float(np.nanmax(errors))))
    for (true, said), count in np.ndenumerate(counts):
        if count:
            strong = true != said and count > 0.6 * max(1.0, float(np.nanmax(errors)))
            axes.text(
                said, true, str(count), ha="center", va="center", fontsize=7.5, color=look.paper if strong else look.ink
            )
    classes = range(len(counts))
    axes.set_xticks(classes, [str(c) for c in classes])
    axes.set_yticks(classes, [str(c) for c in classes])
    axes.set_xlabel("what the network says")
    axes.set_ylabel("what it is")
    style.quiet(axes, ticks=True)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, label="images read wrongly")
    bar.locator = MaxNLocator(integer=True)
    bar.outline.set_visible(False)
    figure.alt = (
        f"Confusion matrix of {table.attrs['n_examples']} images, {table.attrs['n_right']} of them read rightly."
    )
    return figure
