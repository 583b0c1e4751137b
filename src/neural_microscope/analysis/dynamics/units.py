"""Unit activity over training: how often and how strongly units fire, and which fall silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...wording import goes

LOW, HIGH = 0.01, 0.99
"""Below LOW a unit has ultra-low density, above HIGH it is always on."""
SATURATED = 0.99
"""Above this magnitude a tanh or a sigmoid passes almost no gradient."""


@measure(
    "dynamics",
    title="Unit activity",
    null="none: a count, shown with the untrained network's at step 0",
    replicates="image",
    interval="none",
    source="dead: max a = 0 over the examples (docs/glossary.md)",
    place=80,
)
def activity(acts: xr.DataArray) -> xr.Dataset:
    """Activity of each unit over the examples, at each snapshot if there are any.

    Args:
        acts: Activations [snapshot, example, unit], or without snapshots. For channels, the maximum of each map
            (``run.activations(name, "max")``): it is on where any position is.

    Returns:
        Values [snapshot, unit].

        * ``density``: share of examples on which the unit is above 0 (0..1).
        * ``mean``, ``spread`` (standard deviation) and ``highest`` activation.
        * ``dead``: never above 0 on these examples; ``low``: alive, but above 0 on less than 1% of them; ``always_on``:
          above 0 on more than 99%.
        * ``saturated``: share of examples with ``|a| > 0.99``, which means saturation for a tanh or a sigmoid only, not
          for a ReLU.

    Raises:
        DataError: Values that are not finite.

    >>> table = nm.analysis.dynamics.activity(acts)
    >>> bool((table["dead"] == (table["density"] == 0)).all())
    True
    """
    unit_axis(acts.dims)
    _values(acts)
    on = (acts > 0).mean("example")
    highest = acts.max("example")
    return xr.Dataset(
        {
            "density": on.assign_attrs(units="1", long_name="share of examples above 0"),
            "mean": acts.mean("example").assign_attrs(units="1"),
            "spread": acts.std("example").assign_attrs(units="1"),
            "highest": highest.assign_attrs(units="1"),
            "dead": highest <= 0,
            "low": (on > 0) & (on < LOW),
            "always_on": on > HIGH,
            "saturated": (abs(acts) > SATURATED).mean("example").assign_attrs(units="1"),
        }
    )


@measure(
    "dynamics",
    title="Units that die and revive",
    null="none: a count on the examples given",
    replicates="image",
    interval="95% upper end of the share of images on which a silent unit could still fire (Clopper and Pearson)",
    source="dead: max a = 0 over the examples; Clopper & Pearson 1934",
    place=100,
)
def lives(acts: xr.DataArray) -> xr.Dataset:
    """The steps at which each unit first fires and falls silent permanently.

    All in snapshots: changes between two of them are not seen. Dead means "silent on these examples".

    Args:
        acts: Activations [snapshot, example, unit] with ``step``. For channels, the maximum of each map
            (``run.activations(name, "max")``), as in `activity`.

    Returns:
        Values for each unit. The attribute ``silent_below`` is the 95% upper end (Clopper & Pearson 1934) of the share
        of all such images that could still make a silent unit fire, 1 - 0.05 ** (1 / n).

        * ``alive`` [snapshot, unit]: above 0 on at least one example.
        * ``born_at`` [unit]: the step of the first snapshot at which it is alive; NaN for never.
        * ``died_at`` [unit]: the step from which it stays silent to the end; NaN where it is alive at the end, or never
          was.
        * ``deaths``, ``revivals`` [unit]: the number of times it fell silent, and fired again, between two snapshots.

    Raises:
        DataError: No snapshots with steps, or values that are not finite.

    >>> table = nm.analysis.dynamics.lives(acts)
    >>> bool((table["born_at"].notnull() == table["alive"].any("snapshot")).all())
    True
    """
    axis = unit_axis(acts.dims)
    steps = _steps(acts)
    alive = named.values(acts, "snapshot", "example", axis).max(1) > 0
    ever, last = alive.any(0), alive[-1]
    born = steps[alive.argmax(0)]
    died = steps[(len(alive) - alive[::-1].argmax(0)) % len(alive)]  # the snapshot after the last one alive
    turned_on = (alive[1:] & ~alive[:-1]).sum(0)
    found = {
        "born_at": (axis, np.where(ever, born, np.nan), {"units": "optimizer step"}),
        "died_at": (axis, np.where(ever & ~last, died, np.nan), {"units": "optimizer step"}),
        "deaths": (axis, (alive[:-1] & ~alive[1:]).sum(0), {"units": "1"}),
        "revivals": (axis, turned_on - (ever & ~alive[0]), {"units": "1"}),
    }
    return xr.Dataset(
        {"alive": (("snapshot", axis), alive), **found},
        coords=named.kept(acts, "step", "epoch"),
        attrs={"silent_below": 1 - 0.05 ** (1 / acts.sizes["example"])},
    )


@measure(
    "dynamics",
    title="Activation histograms",
    null="none: a description, shown with the untrained network's at step 0",
    replicates="image",
    interval="none",
    source="shares of the activations in bins of equal width",
    place=90,
)
def histograms(acts: xr.DataArray, *, bins: int = 60, limits: tuple[float, float] | None = None) -> xr.Dataset:
    """Histogram of all activations of a layer at each snapshot, on common bins.

    Args:
        acts: Activations [snapshot, example, unit], or without snapshots.
        bins: Number of bins of equal width.
        limits: (lowest, highest) end of the bins; None: the 0.1 and 99.9 percentiles over all snapshots.

    Returns:
        Shares of the activations; ``center`` is the coordinate of ``bin``. All-equal activations get one bin's width of
        1.

        * ``share`` [snapshot, bin], which sums to 1 together with ``outside`` [snapshot], the share beyond the limits.
        * ``zero`` [snapshot]: the share that is exactly 0.
        * ``spread`` [snapshot]: the standard deviation of the activations.

    Raises:
        DataError: Values that are not finite.

    >>> table = nm.analysis.dynamics.histograms(acts, bins=20)
    >>> np.allclose(table["share"].sum("bin") + table["outside"], 1)
    True
    """
    flat = _values(acts).reshape(acts.sizes.get("snapshot", 1), -1)
    low, high = np.percentile(flat, (0.1, 99.9)) if limits is None else limits
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    share = np.stack([np.histogram(values, edges)[0] for values in flat]) / flat.shape[1]
    found = {
        "share": (("snapshot", "bin"), share),
        "outside": ("snapshot", 1 - share.sum(1)),
        "zero": ("snapshot", (flat == 0).mean(1)),
        "spread": ("snapshot", flat.std(1)),
    }
    return xr.Dataset(
        {name: (*value, {"units": "1"}) for name, value in found.items()},
        coords={"center": ("bin", (edges[:-1] + edges[1:]) / 2), **named.kept(acts, "step", "epoch")},
    )


def _values(acts: xr.DataArray) -> np.ndarray:
    """[snapshot, example, …], or [example, …] if there is one snapshot only; checked."""
    rest = [str(dim) for dim in acts.dims if dim not in ("snapshot", "example")]
    return named.values(acts, *(["snapshot"] if "snapshot" in acts.dims else []), "example", *rest)


def _steps(acts: xr.DataArray) -> np.ndarray:
    if "step" not in acts.coords or "snapshot" not in acts.dims:
        raise DataError(
            "lives needs the axis 'snapshot' with the coordinate 'step'; take the activations from a run: "
            "run.activations(name)"
        )
    return acts["step"].values


# On a page.


@of(activity).on("layer")
def _asked_peaks(at: Any) -> xr.Dataset:
    return activity(at.peaks)  # for a channel the maximum of its map: active if any position is


@of(activity).on("layer", "mean")
def _asked_means(at: Any) -> xr.Dataset:
    return activity(at.acts)


@of(activity).describe("layer")
def _dead(at: Any) -> Iterator[Claim]:
    table = at["dynamics.activity"]
    states = {state: table[state].transpose("snapshot", ...).values.sum(1) for state in ("dead", "always_on")}
    yield say(
        "dead and always-on units",
        f"{{dead:,}} of {{size:#{at.axis}}} {{dead:is|are}} dead: above 0 for no probe image (at initialization {{dead_start:,}}); "
        "{always_on:,} {always_on:is|are} always on (at initialization {always_on_start:,}).",
        size=at.size,
        **{state: int(counts[-1]) for state, counts in states.items()},
        **{f"{state}_start": int(counts[0]) for state, counts in states.items()},
    )


of(activity).picture(
    "unit_states",
    "Always on: above 0 for almost every image; dead: for none. A channel is on if any position of its map is.",
    scope="network",
)
of(activity).picture(
    "activity_over_time",
    "Mean activation; each row a unit, each column a snapshot. For a channel, the mean over its map.",
    scope="network",
    takes=lambda at: {"activities": {one.hook_point: one["dynamics.activity/mean"] for one in at.layers} or None},
)


@of(lives).on("layer")
def _asked_lives(at: Any) -> xr.Dataset:
    return lives(at.peaks)


@of(lives).describe("layer")
def _silent(at: Any) -> Iterator[Claim]:
    alive = at["dynamics.lives"]["alive"].transpose("snapshot", ...).values
    silent = ~alive.all(0)
    yield say(
        "units that fall silent",
        f"{{silent:,}} of {{size:#{at.axis}}} {{silent:is|are}} silent at some snapshot; at the last, {{active:,}} of these "
        "{active:is|are} active and {still:,} silent ({never:,} at every snapshot)."
        if silent.any()
        else f"no {at.axis} is silent at any snapshot.",
        silent=int(silent.sum()),
        size=at.size,
        active=int((silent & alive[-1]).sum()),
        still=int((~alive[-1]).sum()),
        never=int((~alive.any(0)).sum()),
    )


def _ever_silent(at: Any) -> dict[str, Any]:
    tables = {one.hook_point: one["dynamics.lives"] for one in at.layers}
    return {"tables": tables if any((~t["alive"]).any() for t in tables.values()) else None}


of(lives).picture(
    "unit_lives",
    "Only units that are silent (above 0 for no image) at some snapshot.",
    scope="network",
    more=True,
    takes=_ever_silent,
)


@of(histograms).on("layer")
def _asked_histograms(at: Any) -> xr.Dataset:
    before = at.hook_point.replace("hook_post", "hook_pre")
    return histograms(at.run.activations(before if before in at.run.hook_points else at.hook_point))


@of(histograms).describe("layer")
def _spread(at: Any) -> Iterator[Claim]:
    went, ends = goes(at["dynamics.histograms"]["spread"].values)
    yield say(
        "the spread of pre-activations",
        f"the standard deviation of pre-activations {went}.",
        **ends,
    )


of(histograms).picture(
    "histograms_over_time",
    "Each column is the histogram of one snapshot, over all images and units. The line marks 0, below which a ReLU outputs 0.",
    scope="network",
    takes=lambda at: {
        "tables": {one["dynamics.histograms"].attrs["hook_point"]: one["dynamics.histograms"] for one in at.layers}
        or None
    },
)


# Phantoms.

STEPS = np.array([0, 1, 4, 16, 64])


def _layer(seed: int, *, density: float = 1.0, died: int = len(STEPS)) -> xr.DataArray:
    """Three units that always fire, and one that fires on a share of the examples and falls silent at a snapshot."""
    values = np.random.default_rng(seed).exponential(size=(len(STEPS), 100, 4)) + 0.1
    values[:, round(density * 100) :, 3] = 0
    values[died:, :, 3] = 0
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords={"step": ("snapshot", STEPS)})


@of(activity).calibrated_on(
    "a unit that fires on 37 of 100 images",
    0.37,
    1e-6,
    empty="all units fire on all images; alarm: a unit is not always on",
    name="activation density",
    read=lambda found: found["density"][0, 3],
    alarm=lambda found: (found["dead"] | found["low"] | ~found["always_on"]).any(),
)
@of(histograms).calibrated_on(
    "one unit of four is 0 on 63 of 100 images",
    0.63 / 4,
    1e-12,
    empty="no activation is 0; alarm: a zero is found",
    name="share of zeros",
    read="zero",
    alarm="zero",
)
def _sometimes(seed: int, planted: bool) -> xr.DataArray:
    return _layer(seed, density=0.37 if planted else 1.0)


@of(lives).calibrated_on(
    "a unit that falls silent at step 16",
    16,
    0,
    empty="all units fire at all snapshots; alarm: a birth, death or revival",
    name="death of a unit",
    unit="step",
    read=lambda found: found["died_at"][3],
    alarm=lambda found: (found["deaths"] + found["revivals"] > 0).any() or (found["born_at"] != STEPS[0]).any(),
)
def _dying(seed: int, planted: bool) -> xr.DataArray:
    return _layer(seed, died=3 if planted else len(STEPS))
