"""Class purity of latents, compared with units, principal components and a random dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside, canonical_order, halves, null_band, shuffles
from .sae import TopKSAE, encode, made_of, noise, random_sae, untrained_sae

BASES = ("units", "components", "latents", "random")


@measure(
    "dictionary",
    title="Class purity of latents",
    null="{draws} shuffles of the labels, the class chosen again; a random dictionary of the same size and k",
    replicates="image, one dictionary",
    interval="95% bootstrap over judging images of one network",
    family="latents",
    source="Mann & Whitney 1947",
)
def purity(sae: TopKSAE, acts: xr.DataArray, *, draws: int = 99, resamples: int = 100, seed: int = 0) -> xr.Dataset:
    """Class purity of the latents of a dictionary, compared with units, principal components and random latents.

    Each element's class, the one of highest AUC, is chosen on one half of the examples (on which the components are
    fitted too) and judged on the other; the order of the examples has no effect. Sparse elements that respond to part
    of a class score low on the AUC and high on the share, so both are given. One dictionary of one network: variation
    between seeds may exceed the intervals.

    Args:
        sae: A dictionary, trained or random.
        acts: Activations [example, unit] with labels, preferably of images that the dictionary was not trained on; of
            whole maps each channel's or latent's mean over positions is taken; of several snapshots the last.
        draws: Number of draws of the null (shuffles of the labels, the class chosen again).
        resamples: Number of bootstraps of the judging examples.
        seed: Seed of the null's draws, of the halves, of the bootstrap and of the random dictionary.

    Returns:
        [basis] of a layer's ``units``, its principal ``components`` (each sign a separate element), the dictionary's
        ``latents``, and those of a ``random`` dictionary of the same size and k.

        * ``auc``: mean over elements of the probability that an example of the class activates the element more than
          another, ties half; 0..1, 0.5 without preference. An element that responds to part of its class only can't
          reach 1.
        * ``share``: mean over elements of the class's share of the element's positive activation; 0..1, about 1 /
          classes without preference.
        * Of both ``…_null_low``, ``…_null_high``, ``…_p``, ``…_shown`` under shuffled labels, and ``…_low``, ``…_high``
          over the bootstraps.
        * ``auc_over_random``, ``share_over_random`` with ``…_low``, ``…_high``: value minus the random dictionary's on
          the same resamples: the effect of the dictionary itself.
        * ``elements``, ``alive``: numbers of elements. Those that are constant or never above 0 on either half count as
          dead and are left out of the means; NaN where none is alive.

    Raises:
        DataError: A half has no examples of two classes.

    >>> sae = nm.analysis.dictionary.random_sae(acts, n_latents=16, k=2)
    >>> nm.analysis.dictionary.purity(sae, acts, draws=5, resamples=5)["basis"].values.tolist()
    ['units', 'components', 'latents', 'random']
    """
    last = named.last(acts)
    last = last.isel(example=canonical_order(named.labels(last), named.flat(last)))
    labels = named.labels(last)
    choose, judge = halves(labels, seed)
    if min(len(np.unique(labels[half])) for half in (choose, judge)) < 2:
        raise DataError("each half needs examples of two classes; give more examples")
    bases = [_Basis.of(values, choose, judge) for values in _bases(sae, last, choose, seed)]
    even = np.ones(len(judge))
    value = np.stack([basis.judged(labels, even) for basis in bases], 1)  # [auc | share, basis]
    null = np.stack([[basis.judged(fake, even) for basis in bases] for fake in shuffles(labels, draws, seed)])
    null = np.swapaxes(null, 1, 2)  # [draw, auc | share, basis]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(judge), even / len(judge), size=resamples)
    classes = [basis.chosen(labels) for basis in bases]
    drawn = np.stack([[b.scores(labels, c, w) for b, c in zip(bases, classes, strict=True)] for w in weights])
    drawn = np.swapaxes(drawn, 1, 2)  # [resample, auc | share, basis]
    found: dict[str, tuple[Any, ...]] = {}
    for row, name in enumerate(("auc", "share")):
        found |= beside(name, value[row], null[:, row], "basis", interval=null_band(drawn[:, row]), family=False)
        over_low, over_high = null_band(drawn[:, row] - drawn[:, row, -1:])
        over = {"": value[row] - value[row, -1], "_low": over_low, "_high": over_high}
        found |= {f"{name}_over_random{end}": ("basis", column, {"units": "1"}) for end, column in over.items()}
    for name in ("elements", "alive"):
        found[name] = ("basis", np.array([getattr(basis, name) for basis in bases]), {"units": "1"})
    return xr.Dataset(
        found,
        coords={"basis": list(BASES)},
    )


def _bases(sae: TopKSAE, acts: xr.DataArray, choose: np.ndarray, seed: int) -> list[np.ndarray]:
    """[example, element] of each basis."""
    pooled = acts.mean(("row", "col")) if "row" in acts.dims else acts
    units = named.matrix(pooled)
    centred = units - units[choose].mean(0)
    spread, directions = np.linalg.eigh(centred[choose].T @ centred[choose])
    components = centred @ directions[:, spread > 1e-12 * spread.max()]  # the rest is rounding error
    latents = [encode(d, acts) for d in (sae, random_sae(acts, sae.n_latents, int(sae.k), seed=seed + 1))]
    pooled_latents = [(z.mean(("row", "col")) if "row" in z.dims else z).values.astype(np.float64) for z in latents]
    return [units, np.hstack([components, -components]), *pooled_latents]


@dataclass(frozen=True)
class _Basis:
    """The alive elements of a basis on both halves, sorted once."""

    choose: np.ndarray
    judge: np.ndarray
    choose_ranks: np.ndarray
    places: np.ndarray
    """Dense ranks on the judging half, from 0."""
    positive: np.ndarray
    elements: int

    @classmethod
    def of(cls, values: np.ndarray, choose: np.ndarray, judge: np.ndarray) -> _Basis:
        parts = values[choose], values[judge]
        living = np.all([(part.max(0) > part.min(0)) & (part.max(0) > 0) for part in parts], 0)
        choosing, judging = (part[:, living] for part in parts)
        places = rankdata(judging, "dense", axis=0).astype(int) - 1
        return cls(choose, judge, rankdata(choosing, axis=0) - 0.5, places, judging.clip(min=0), values.shape[1])

    @property
    def alive(self) -> int:
        return self.positive.shape[1]

    def chosen(self, labels: np.ndarray) -> np.ndarray:
        """The class of highest AUC on the choosing half, [element]; of those present on both, if there is one."""
        here = labels[self.choose]
        both = np.intersect1d(here, labels[self.judge])
        present = both if len(both) else np.unique(here)
        one_hot = (here == present[:, None]).astype(float)  # [class, example]
        size = one_hot.sum(1)[:, None]
        auc = (one_hot @ self.choose_ranks / size - size / 2) / np.maximum(len(here) - size, 1)
        return present[auc.argmax(0)]

    def judged(self, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
        return self.scores(labels, self.chosen(labels), weights)

    def scores(self, labels: np.ndarray, classes: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
        """(mean AUC, mean share) of the chosen classes on the judging half, each example counted ``weights`` times."""
        if not self.alive:
            return (np.nan, np.nan)
        own = weights[:, None] * (labels[self.judge][:, None] == classes)  # [example, element]
        size, total = own.sum(0), weights.sum()
        ranks, amount = weighted_ranks(self.places, weights), weights @ self.positive
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may leave a class or an element out
            auc = ((own * ranks).sum(0) - size**2 / 2) / (size * (total - size))
            share = (own * self.positive).sum(0) / amount
        return (_mean(auc), _mean(share))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def weighted_ranks(places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight of the examples below each one and half of those equal to it, itself included; ``places`` [example, element] are dense
    ranks from 0.
    """
    cells = places + np.arange(places.shape[1]) * len(places)
    each = np.bincount(cells.ravel(), np.repeat(weights, places.shape[1]), places.size).reshape(-1, len(places))
    return (each.cumsum(1) - each / 2).ravel()[cells]


@of(purity).calibrated_on(
    "three latents, each the sign of one class",
    1,
    1e-9,
    empty="Gaussian noise with labels; alarm: p < 0.05 for the latents",
    read=lambda found: found["auc"].sel(basis="latents"),
    alarm=lambda found: found["auc_shown"].sel(basis="latents"),
    name="latent purity (AUC)",
    resamples=1,
)
def _signs(seed: int, planted: bool) -> dict[str, Any]:
    """Latents that are unit axes, one for each of 3 classes, mixed into the units by a rotation."""
    if not planted:
        return {"sae": untrained_sae(seed, 4), "acts": noise(seed), "draws": 39}
    rng = np.random.default_rng([seed, 5])
    labels = np.arange(300) % 3
    directions = np.linalg.qr(rng.standard_normal((6, 6)))[0][:3]
    acts = (np.eye(3)[labels] * rng.uniform(0.5, 1.5, (300, 1))) @ directions
    named_acts = xr.DataArray(acts, dims=("example", "unit"), coords={"label": ("example", labels)})
    return {"sae": made_of(directions, 1), "acts": named_acts, "draws": 1}
