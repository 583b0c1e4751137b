"""Planted histories: units born and killed on a day, matrices with one direction in noise, a loss of known curvature."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from ..analysis import dynamics
from ..config import MLPConfig
from ..data import ImageSet
from ..models import MLP
from .instrument import Instrument

STEPS = np.array([0, 1, 4, 16, 64])
SPIKE, SHAPE = 25.0, (12, 30)
"""Strength of the planted direction, against noise of sd 1, and the matrix it is in."""


def _acts(values: np.ndarray) -> xr.DataArray:
    coords = {"step": ("snapshot", STEPS)}
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="phantom")


def _units(seed: int, density: float, died: int) -> xr.DataArray:
    """Three units that always fire, beside one that does on a share of the examples and falls silent at a snapshot."""
    values = np.random.default_rng(seed).exponential(size=(len(STEPS), 100, 4)) + 0.1
    values[:, round(density * 100) :, 3] = 0
    values[died:, :, 3] = 0
    return _acts(values)


def _spiked(seed: int, strength: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    left, right = (rng.standard_normal(k) for k in SHAPE)
    direction = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    return {"weight": rng.standard_normal(SHAPE) + strength * direction}


def top_alarm(seed: int, strength: float = 0.0) -> bool:
    """Whether the largest singular value of a matrix of noise, with a direction of this strength, is claimed."""
    return bool((dynamics.weight_spectra([_spiked(seed, strength)], [0], seed=seed)["top_p"] < 0.05).any())


def _read_top(seed: int) -> tuple[float, float]:
    """What a direction in noise measures: sqrt((s² + out) (s² + in)) / s (Benaych-Georges & Nadakuditi 2012)."""
    seen = np.sqrt((SPIKE**2 + SHAPE[0]) * (SPIKE**2 + SHAPE[1])) / SPIKE
    return float(seen), float(dynamics.weight_spectra([_spiked(seed, SPIKE)], [0], draws=1)["top"][0, 0])


def _read_rank(seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((k, 6)))[0] for k in SHAPE)
    planted = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    table = dynamics.weight_spectra([{"weight": left * planted @ right.T}], [0], draws=1)
    return float((planted**2).sum() / planted[0] ** 2), float(table["stable_rank"][0, 0])


def rank_alarm(seed: int, strength: float = 0.0) -> bool:
    """Whether a matrix of noise, with a direction of this strength, is said to be of lower rank than its entries ask."""
    table = dynamics.weight_spectra([_spiked(seed, strength)], [0], draws=59, seed=seed)
    return bool((table["stable_rank"] < table["stable_rank_null_low"]).any())


def activity_alarm(seed: int, density: float = 1.0) -> bool:
    """Whether a layer whose last unit fires on this share of the images has a dead, rare or not always active unit."""
    table = dynamics.activity(_units(seed, density, len(STEPS)))
    return bool((table["dead"] | table["low"] | ~table["always_on"]).any())


def lives_alarm(seed: int, died: int = len(STEPS)) -> bool:
    """Whether a layer of units that always fire, but for a death at this snapshot, has a birth, a death or a revival."""
    table = dynamics.lives(_units(seed, 1.0, died))
    return bool(((table["deaths"] + table["revivals"]) > 0).any() or (table["born_at"] != STEPS[0]).any())


def histogram_alarm(seed: int, density: float = 1.0) -> bool:
    """Whether zeros are seen in a layer whose last unit fires on this share of the images."""
    return bool((dynamics.histograms(_units(seed, density, len(STEPS)))["zero"] > 0).any())


def _gradients(seed: int, ratio: float) -> xr.Dataset:
    drift = np.exp(np.random.default_rng(seed).normal(0, 0.3, (101, 1)))
    recorded = {name: (("step", "parameter"), ratio * drift) for name in ("grad_norm", "update_ratio")}
    return xr.Dataset(recorded, coords={"step": np.arange(101) + 64, "parameter": ["weight"]})


def _read_flow(seed: int) -> tuple[float, float]:
    return 2e-3, float(dynamics.gradient_flow(_gradients(seed, 2e-3), per_octave=1)["update_ratio"][0, 0])


def flow_alarm(seed: int, ratio: float = 0.0) -> bool:
    """Whether gradients or updates are seen where all are this ratio."""
    table = dynamics.gradient_flow(_gradients(seed, ratio))
    return bool(((table["grad_norm"] > 0) | (table["update_ratio"] > 0)).any())


def _by_class(seed: int, learnt: int) -> xr.Dataset:
    """Ten classes around 50 %, of which class 7 is above 90 % from a snapshot on."""
    accuracy = np.random.default_rng(seed).uniform(0.4, 0.6, (len(STEPS), 10))
    accuracy[learnt:, 7] = 0.95
    log = {"test_accuracy_by_class": (("snapshot", "class"), accuracy)}
    return dynamics.learning_by_class(xr.Dataset(log, coords={"step": ("snapshot", STEPS)}))


def class_alarm(seed: int, learnt: int = len(STEPS)) -> bool:
    """Whether any class is said to be learnt, of which one is from this snapshot on."""
    return bool(_by_class(seed, learnt)["reached_at"].notnull().any())


def _linear(seed: int, black: bool) -> tuple[MLP, ImageSet]:
    """A linear map without bias: its squared loss has the inputs' second moment as Hessian."""
    pixels = np.random.default_rng(seed).integers(0, 1 if black else 256, (6, 2, 2)).astype(np.uint8)
    model = MLP(MLPConfig(image_shape=(2, 2), classes=2, hidden=(), bias=False), seed)
    return model.to(torch.float64), ImageSet(pixels, np.arange(6) % 2, 2)


