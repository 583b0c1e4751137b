"""How activity changes while a network learns: how often units fire, how strongly, and which fell silent."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..axes import unit_axis

LOW, HIGH = 0.01, 0.99
"""Below LOW a unit has ultra-low density, above HIGH it is always on."""


def learning_curve(training: xr.Dataset, log: xr.Dataset, per_octave: int = 4) -> xr.Dataset:
    """Loss and share of errors while learning, of a run's ``training`` and ``log``.

    ``train_loss``, ``train_error`` [bin]: means over log-spaced stretches of steps (coordinate ``at``: their
    geometric middle), of batches as they were trained on, before each update. ``test_loss``, ``test_error``
    [snapshot]: on all test images. Errors are shares, 0..1.
    """
    steps = training["step"].values
    place = np.floor(np.log2(np.maximum(steps, 1)) * per_octave).astype(int)
    place = np.unique(place, return_inverse=True)[1]
    counts = np.bincount(place)
    means = {
        "train_loss": np.bincount(place, training["loss"].values) / counts,
        "train_error": 1 - np.bincount(place, training["accuracy"].values) / counts,
    }
    middle = np.exp(np.bincount(place, np.log(np.maximum(steps, 1))) / counts)
    return xr.Dataset(
        {
            **{name: ("bin", values) for name, values in means.items()},
            "test_loss": log["test_loss"],
            "test_error": 1 - log["test_accuracy"],
        },
        coords={"at": ("bin", middle)},
    )


def activity(acts: xr.DataArray) -> xr.Dataset:
    """How each unit behaves over the examples, at each snapshot if there are any: [snapshot, unit].

    ``density`` share of examples on which it is above 0 (0..1); ``mean``, ``spread`` (standard deviation) and
    ``highest`` activation; ``dead``: never above 0 on these examples; ``low``: alive, but above 0 on less than 1 % of
    them; ``always_on``: above 0 on more than 99 %. Of a channel's map give its maximum (``run.activations(name,
    "max")``): it is on where any position is.
    """
    unit_axis(acts.dims)
    on = (acts > 0).mean("example")
    return xr.Dataset(
        {
            "density": on.assign_attrs(units="1", long_name="share of examples above 0"),
            "mean": acts.mean("example").assign_attrs(units="1"),
            "spread": acts.std("example").assign_attrs(units="1"),
            "highest": acts.max("example").assign_attrs(units="1"),
            "dead": acts.max("example") <= 0,
            "low": (on > 0) & (on < LOW),
            "always_on": on > HIGH,
        },
        attrs={
            "n_examples": acts.sizes["example"],
            "hook_point": acts.name or "",
            "source": "definitions: docs/glossary.md",
        },
    )


def histograms(acts: xr.DataArray, bins: int = 60, limits: tuple[float, float] | None = None) -> xr.Dataset:
    """Histogram of all activations of a layer at each snapshot, on common bins: ``share`` [snapshot, bin], sums to 1
    with what lies outside.

    ``limits``: the ends of the bins; by default the 0.1 and 99.9 percentiles over all snapshots. ``outside``
    [snapshot]: the share beyond them. ``zero`` [snapshot]: the share that is exactly 0; ``spread`` [snapshot]: the
    standard deviation. ``centre`` is the coordinate of ``bin``. All-equal activations get one bin's width of 1.
    """
    acts = acts if "snapshot" in acts.dims else acts.expand_dims("snapshot")
    flat = acts.transpose("snapshot", ...).values.reshape(acts.sizes["snapshot"], -1)
    low, high = np.percentile(flat, (0.1, 99.9)) if limits is None else limits
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    share = np.stack([np.histogram(values, edges)[0] for values in flat]) / flat.shape[1]
    return xr.Dataset(
        {
            "share": (("snapshot", "bin"), share),
            "outside": ("snapshot", 1 - share.sum(1)),
            "zero": ("snapshot", (flat == 0).mean(1)),
            "spread": ("snapshot", flat.std(1)),
        },
        coords={"centre": ("bin", (edges[:-1] + edges[1:]) / 2), **_snapshot_coords(acts)},
        attrs={"n_values": flat.shape[1], "hook_point": acts.name or ""},
    )


def _snapshot_coords(acts: xr.DataArray) -> dict[str, xr.DataArray]:
    return {name: acts[name] for name in ("step", "epoch") if name in acts.coords}
