"""Dictionary learning on planted sparse dictionaries, and on layers and dictionaries that hold nothing."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from ..analysis import dictionary
from ..analysis.dictionary import TopKSAE
from .instrument import Instrument

UNITS, FEATURES, ACTIVE = 16, 24, 2
LATENTS = 32
"""Some more than there are features: with as many, one latent settles between two of them now and then."""


def planted(seed: int, examples: int = 2000) -> tuple[np.ndarray, xr.DataArray]:
    """(directions [latent, unit], activations): two of 24 random directions at a time, each 0.5 to 1.5 strong."""
    rng = np.random.default_rng([seed, 1])
    directions = rng.standard_normal((FEATURES, UNITS))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    amounts = np.zeros((examples, FEATURES))
    active = np.argsort(rng.random((examples, FEATURES)), 1)[:, :ACTIVE]
    np.put_along_axis(amounts, active, rng.uniform(0.5, 1.5, (examples, ACTIVE)), 1)
    return directions, xr.DataArray(amounts @ directions, dims=("example", "unit"))


def noise(seed: int, examples: int = 60) -> xr.DataArray:
    """Gaussian activations of 6 units with three classes that they do not know."""
    values = np.random.default_rng([seed, 2]).standard_normal((examples, 6))
    return xr.DataArray(values, dims=("example", "unit"), coords={"label": ("example", np.arange(examples) % 3)})


def _learn(acts: xr.DataArray, seed: int) -> TopKSAE:
    return dictionary.train_sae(acts, LATENTS, ACTIVE, seed=seed)


def _recovery(seed: int) -> tuple[float, float]:
    """Mean over planted directions of the highest cosine with any learnt one."""
    directions, acts = planted(seed)
    learnt = _learn(acts, seed).W_dec.double().numpy()
    return 1.0, float((directions @ learnt.T).max(1).mean())


def _unexplained(seed: int) -> tuple[float, float]:
    """A dictionary that holds the leading half of independent units leaves the variance of the others."""
    rng = np.random.default_rng([seed, 3])
    spread = np.array([3.0, 2.0, 1.0, 0.5])
    acts = xr.DataArray(rng.standard_normal((4000, 4)) * spread, dims=("example", "unit"))
    sae = TopKSAE(4, 4, 4)
    directions = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, -1.0, 0, 0]])
    with torch.no_grad():
        sae.W_dec.copy_(directions)
        sae.W_enc.copy_(directions.T)
    truth = float((spread[2:] ** 2).sum() / (spread**2).sum())
    return truth, float(dictionary.evaluate_sae(sae, acts, draws=1, seed=seed)["fvu"])


def _stability(seed: int) -> tuple[float, float]:
    """Two dictionaries with half of their directions in common and the other half at right angles to all."""
    directions = np.linalg.qr(np.random.default_rng([seed, 4]).standard_normal((24, 24)))[0]
    first, second = (_with(directions[rows]) for rows in (slice(0, 16), slice(8, 24)))
    return 0.5, float(dictionary.stability(first, second, draws=1, seed=seed)["mean_cosine"])


def _purity(seed: int) -> tuple[float, float]:
    """Latents that are unit axes, one for each of 3 classes, mixed into the units by a rotation."""
    rng = np.random.default_rng([seed, 5])
    labels = np.arange(300) % 3
    directions = np.linalg.qr(rng.standard_normal((6, 6)))[0][:3]
    acts = (np.eye(3)[labels] * rng.uniform(0.5, 1.5, (300, 1))) @ directions
    named = xr.DataArray(acts, dims=("example", "unit"), coords={"label": ("example", labels)})
    table = dictionary.purity(_with(directions, k=1), named, draws=1, resamples=1, seed=seed)
    return 1.0, float(table["auc"].sel(basis="latents"))


def _with(directions: np.ndarray, k: int = 2) -> TopKSAE:
    sae = TopKSAE(directions.shape[1], len(directions), k)
    with torch.no_grad():
        sae.W_dec.copy_(torch.from_numpy(directions))
        sae.W_enc.copy_(sae.W_dec.T)
    return sae


def claims_reconstruction(sae: TopKSAE, acts: xr.DataArray, seed: int) -> bool:
    return bool(dictionary.evaluate_sae(sae, acts, draws=39, seed=seed)["fvu_p"] < 0.05)


def claims_stability(first: TopKSAE, second: TopKSAE, seed: int) -> bool:
    return bool(dictionary.stability(first, second, draws=59, seed=seed)["mean_cosine_p"] < 0.05)


def claims_purity(sae: TopKSAE, acts: xr.DataArray, seed: int) -> bool:
    table = dictionary.purity(sae, acts, draws=39, resamples=1, seed=seed)
    return bool(table["auc_p"].sel(basis="latents") < 0.05)


def _random(seed: int, number: int, latents: int = 8) -> TopKSAE:
    """One of many dictionaries that nothing has taught."""
    return dictionary.random_sae(noise(seed), latents, 2, seed=100_000 * (number + 1) + seed)


INSTRUMENTS = [
    Instrument(
        name="dictionary learning (mean max cosine)",
        measure="dictionary.train_sae",
        planted="2 of 24 random directions active at a time in 16 units",
        empty="an untrained dictionary; alarm: it explains more than 39 random ones, p < 0.05",
        read=_recovery,
        tolerance=0.1,
        alarm=lambda seed: claims_reconstruction(_random(seed, 0), noise(seed), seed),
    ),
    Instrument(
        name="dictionary reconstruction (fraction of variance unexplained)",
        measure="dictionary.evaluate_sae",
        planted="a dictionary that holds 2 of 4 independent units",
        empty="an untrained dictionary; alarm: it explains more than 39 random ones, p < 0.05",
        read=_unexplained,
        tolerance=0.01,
        alarm=lambda seed: claims_reconstruction(_random(seed, 1), noise(seed), seed),
    ),
    Instrument(
        name="dictionary stability (mean max cosine)",
        measure="dictionary.stability",
        planted="two dictionaries with half of their directions in common",
        empty="two dictionaries drawn apart; alarm: p < 0.05",
        read=_stability,
        tolerance=1e-6,
        alarm=lambda seed: claims_stability(_random(seed, 2), _random(seed, 3), seed),
    ),
    Instrument(
        name="latent purity (AUC)",
        measure="dictionary.purity",
        planted="three latents, each the sign of one class",
        empty="Gaussian noise with labels; alarm: p < 0.05 for the latents",
        read=_purity,
        tolerance=1e-9,
        alarm=lambda seed: claims_purity(_random(seed, 4), noise(seed), seed),
    ),
]
