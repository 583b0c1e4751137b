"""Pictures of linear probes: what can be read off each layer, over training, beside what chance would give."""

from __future__ import annotations

from typing import Any

import xarray as xr

from . import forms, style
from .style import Plot, Theme, draws


@draws
def probes(table: xr.Dataset, *, label: str = "class", theme: Theme) -> Plot:
    """Accuracy of a probe of each layer (panels) over training, with its interval: `analysis.probes.probe_layers`.

    The gray band is what shuffled labels give; the gray line across, the untrained network at step 0; the dashed line, how
    well a probe of this layer memorizes random labels. ``label``: what was probed, in words.
    """
    table = table if "layer" in table.dims else table.expand_dims(layer=[table.attrs.get("hook_point", "")])
    table = table if "snapshot" in table.dims else table.expand_dims("snapshot")
    table = table if "step" in table.coords else table.assign_coords(step=("snapshot", range(table.sizes["snapshot"])))
    figure = style.new("wide", 2.9, theme)
    panels = figure.subplots(1, table.sizes["layer"], sharey=True, squeeze=False)[0]
    for number, axes in enumerate(panels):
        one = table.isel(layer=number)
        steps, accuracy = one["step"].values, one["accuracy"].values
        if len(steps) > 1 and steps[0] == 0:
            axes.axhline(100 * accuracy[0], color=theme.null, linewidth=1, label="untrained network")
        memorized = {"color": theme.quiet, "linewidth": 1, "label": "random labels, training images"}
        axes.plot(steps, 100 * one["control_train"].values, "--", **memorized)
        words: dict[str, Any] = {"label": "held-out images, 95%", "null": "shuffled labels, 95%"}
        forms.curve(axes, steps, one, "accuracy", factor=100, marker="o", **words)
        forms.step_axis(axes, max(float(steps[-1]), 1))
        change = f"{style.share(accuracy[0])} → " if len(accuracy) > 1 else ""
        title = f"{style.short(str(one['layer'].values))}: {change}{style.share(accuracy[-1])}"
        axes.set(title=title, xlabel="optimizer step", ylim=(0, 102))
        axes.grid(True, axis="y")
    panels[0].set_ylabel(f"{label}: a linear probe's accuracy (%)")
    forms.legend_below(figure, panels[0])
    figure.alt = (
        f"Share of held-out images whose {label} a linear probe of {', '.join(map(str, table['layer'].values))} classifies correctly, "
        "over training; gray: what shuffled labels give, and the untrained network; dashed: random labels, memorized."
    )
    return figure
