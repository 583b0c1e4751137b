"""Layers in which units with a known preference are planted, and layers in which no unit prefers anything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import stats

from ..analysis import selectivity
from .instrument import Instrument

CLASSES, UNITS, DRAWS = 4, 4, 99
"""99 shuffles can tell one unit among four from chance: 1 / 100 is below 0.05 / 4."""


def layer(values: np.ndarray, classes: int = CLASSES) -> xr.DataArray:
    """Activations [snapshot, example, unit] with labels that go round."""
    dims = ("snapshot", "example", "unit")[-values.ndim :]
    labels = np.arange(values.shape[-2]) % classes
    coords: dict[str, tuple[str, np.ndarray]] = {"label": ("example", labels)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", np.arange(len(values)))
    return xr.DataArray(values, dims=dims, coords=coords, name="phantom")


def empty(seed: int, examples: int = 120) -> np.ndarray:
    """Exponential noise [example, unit], the same for all classes."""
    return np.random.default_rng(seed).exponential(1, (examples, UNITS))


def prefers(seed: int, by: float, examples: int = 8000) -> xr.DataArray:
    """The first unit's mean is 1 and, for class 2, 1 + ``by``; the others prefer nothing."""
    x = empty(seed, examples)
    x[np.arange(examples) % CLASSES == 2, 0] *= 1 + by
    return layer(x)


def table(acts: xr.DataArray, seed: int) -> xr.Dataset:
    """Class selectivity with few shuffles."""
    return selectivity.class_selectivity(acts, draws=DRAWS, seed=seed)


def _first(name: str, truth: float, by: float) -> Callable[[int], tuple[float, float]]:
    return lambda seed: (truth, float(table(prefers(seed, by), seed)[name][0]))


def claimed(acts: xr.DataArray, name: str, seed: int) -> bool:
    """Whether the measure calls any unit of the layer beyond chance."""
    return bool((table(acts, seed)[f"{name}_q"] < 0.05).any())


def _claims(name: str) -> Callable[[int], bool]:
    return lambda seed: claimed(layer(empty(seed)), name, seed)


def _information(seed: int) -> tuple[float, float]:
    """a = 1 for one of four classes, 0 else: H(1/4) bits."""
    fires = np.arange(2000) % CLASSES == 2
    found = table(layer(np.column_stack([fires, empty(seed, 2000)[:, 1:]]).astype(float)), seed)
    return float(-(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))), float(found["mutual_information"][0])


def _precision(seed: int) -> tuple[float, float]:
    """Of the images lifted above all others three in four belong to class 2, one to the others."""
    rng = np.random.default_rng(seed)
    x, labels = empty(seed, 4000), np.arange(4000) % CLASSES
    x[(rng.random(4000) < np.where(labels == 2, 0.3, 0.1 / 3)), 0] += 20
    return 0.75, float(table(layer(x), seed)["precision"][0])


def _localist(seed: int) -> tuple[float, float]:
    x = empty(seed)
    x[:, 0] += 20 * (np.arange(120) % CLASSES == 2)
    return 1.0, float(table(layer(x), seed)["localist"].sum())


def _localist_claims(seed: int) -> bool:
    return bool(table(layer(empty(seed)), seed)["localist"].any())


def _monosemanticity(seed: int) -> tuple[float, float]:
    shares = np.array([1, 1, 4, 1]) / 7
    return 1 - stats.entropy(shares) / np.log(4), float(table(prefers(seed, 3), seed)["monosemanticity"][0])


def _gate(seed: int) -> tuple[float, float]:
    """Of four units one is dead, one constant, one fires for nine images."""
    x = empty(seed, 400)
    x[:, 1], x[:, 2] = 0, 3
    x[9:, 3] = 0
    return 3.0, float(table(layer(x), seed)["gated"].sum())


def _explained(seed: int) -> tuple[float, float]:
    """Class means 0, 0, 4, 0 in noise of variance 1: 3 of 4 parts lie between the classes."""
    x = np.random.default_rng(seed).normal(size=(2000, UNITS)) + 10
    x[:, 0] += 4.0 * (np.arange(2000) % CLASSES == 2)
    return 3 / 4, float(selectivity.tuning(layer(x), draws=DRAWS, seed=seed)["explained"][0])


def tuned(acts: xr.DataArray, seed: int) -> bool:
    """Whether any tuning curve is called other than flat."""
    return bool((selectivity.tuning(acts, draws=DRAWS, seed=seed)["explained_q"] < 0.05).any())


