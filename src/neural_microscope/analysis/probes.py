"""Linear probes: accuracy of a label's linear readout, by layer and step, with control labels and the untrained network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import named
from ..errors import DataError
from ..measure import measure, of
from ..statistics import beside, bootstrap_mean, canonical_order, halves, shuffles

ITERATIONS = 10_000
"""Enough for the solver to converge on standardized activations; a few dozen are used."""


@measure(
    "probes",
    title="Linear probe",
    null="{draws} shuffles of the judging half's labels; {controls} random labels for each image; the first snapshot, for the gain",
    replicates="image",
    interval="95% bootstrap over judging images, probes held fixed; one network",
    source="Alain & Bengio 2016; Hewitt & Liang 2019, one control label an image",
)
def linear_probe(
    acts: xr.DataArray, labels: Any = None, *, controls: int = 3, draws: int = 500, seed: int = 0
) -> xr.Dataset:
    """Held-out accuracy of a linear classifier of a layer's activations.

    Logistic regression with l2 penalty ``|w|^2 / 2`` added to the summed log-loss, on units standardized by the
    training half; one half of the examples (`statistics.halves`) trains, the other judges. Their order has no effect.
    Constant activations give the accuracy of always predicting the most frequent label.

    Hewitt & Liang (2019) give every word type a random label. Each image is its own type: its control label can be
    memorized but never generalizes, so control_test is near chance by construction. The control is informative in
    control_train: how much the probe can memorize from this layer.

    Args:
        acts: Activations [snapshot, example, unit], or without snapshots (channels, whole maps, logits too: flattened).
        labels: Categories [example], such as a class, a parity, a bin of ink; None: the coordinate ``label``.
        controls: Number of shuffles of all labels on which control probes are trained and judged.
        draws: Number of draws of the null (shuffles of the judging half's labels).
        seed: Seed of the null's draws, of the halves, of the controls and of the bootstrap.

    Returns:
        Accuracies 0..1 at each snapshot, or scalars. ``…_low``, ``…_high`` are a 95% bootstrap over judging images with
        the probes held fixed, which leaves out what other training images would change.

        * ``accuracy`` [snapshot]: on the judging half, with ``…_low``, ``…_high``; ``…_null_low``, ``…_null_high``,
          ``…_p``: the same predictions against the shuffled labels (exact where activations are independent of labels);
          ``…_q`` after false-discovery control over the snapshots, ``…_shown``.
        * ``accuracy_train`` [snapshot]: on the training half.
        * ``chance``: the share of the training half's most frequent label in the judging half.
        * ``control_train``, ``control_test`` [snapshot]: mean accuracy of the control probes over the same halves.
        * ``selectivity`` [snapshot] = accuracy - control_test, with ``…_low``, ``…_high``.
        * ``gain`` [snapshot] = accuracy - accuracy of the first snapshot given, with ``…_low``, ``…_high``: random
          features classify digits well, so the effect of training is the gain over the untrained network; the first
          snapshot should be step 0.

    Raises:
        DataError: Values that are not finite, labels that do not fit or are all equal.

    >>> table = nm.analysis.probes.linear_probe(acts[-1], controls=1, draws=20)
    >>> bool(table["accuracy"] > table["chance"])
    True
    """
    moments = [acts.isel(snapshot=i) for i in range(acts.sizes["snapshot"])] if "snapshot" in acts.dims else [acts]
    codes, flat = _codes(acts, labels), [named.flat(moment) for moment in moments]
    order = canonical_order(codes, flat[-1])  # so the order of the images has no effect
    codes = codes[order]
    train, judge = halves(codes, seed)
    if len(np.unique(codes[train])) < 2:
        raise DataError("the training half holds one label only; a probe needs two labels with two examples each")
    fakes = list(shuffles(codes, controls, seed))
    said = np.stack([_said(x[order], codes, train) for x in flat])  # [snapshot, example]
    control = np.stack([np.mean([_said(x[order], fake, train) == fake for fake in fakes], 0) for x in flat])
    right = (said == codes)[:, judge].astype(float)
    shuffled = np.stack(list(shuffles(codes[judge], draws, seed)))  # [draw, example]
    null = np.stack([(shuffled == answers).mean(1) for answers in said[:, judge]], 1)  # [draw, snapshot]
    found = {
        "accuracy_train": (said == codes)[:, train].mean(1),
        "control_train": control[:, train].mean(1),
        "control_test": control[:, judge].mean(1),
        **_with_interval("selectivity", right - control[:, judge], seed),
    }
    over_time = "snapshot" in acts.dims
    if over_time:
        found |= _with_interval("gain", right - right[0], seed)
    table = xr.Dataset(
        {
            **beside("accuracy", right.mean(1), null, "snapshot", interval=bootstrap_mean(right, seed=seed)),
            **{name: ("snapshot", column, {"units": "1"}) for name, column in found.items()},
            "chance": ((), float((codes[judge] == np.bincount(codes[train]).argmax()).mean()), {"units": "1"}),
        },
        attrs={"n_judged": len(judge)},
    )
    return (table if over_time else table.isel(snapshot=0)).assign_coords(named.kept(acts, "step", "epoch"))


@measure(
    "probes",
    title="Linear probes of all layers",
    null="as `linear_probe`; the first snapshot, paired, for the gain",
    replicates="image",
    interval="bootstrap over judging images",
    source="Alain & Bengio 2016; Hewitt & Liang 2019",
)
def probe_layers(
    layers: Mapping[str, xr.DataArray], labels: Any = None, *, snapshots: int = 6, **settings: Any
) -> xr.Dataset:
    """Held-out accuracy of a `linear_probe` of several layers of one network, at some of the snapshots.

    Args:
        layers: Activations by layer, of the same examples and snapshots.
        labels: Categories [example], such as a class, a parity, a bin of ink; None: the coordinate ``label``.
        snapshots: Number of snapshots, evenly spaced over those recorded, first (the untrained network) and last
            included.
        **settings: Settings of `linear_probe`.

    Returns:
        [layer, snapshot], the variables of `linear_probe`.

    Raises:
        DataError: No layers, or layers that differ in examples or snapshots; otherwise as `linear_probe`.

    >>> layers = {name: run.activations(name) for name in ("layers.0.hook_post", "layers.1.hook_post")}
    >>> nm.analysis.probes.probe_layers(layers, snapshots=2, controls=1, draws=20)["accuracy"].dims
    ('layer', 'snapshot')
    """
    if not layers:
        raise DataError("there are no layers; give {name: activations}")
    first = next(iter(layers.values()))
    for acts in layers.values():
        named.same_examples(first, acts)
        if acts.sizes.get("snapshot") != first.sizes.get("snapshot"):
            raise DataError("the layers were recorded at different steps; give the snapshots that they share")
    count = first.sizes.get("snapshot", 0)
    chosen = np.unique(np.linspace(0, count - 1, min(snapshots, count)).round().astype(int))
    tables = [
        linear_probe(acts.isel(snapshot=chosen) if count else acts, labels, **settings) for acts in layers.values()
    ]
    whole = xr.concat(tables, "layer", combine_attrs="drop_conflicts").assign_coords(layer=list(layers))
    return whole.assign(chance=tables[0]["chance"]).assign_attrs(hook_point=", ".join(layers))


def _codes(acts: xr.DataArray, labels: Any) -> np.ndarray:
    """The labels as whole numbers from 0, one for each example."""
    if labels is None:
        given = named.labels(acts)
    else:
        given = np.asarray(labels)
        if given.shape != (acts.sizes.get("example"),):
            raise DataError(f"labels have shape {given.shape}; there are {acts.sizes.get('example')} examples")
        if given.dtype.kind not in "iubU":
            raise DataError(
                f"labels are {given.dtype}; a probe needs categories: bin continuous values with numpy.digitize"
            )
    return np.unique(given, return_inverse=True)[1]


def _said(x: np.ndarray, codes: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Predictions for all examples of a probe fitted on the training half."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    said: np.ndarray = probe.fit(x[train], codes[train]).predict(x)
    return said


def _with_interval(name: str, values: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    low, high = bootstrap_mean(values, seed=seed)
    return {name: values.mean(-1), f"{name}_low": low, f"{name}_high": high}


_calibrated = partial(of(linear_probe).calibrated_on, controls=1, draws=99)


@_calibrated(
    "two Gaussian classes 2 standard deviations apart along one of 4 units",
    norm.cdf(1),
    0.025,
    empty="Gaussian noise with labels; alarm: q < 0.05 at the snapshot",
    read="accuracy",
    name="linear probe (held-out accuracy)",
)
def _labeled(seed: int, planted: bool) -> xr.DataArray:
    """The best rule for two Gaussians is correct with probability Phi(half their distance)."""
    return _planted(seed, 1.0, 4000, 1) if planted else _planted(seed, 0.0, 60, 1)


@_calibrated(
    "noise at the first snapshot, two Gaussian classes at the last",
    norm.cdf(1) - 0.5,
    0.045,
    empty="Gaussian noise at both; alarm: the gain's interval excludes 0",
    read=lambda found: found["gain"][-1],
    alarm=lambda found: found["gain_low"][-1] > 0 or found["gain_high"][-1] < 0,
    name="linear probe (gain over the first snapshot)",
)
def _learned(seed: int, planted: bool) -> xr.DataArray:
    return _planted(seed, 1.0, 4000, 2) if planted else _planted(seed, 0.0, 100, 2)


def _planted(seed: int, apart: float, examples: int, snapshots: int) -> xr.DataArray:
    """Standard normal activations of 4 units at some snapshots; at the last, two classes ``2 * apart`` apart in unit 0."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % 2
    values = rng.standard_normal((snapshots, examples, 4))
    values[-1, :, 0] += apart * (2 * labels - 1)
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords={"label": ("example", labels)})
