"""Linear probes on layers with a planted label, and on layers where labels say nothing."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from ..analysis import probes
from .instrument import Instrument

APART = 1.0
"""Half the distance of the two classes, in standard deviations."""


def layer(seed: int, apart: float = 0.0, examples: int = 60, snapshots: int = 2) -> xr.DataArray:
    """Standard normal activations of 4 units at some snapshots; at the last, two classes ``2 * apart`` apart in unit 0."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % 2
    values = rng.standard_normal((snapshots, examples, 4))
    values[-1, :, 0] += apart * (2 * labels - 1)
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords={"label": ("example", labels)})


def probe(acts: xr.DataArray, seed: int) -> xr.Dataset:
    return probes.linear_probe(acts, controls=1, draws=99, seed=seed)


def _accuracy(seed: int) -> tuple[float, float]:
    """The best rule for two Gaussians is right with probability Phi(half their distance)."""
    table = probe(layer(seed, APART, 4000, 1), seed)
    return float(stats.norm.cdf(APART)), float(table["accuracy"][0])


def _gain(seed: int) -> tuple[float, float]:
    table = probe(layer(seed, APART, 4000), seed)
    return float(stats.norm.cdf(APART)) - 0.5, float(table["gain"][-1])


def claims_accuracy(acts: xr.DataArray, seed: int) -> bool:
    return bool((probe(acts, seed)["accuracy_q"] < 0.05).any())


def claims_gain(acts: xr.DataArray, seed: int) -> bool:
    table = probe(acts, seed)
    return bool((table["gain_low"][-1] > 0) | (table["gain_high"][-1] < 0))


INSTRUMENTS = [
    Instrument(
        name="linear probe (held-out accuracy)",
        measure="probes.linear_probe",
        planted="two Gaussian classes 2 standard deviations apart along one of 4 units",
        empty="Gaussian noise with labels; alarm: q < 0.05 at the snapshot",
        read=_accuracy,
        tolerance=0.025,
        alarm=lambda seed: claims_accuracy(layer(seed, snapshots=1), seed),
    ),
    Instrument(
        name="linear probe (gain over the first snapshot)",
        measure="probes.linear_probe",
        planted="noise at the first snapshot, two Gaussian classes at the last",
        empty="Gaussian noise at both; alarm: the gain's interval excludes 0",
        read=_gain,
        tolerance=0.045,
        alarm=lambda seed: claims_gain(layer(seed, examples=100), seed),
    ),
]