def _since(seed: int) -> tuple[float, float]:
    """From step 3 of 6 on the first unit answers to class 2 for good; before, to class 1."""
    noise = np.random.default_rng(seed).exponential(1, (6, 400, UNITS))
    labels = np.arange(400) % CLASSES
    noise[:3, :, 0] += 2.0 * (labels == 1)
    noise[3:, :, 0] += 2.0 * (labels == 2)
    return 3.0, float(selectivity.over_time(layer(noise), seed=seed)["since"][0])


def settled(acts: xr.DataArray, seed: int) -> bool:
    """Whether any unit is said to end with a class."""
    return bool(np.isfinite(selectivity.over_time(acts, seed=seed)["since"]).any())


def _settled_of_empty(seed: int) -> bool:
    return settled(layer(np.random.default_rng(seed).exponential(1, (3, 120, UNITS))), seed)


def _changes(seed: int) -> tuple[float, float]:
    """A unit that answers to class 1, then 2, then 1 again, then for good to 3: three changes."""
    noise = np.random.default_rng(seed).exponential(1, (6, 400, UNITS))
    for snapshot, label in enumerate((1, 1, 2, 1, 3, 3)):
        noise[snapshot, :, 0] += 3.0 * (np.arange(400) % CLASSES == label)
    return 3.0, float(selectivity.over_time(layer(noise), seed=seed)["changes"][0])


def _changes_of_constant(seed: int) -> bool:
    """A unit with one class throughout, in noise drawn anew each time."""
    noise = np.random.default_rng(seed).exponential(1, (3, 120, UNITS)) + 2.0 * (np.arange(120) % CLASSES == 2)[:, None]
    return bool(selectivity.over_time(layer(noise), seed=seed)["changes"].any())


def measured(seed: int, rho: float, units: int) -> xr.Dataset:
    """A table of measures: AUC and selectivity correlate by ``rho``, the others with nothing."""
    rng = np.random.default_rng(seed)
    names = ("selectivity", "auc", "mutual_information", "precision")
    columns = dict(zip(names, rng.standard_normal((4, units)), strict=True))
    columns["auc"] = rho * columns["selectivity"] + np.sqrt(1 - rho**2) * columns["auc"]
    return xr.Dataset({name: ("unit", values) for name, values in columns.items()})


def _agreement(seed: int) -> tuple[float, float]:
    found = selectivity.agreement(measured(seed, 0.8, 8000), draws=20, seed=seed)
    return 6 / np.pi * np.arcsin(0.4), float(found["agreement"].sel(measure="selectivity", measure_b="auc"))


def agrees(found: xr.Dataset, seed: int) -> bool:
    """Whether any two measures are said to rank units alike, or against each other."""
    return bool((selectivity.agreement(found, draws=299, seed=seed)["agreement_q"] < 0.05).any())


