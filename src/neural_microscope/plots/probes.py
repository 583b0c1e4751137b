"""Pictures of linear probes: what can be read off each layer, over training, beside what chance would give."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from . import style
from .style import Look, Plot, draws


@draws
def probes(table: xr.Dataset, *, label: str = "class", look: Look) -> Plot:
    """Accuracy of a probe of each layer (panels) over training, with its interval: `analysis.probes.probe_layers`.

    The grey band is what shuffled labels give; the grey line across, the untrained network at step 0; the dashed line, how
    well a probe of this layer learns random labels by heart. ``label``: what was probed, in words.
    """
    table = table if "layer" in table.dims else table.expand_dims(layer=[table.attrs.get("hook_point", "")])
    table = table if "snapshot" in table.dims else table.expand_dims("snapshot")
    figure = style.new("wide", 2.9, look)
    panels = figure.subplots(1, table.sizes["layer"], sharey=True, squeeze=False)[0]
    for axes, number in zip(panels, range(table.sizes["layer"]), strict=True):
        one = table.isel(layer=number)
        _panel(axes, one, look)
        accuracy, name = (
            one["accuracy"].values,
            str(one["layer"].values).removesuffix(".hook_post").removesuffix(".hook_out"),
        )
        change = f"{style.share(accuracy[0])} → " if len(accuracy) > 1 else ""
        axes.set_title(f"{name}: {change}{style.share(accuracy[-1])}")
    panels[0].set_ylabel(f"{label} read rightly by a linear probe (%)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=7.5)
    figure.alt = (
        f"Share of held-out images whose {label} a linear probe of {', '.join(map(str, table['layer'].values))} reads rightly, "
        "over training; grey: what shuffled labels give, and the untrained network; dashed: random labels learnt by heart."
    )
    return figure


def _panel(axes: Axes, one: xr.Dataset, look: Look) -> None:
    steps = one["step"].values if "step" in one.coords else range(one.sizes["snapshot"])
    values = {name: 100 * one[name].values for name in one.data_vars if one[name].dims == ("snapshot",)}
    band: dict[str, Any] = {"color": look.null, "alpha": 0.3, "linewidth": 0, "label": "shuffled labels, 95 %"}
    axes.fill_between(steps, values["accuracy_null_low"], values["accuracy_null_high"], **band)
    if len(steps) > 1 and steps[0] == 0:
        axes.axhline(values["accuracy"][0], color=look.null, linewidth=1, label="untrained network")
    axes.plot(
        steps, values["control_train"], "--", color=look.quiet, linewidth=1, label="random labels, learnt by heart"
    )
    style.intervals(axes, steps, values["accuracy_low"], values["accuracy_high"], color=look.ink, linewidth=0.7)
    axes.plot(steps, values["accuracy"], "o-", color=look.ink, markersize=3, label="held-out images, 95 %")
    style.step_axis(axes, max(float(steps[-1]), 1))
    axes.set_xlabel("optimiser step")
    axes.set_ylim(0, 102)
    axes.grid(True, axis="y")
