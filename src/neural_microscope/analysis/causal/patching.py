"""Activation patching: copy activations from one image's run into another's, to find the units that carry the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from ...data import ImageSet
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...statistics import beside, bootstrap
from .directions import IMAGES, Directions, Within
from .downstream import downstream, numbers
from .pairs import SHARE, Metric, beside_pairs, by_pair, joined, pairs, per_unit, share_of
from .planted import FEW, LAYER, coded_pair, one_reader, pair, random, silent


@measure(
    "causal",
    title="Activation patching",
    null="random directions of the same norm in each pair (feature maps: as `ablate_all`), two-sided: "
    "it tests more than a direction common to all pairs, not this unit alone",
    replicates="pair",
    interval="95% bootstrap over pairs of images of one network",
    family="units of a layer",
    source="(patched - corrupted) / (clean - corrupted): Vig et al. 2020; Meng et al. 2022",
)
def patch_between(
    model: nn.Module,
    clean: ImageSet,
    corrupted: ImageSet,
    hook_point: str,
    *,
    metric: Metric | None = None,
    draws: int | None = None,
    within: Within = "space",
    seed: int = 0,
) -> xr.Dataset:
    """Share of the difference between paired images that each unit (or channel) carries, by activation patching.

    Args:
        model: Network, or any torch module.
        clean: Images with labels.
        corrupted: As many images with labels, paired with the clean ones by position.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        metric: Function of logits [example, class] that gives numbers [example]; None: the logit of the clean image's
            class minus that of the corrupted one's.
        draws: Number of draws of the null (random directions); None: as in `ablate_directions`.
        within: Region of the random directions, see `ablate_directions`.
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Shares (patched - corrupted) / (clean - corrupted) of the metric, sums over the pairs; NaN where the sums are
        equal.

        * ``denoising`` [unit]: the unit's clean value is put into the corrupted run; 0: nothing is restored, 1:
          everything.
        * ``noising`` [unit]: its corrupted value is put into the clean run; 1: nothing is lost, 0: everything.
        * Of both ``…_low``, ``…_high`` (bootstrap over pairs), ``…_null_low``, ``…_null_high`` (random directions of
          the same norm in each run, as in `ablate_directions`: a channel's difference of maps enters through a random
          mix of the channels; they leave the orthant of a ReLU unless ``within="orthant"``), ``…_p`` (two-sided),
          ``…_q`` and ``…_shown``; ``…_by_pair`` [unit, example], NaN where clean and corrupted give the same metric;
          and ``…_whole``: the whole layer patched, 1 and 0 by construction where nothing goes past the layer.
        * ``metric_clean``, ``metric_corrupted`` [example].

    Raises:
        DataError: The images are not pairs; otherwise as `ablate_all`.

    >>> threes, eights = (digits.test.subset(np.flatnonzero(digits.test.labels == c)[:20]) for c in (3, 8))
    >>> patched = nm.analysis.causal.patch_between(model, threes, eights, "layers.1.hook_post", draws=39)
    >>> float(patched["denoising_whole"].round(3))
    1.0
    """
    # a caller's metric may depend on the order of the pairs: the null is then drawn on all of them
    directions = Directions(len(clean) if metric is None else IMAGES, seed, draws, within)
    parts, null = [], [np.zeros(1), np.zeros(1)]
    with torch.no_grad(), evaluation(hooked(model)):
        for batch in pairs(model, clean, corrupted, metric):
            one, other = (downstream(model, x, hook_point, batch.labels) for x in (batch.clean, batch.corrupted))
            found = [numbers(batch.metric(run.logits)) for run in (one, other)]
            for at, (run, source) in enumerate(((other, one), (one, other))):
                change, norms = run.effects(source.acts, batch.score)
                everything = numbers(
                    batch.metric(run.replaced(range(run.units), source.acts)) - batch.metric(run.logits)
                )
                found += [change, everything]
                null[at] = null[at] + directions.sums(run, [source.acts], change, norms, batch.of)
            parts.append(tuple(found))
    good, bad, *found = joined(parts)
    whole, unit = good - bad, {"units": "logit" if metric is None else "1"}
    table: dict[str, Any] = {"metric_clean": ("example", good, unit), "metric_corrupted": ("example", bad, unit)}
    for at, (name, start) in enumerate((("denoising", 0.0), ("noising", 1.0))):
        change, everything = found[2 * at : 2 * at + 2]
        table |= beside_pairs(name, change, whole, null[at], one.axis, seed, start)
        table[f"{name}_whole"] = ((), start + float(share_of(everything, whole)), {"units": SHARE})
    return xr.Dataset(table, attrs={"null": directions.words(one)})


@measure(
    "causal",
    title="Attribution patching",
    null="of the correlation with exact patching: {draws} shuffles of the units",
    replicates="unit",
    interval="of the correlation: 95% bootstrap over units of one network",
    source="(a_clean - a_corrupted) dM/da at the corrupted image: Nanda 2023",
)
def attribution_patching(
    model: nn.Module,
    clean: ImageSet,
    corrupted: ImageSet,
    hook_point: str,
    *,
    metric: Metric | None = None,
    draws: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """First-order estimate of every unit's denoising, from one backward pass, compared with the exact value.

    Equal, to rounding, at the last layer with a metric linear in the logits; elsewhere the nonlinearities between are
    linearized. Errors are those of `patch_between`.

    Args:
        model: Network, or any torch module.
        clean: Images with labels.
        corrupted: As many images with labels, paired with the clean ones by position.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        metric: Function of logits [example, class] that gives numbers [example]; None: the logit of the clean image's
            class minus that of the corrupted one's.
        draws: Number of draws of the null (shuffles of the units), and of the bootstrap.
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Shares of the difference, NaN as in `patch_between`.

        * ``estimate`` [unit]: sum (a_clean - a_corrupted) dM/da / sum (M_clean - M_corrupted), the gradient at the
          corrupted image, a channel's positions summed; ``exact`` [unit]: `patch_between`'s ``denoising``. Of both
          ``…_by_pair`` [unit, example].
        * ``correlation``: Pearson's, over units (-1..1), with ``…_low``, ``…_high`` (bootstrap over units),
          ``…_null_low``, ``…_null_high`` and ``…_p`` (one-sided) under shuffled units; NaN where either is constant.

    >>> threes, eights = (digits.test.subset(np.flatnonzero(digits.test.labels == c)[:20]) for c in (3, 8))
    >>> both = nm.analysis.causal.attribution_patching(model, threes, eights, "layers.1.hook_post", draws=20)
    >>> np.allclose(both["estimate"], both["exact"], atol=1e-3)  # the last layer
    True
    """
    lens, parts = hooked(model), []
    with evaluation(lens):
        for batch in pairs(model, clean, corrupted, metric):
            with torch.no_grad():
                one, other = (downstream(model, x, hook_point, batch.labels) for x in (batch.clean, batch.corrupted))
                exact, _ = other.effects(one.acts, batch.score)
                apart = numbers(batch.metric(one.logits)) - numbers(batch.metric(other.logits))
            with torch.enable_grad():
                _, cache = lens.run_with_cache(
                    batch.corrupted, names_filter=hook_point, incl_bwd=True, loss=batch.total
                )
            parts.append((apart, per_unit((one.acts - other.acts) * cache[f"{hook_point}_grad"]), exact))
    whole, *both = joined(parts)
    table: dict[str, Any] = {}
    for name, change in zip(("estimate", "exact"), both, strict=True):
        table[name] = (one.axis, share_of(change, whole), {"units": SHARE})
        table[f"{name}_by_pair"] = ((one.axis, "example"), by_pair(change, whole), {"units": SHARE})
    return xr.Dataset(table | _correlation(table["estimate"][1], table["exact"][1], draws, seed))


def _correlation(estimate: np.ndarray, exact: np.ndarray, draws: int, seed: int) -> dict[str, Any]:
    def pearson(x: np.ndarray, y: np.ndarray) -> float:
        if np.isnan(x).any() or np.isnan(y).any() or np.ptp(x) == 0 or np.ptp(y) == 0:
            return np.nan
        return float(np.corrcoef(x, y)[0, 1])

    rng = np.random.default_rng(seed)
    value = pearson(estimate, exact)
    null = np.array([pearson(estimate, rng.permutation(exact)) for _ in range(draws)])
    interval = bootstrap(lambda pick: pearson(estimate[pick], exact[pick]), len(exact), draws, seed)
    return beside("correlation", value, null, interval=interval, family=False)


# Phantoms.


@of(patch_between).calibrated_on(
    "one unit holds all of the difference",
    1,
    1e-12,
    empty="isotropic random weights, other images; alarm: q < 0.05 for a unit",
    read="denoising",
    name="activation patching",
    unit="share of the difference",
    draws=199,
)
def _holder(seed: int, planted: bool) -> tuple[Any, ...]:
    return (one_reader(FEW), *coded_pair(seed, FEW), LAYER) if planted else (random(seed, FEW), *pair(seed, FEW), LAYER)


def _exact(table: xr.Dataset, name: str = "exact") -> float:
    return float(table[name].values @ table["exact"].values)


@of(attribution_patching).calibrated_on(
    "the last layer, where it is exact: estimate · exact = exact · exact",
    lambda *given: _exact(attribution_patching(*given, draws=1)),
    1e-12,
    empty="a layer of dead units; alarm: any estimate",
    read=lambda found: _exact(found, "estimate"),
    alarm=lambda found: found["estimate"].notnull().any(),
    name="attribution patching",
    exact=True,
    draws=1,
)
def _last(seed: int, planted: bool) -> tuple[Any, ...]:
    return (random if planted else silent)(seed), *pair(seed), LAYER
