"""Intervals of AUC and selectivity hold what they promise, and their tests raise no more false alarms than they say."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neural_microscope.analysis import selectivity
from neural_microscope.analysis.selectivity import judging
from neural_microscope.analysis.selectivity.classes import index
from neural_microscope.analysis.selectivity.preference import CORRELATED, Preference

PLANTED = {"noise": (1, 1), "stronger": (3, 1), "oftener": (1, 3), "both": (4, 10)}
"""The factors by which a unit responds more strongly, and more often, to its class."""


def layer(n: int, classes: int, density: float, kind: str, units: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(activations [example, unit], labels): exponential where a unit fires at all; its class is the middle one."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % classes
    strength, often = (np.where(labels == classes // 2, more, 1)[:, None] for more in PLANTED[kind])
    fires = rng.random((n, units)) < np.minimum(density * often, 0.95 if often.max() > 1 else 1)
    return np.where(fires, rng.exponential(1, (n, units)) * strength, 0), labels


def coverage(n: int, classes: int, density: float, kind: str, units: int, seed: int = 0) -> dict[str, float]:
    """The share of units whose interval holds the truth of the classes that the halves chose, each for the other."""
    x, labels = layer(n, classes, density, kind, units, seed)
    acts = xr.DataArray(x, dims=("example", "unit"), coords={"label": ("example", labels)})
    found = Preference.of(*judging.examples(acts), seed)
    many, of_many = layer(200_000 // classes * classes, classes, density, kind, 1, seed + 1)
    ranks, own = stats.rankdata(many[:, 0]), classes // 2
    means, aucs = np.empty(classes), np.empty(classes)
    for label in range(classes):
        mine = of_many == label
        means[label] = many[mine].mean()
        aucs[label] = (ranks[mine].mean() - (mine.sum() + 1) / 2) / (~mine).sum()
    for truth in (means, aucs):  # classes made alike are alike
        others = np.arange(classes) != own if kind != "noise" else np.full(classes, True)
        truth[others] = truth[others].mean()
    chosen = [side.chosen for side in found.sides]
    best = np.mean([means[c] for c in chosen], 0)
    rest = np.mean([(means.sum() - means[c]) / (classes - 1) for c in chosen], 0)
    truths = {"auc": np.mean([aucs[c] for c in chosen], 0), "selectivity": index(best, rest)}
    kept = ~found.few & ~judging.gated(x)
    ends = found.intervals()
    return {
        name: float(np.mean(((ends[name][0] <= truth) & (truth <= ends[name][1]))[kept]))
        for name, truth in truths.items()
    }


def within(share: float, n: int, most: float = 0.97) -> bool:
    """True if 0.93 to ``most`` can be the true coverage of n intervals, at 99.9%."""
    return bool(stats.binom.ppf(0.001, n, 0.93) / n <= share <= stats.binom.ppf(0.999, n, most) / n)


@pytest.mark.parametrize(
    ("n", "density", "kind"), [(200, 1.0, "noise"), (400, 0.15, "noise"), (400, 0.5, "both"), (400, 1.0, "stronger")]
)
def test_intervals_hold_the_truth_in_some_95_of_100_units(n: int, density: float, kind: str) -> None:
    for share in coverage(n, 10, density, kind, 600).values():
        assert within(share, 600)


SIZES = [(40, 4), (40, 2), (100, 10), (200, 10), (400, 10), (1000, 10), (400, 2)]
CASES = [
    (n, classes, density, kind)
    for (n, classes), density, kind in product(SIZES, [0.03, 0.06, 0.15, 0.5, 1.0], PLANTED)
    if n * density >= 20 and (kind, density) != ("oftener", 1.0)
]
"""Those with 20 active images, and something planted: units that are always active can't be so oftener."""


@pytest.mark.slow
@pytest.mark.parametrize(("n", "classes", "density", "kind"), CASES)
def test_intervals_hold_the_truth_at_every_density(n: int, classes: int, density: float, kind: str) -> None:
    """Never less than 0.93; with 10 or 20 images of a class, or where classes hardly differ, they are wide: up to 0.995."""
    clear = n >= 400 and kind in ("noise", "both")
    for share in coverage(n, classes, density, kind, 1500).values():
        assert within(share, 1500, 0.98 if clear else 0.995)


@pytest.mark.parametrize("density", [0.02, 0.06, 0.3, 1.0])
def test_the_combined_test_of_both_halves_raises_as_many_false_alarms_as_it_says(density: float) -> None:
    x, labels = layer(1000, 10, density, "noise", 1000, 3)
    acts = xr.DataArray(x[None], dims=("snapshot", "example", "unit"), coords={"label": ("example", labels)})
    p = selectivity.over_time(acts)["auc_p"].values[0]
    for level in (0.05, 0.01):
        assert np.nanmean(p <= level) <= stats.binom.ppf(0.999, 1000, level) / 1000
    assert np.nanmean(p <= 0.05) > 0.02


@pytest.mark.parametrize("planted", [1, 2, 8])
def test_units_that_prefer_a_class_are_found(planted: int) -> None:
    """Five times as strong for their class on 1,000 images: at least 80% of them, of 64."""
    found = []
    for seed in range(5):
        x, labels = layer(1000, 10, 0.7, "noise", 64, seed)
        x[:, :planted] *= 1 + 4 * (labels == 4)[:, None]
        acts = xr.DataArray(x, dims=("example", "unit"), coords={"label": ("example", labels)})
        found.append(selectivity.class_selectivity(acts, draws=200, seed=seed)["auc_shown"].values[:planted].mean())
    assert np.mean(found) >= 0.8


def test_the_limits_of_the_other_classes_mean_have_a_degree_of_freedom_less_than_they_have_active_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, labels = layer(400, 10, 0.15, "noise", 5, 0)
    found = Preference.of(x, labels, 0)
    asked: list[np.ndarray] = []
    width = Preference._width

    def spy(self: Preference, name: str, quantile: np.ndarray | float) -> np.ndarray:
        asked.append(np.asarray(quantile))
        return width(self, name, quantile)

    monkeypatch.setattr(Preference, "_width", spy)
    found.of_units(np.arange(5))._of_selectivity()
    active = ((x > 0) & ~found._mine).sum(0)
    np.testing.assert_allclose(asked[1], stats.t.ppf(0.975, active - 1))


def test_limits_are_wider_by_the_halves_correlation_where_no_class_stands_out() -> None:
    labels = np.arange(300) % 3
    wave = np.where(
        np.arange(300) // 3 % 2, 1.0, -1.0
    )  # of variance 1 in each class, so that a difference has one of 1 / 50
    apart = np.array([0, 1, 2, 3, 100])  # in standard errors
    units = wave[:, None] + (labels == 0)[:, None] * apart / np.sqrt(50) - 5 * (labels == 2)[:, None]
    widths = Preference.of(units, labels, 0)._width("auc", 1.0)
    together = np.minimum(1, np.exp(1 - apart.clip(max=40) ** 2 / 2))
    np.testing.assert_allclose(widths, np.sqrt(1 + CORRELATED["auc"] * together), rtol=0.01)