def _read_sharpness(seed: int) -> tuple[float, float]:
    model, images = _linear(seed, black=False)
    pixels = images.images.reshape(6, -1) / np.float32(255)
    truth = np.linalg.eigvalsh(pixels.T.astype(np.float64) @ pixels.astype(np.float64) / 6)[-1]
    return float(truth), float(dynamics.sharpness(model, images, loss="mse")["sharpness"])


def sharpness_alarm(seed: int, black: bool = True) -> bool:
    """Whether curvature is seen; of black images there is none."""
    return bool(dynamics.sharpness(*_linear(seed, black), loss="mse")["sharpness"] != 0)


INSTRUMENTS = [
    Instrument(
        "activation density",
        "dynamics.activity",
        "a unit that fires on 37 of 100 images",
        "all units fire on all images; alarm: a unit is not always on",
        lambda seed: (0.37, float(dynamics.activity(_units(seed, 0.37, len(STEPS)))["density"][0, 3])),
        1e-6,
        activity_alarm,
    ),
    Instrument(
        "death of a unit",
        "dynamics.lives",
        "a unit that falls silent at step 16",
        "all units fire at all snapshots; alarm: a birth, death or revival",
        lambda seed: (16.0, float(dynamics.lives(_units(seed, 1.0, 3))["died_at"][3])),
        0.0,
        lives_alarm,
        "step",
    ),
    Instrument(
        "share of zeros",
        "dynamics.histograms",
        "one unit of four is 0 on 63 of 100 images",
        "no activation is 0; alarm: a zero is seen",
        lambda seed: (0.63 / 4, float(dynamics.histograms(_units(seed, 0.37, len(STEPS)))["zero"][0])),
        1e-12,
        histogram_alarm,
    ),
    Instrument(
        "update-to-weight ratio",
        "dynamics.gradient_flow",
        "101 steps with ratios around 0.002 (median)",
        "no gradient and no update; alarm: one is seen",
        _read_flow,
        3e-4,
        flow_alarm,
    ),
    Instrument(
        "step at which a class is learnt",
        "dynamics.learning_by_class",
        "a class above 90 % from step 4 on",
        "all classes around 50 %; alarm: one is said to be learnt",
        lambda seed: (4.0, float(_by_class(seed, 2)["reached_at"][7])),
        0.0,
        class_alarm,
        "step",
    ),
    Instrument(
        "top singular value of weights",
        "dynamics.weight_spectra",
        "one direction of strength 25 in noise",
        "independent entries; alarm: p < 0.05 against their shuffles",
        _read_top,
        2.5,
        top_alarm,
    ),
    Instrument(
        "stable rank of weights",
        "dynamics.weight_spectra",
        "six known singular values",
        "independent entries; alarm: below the null's band",
        _read_rank,
        1e-9,
        rank_alarm,
    ),
    Instrument(
        "sharpness",
        "dynamics.sharpness",
        "a linear map, whose curvature is its inputs' second moment",
        "black images, which leave no curvature; alarm: any is seen",
        _read_sharpness,
        1e-9,
        sharpness_alarm,
    ),
]