def _turned(seed: int, by: float, examples: int) -> tuple[xr.DataArray, np.ndarray]:
    """Four directions, one a class, turned away from the units; and the turn that finds them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % CLASSES
    turn = np.linalg.qr(rng.standard_normal((CLASSES, CLASSES)))[0]
    return layer((rng.standard_normal((examples, CLASSES)) + by * np.eye(CLASSES)[labels]) @ turn), turn


def _bases(seed: int) -> tuple[float, float]:
    acts, turn = _turned(seed, 2.0, 2000)
    found = selectivity.basis_comparison(acts, {"planted": turn}, draws=3, seed=seed)
    return float(stats.norm.cdf(2 / np.sqrt(2))), float(found["auc"][1])


def privileged(acts: xr.DataArray, seed: int) -> bool:
    """Whether the units are said to be other than random directions."""
    return bool(selectivity.basis_comparison(acts, draws=40, seed=seed)["auc_p"][0] < 0.05)


def _back(seed: int) -> tuple[float, float]:
    acts, turn = _turned(seed, 2.0, 200)
    straight = selectivity.in_basis(acts, turn)
    return 0.0, float(np.abs(selectivity.in_basis(straight, turn.T) - acts).max())


def _unturned(seed: int) -> bool:
    acts = _turned(seed, 0.0, 40)[0]
    return bool((selectivity.in_basis(acts, np.eye(CLASSES)) != acts).any())


def _signed(seed: int) -> tuple[float, float]:
    """Class means 1, 1, 3, 1 without noise."""
    fires = 1.0 + 2 * (np.arange(40) % CLASSES == 2)[:, None]
    return 2 / (4 + selectivity.EPSILON), float(selectivity.selectivity_by_class(layer(fires))[2, 0])


def _signed_of_equal(seed: int) -> bool:
    level = np.random.default_rng(seed).integers(0, 9)
    return bool((selectivity.selectivity_by_class(layer(np.full((40, 3), float(level)))) != 0).any())


def _quantiles(seed: int) -> tuple[float, float]:
    """101 activations 1 to 101 in random places: the median strip is centred on 51."""
    x = np.zeros((200, 1))
    x[np.random.default_rng(seed).permutation(200)[:101], 0] = np.arange(1, 102)
    strip = selectivity.quantile_examples(layer(x), quantiles=(0.5,), per=3)
    return 51.0, float(x[int(strip["examples"][0, 0, 1]), 0])


def _silent_strips(seed: int) -> bool:
    x = -np.random.default_rng(seed).exponential(1, (40, 3))
    return bool((selectivity.quantile_examples(layer(x))["examples"] >= 0).any())


_TABLE, _NOISE = "selectivity.class_selectivity", "4 units of noise, 120 examples, 4 classes; an alarm: any q < 0.05"

INSTRUMENTS: list[Instrument] = [
    Instrument(
        "class selectivity (index)", _TABLE, "one unit twice as active for a class", _NOISE,
        _first("selectivity", 1 / (3 + selectivity.EPSILON), 1), 0.04, _claims("selectivity"),
    ),
    Instrument(
        "class selectivity (AUC)", _TABLE, "one unit three times as active for a class", _NOISE,
        _first("auc", 0.75, 2), 0.03, _claims("auc"),
    ),
    Instrument(
        "mutual information", _TABLE, "a unit that fires for one class only", _NOISE,
        _information, 0.005, _claims("mutual_information"), "bit",
    ),
    Instrument(
        "precision", _TABLE, "three in four of the strongest images are of one class", _NOISE,
        _precision, 0.15, _claims("precision"),
    ),
    Instrument(
        "localist units", _TABLE, "one unit whose class lies above all other images",
        "4 units of noise; an alarm: any localist", _localist, 0, _localist_claims, "units",
    ),
    Instrument(
        "monosemanticity", _TABLE, "one unit four times as active for a class", _NOISE,
        _monosemanticity, 0.02, _claims("monosemanticity"),
    ),
    Instrument(
        "gate for rare units", _TABLE, "a dead, a constant and a rare unit", "4 units of noise; an alarm: any gated",
        _gate, 0, lambda seed: bool(table(layer(empty(seed)), seed)["gated"].any()), "units",
    ),
    Instrument(
        "tuning curves", "selectivity.tuning", "class means 0, 0, 4, 0 in noise of variance 1", _NOISE,
        _explained, 0.03, lambda seed: tuned(layer(empty(seed)), seed),
    ),
    Instrument(
        "since when", "selectivity.over_time", "a unit that changes its class at step 3 for good",
        "4 units of noise, 3 snapshots; an alarm: any unit that ends with a class", _since, 0, _settled_of_empty, "step",
    ),
    Instrument(
        "changes of class", "selectivity.over_time", "a unit that changes its class three times",
        "4 units with one class throughout; an alarm: any change", _changes, 0, _changes_of_constant, "changes",
    ),
    Instrument(
        "agreement of measures", "selectivity.agreement", "two measures that correlate by 0.8",
        "4 unrelated measures of 40 units; an alarm: any q < 0.05", _agreement, 0.02,
        lambda seed: agrees(measured(seed, 0, 40), seed),
    ),
    Instrument(
        "comparison of bases", "selectivity.basis_comparison", "one direction a class, turned away from the units",
        "the same turned at random; an alarm: units other than rotations, p < 0.05", _bases, 0.02,
        lambda seed: privileged(_turned(seed, 1.0, 80)[0], seed),
    ),
    Instrument(
        "other bases", "selectivity.in_basis", "a rotation, taken there and back", "no rotation; an alarm: any difference",
        _back, 1e-12, _unturned, "activation",
    ),
    Instrument(
        "selectivity by class", "selectivity.selectivity_by_class", "class means 1, 1, 3, 1",
        "equal class means; an alarm: any other than 0", _signed, 1e-12, _signed_of_equal,
    ),
    Instrument(
        "images across the range", "selectivity.quantile_examples", "activations 1 to 101",
        "units below 0; an alarm: any image", _quantiles, 0, _silent_strips, "activation",
    ),
]  # fmt: skip
