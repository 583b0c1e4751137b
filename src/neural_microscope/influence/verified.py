"""Estimates of influence beside the truth from retraining, and the ceiling that the truth's own reliability sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from ..analysis.influence import agreement, reliability
from ..claim import Claim, judge, tested
from ..config import ConfigError
from ..data import Dataset
from ..doors import door
from ..errors import DataError
from ..run import Run
from .estimates import METHODS, Method, estimates
from .retraining import Vary, retrain
from .targets import Prediction, Target
from .trained import data_of, runs_of

DAMPINGS = (0.01, 0.1, 1.0, 10.0)
FEWEST_JUDGED = 6


@door
def verify(
    run: Run | Sequence[Run],
    sets: Sequence[Any],
    targets: Target | Sequence[Target] | None = None,
    *,
    methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
    seeds: int | Iterable[int] = 6,
    data: Dataset | None = None,
    vary: Vary = "both",
    dampings: Sequence[float] = DAMPINGS,
    tuning: float = 0.25,
    least: float = 0.5,
    draws: int = 999,
    seed: int = 0,
) -> xr.Dataset:
    """Retrains without each set, and compares every estimate of influence with the truth, and the truth with itself.

    The agreement of an estimate is the rank correlation over the sets between its predicted effects and the mean effect
    over the retrained seeds, by target, then the mean over targets. Beside it stands the truth's reliability over the
    seeds, and its square root, the ceiling of the agreement. Where the ceiling is below ``least``, or the reliability
    is not shown against permuted sets, the question is refused: agreements are NaN, the verdict is ``not asked``, and
    ``reason`` in the attributes gives the number. That is a result and no error, because the retrained networks stay
    useful: with more seeds, or larger sets, the ceiling rises.

    λ of the kernel is chosen by the agreement on the first sets, which are then left out for all methods.

    Args:
        run: The run, or several of other seeds, over which estimates are averaged; all must differ in their seeds only.
        sets: Sets of numbers of training images, see `halves`, `alike` and `singles`.
        targets: Targets; None: the margins of the first 100 test images.
        methods: Methods of `estimate`.
        seeds: Number of seeds to retrain with, which then are not the run's own; or the seeds.
        data: The data of the run; None: the set that `load` knows by the recorded name.
        vary: What a seed sets: the initial weights (``weights``), in the run's order of batches; the ``order``, from the
            run's initial weights, so that units are the same; or ``both``. Agreement and ceiling are of that question.
        dampings: Values of the kernel's damping to choose from.
        tuning: The share of sets on which it is chosen, if there are several.
        least: The ceiling that is needed.
        draws: Number of permutations of the sets as the null; for the reliability a tenth of it.
        seed: Seed of permutations and resamples.

    Returns:
        Over the sets that are judged ``agreement`` [estimate] with ``_low``, ``_high``, ``_null_low``, ``_null_high``,
        ``_p`` and ``_shown``; ``verdict`` [estimate], ``shown``, ``not shown`` or ``not asked``; ``reliability`` and
        ``ceiling`` with ``_low`` and ``_high``, ``between_seeds``, ``between_halves``; ``effect`` [set, seed, target],
        the target without the set minus with it; ``left_out`` [set, example], True for the images of each set;
        ``predicted`` [estimate, set, target]; ``effect_sd`` and ``order_sd``,
        the standard deviation of a network's effects over sets, and that of another order of batches, both the mean
        over targets.

    Raises:
        DataError: Fewer than 6 sets are left to judge, or two are the same; otherwise as `retrain` and `estimate`.
        ConfigError: A single seed, a share out of range.

    >>> found = nm.influence.verify(
    ...     run, nm.influence.halves(digits.train, n=8), data=digits, seeds=2, methods=["tracin", "pixels"], draws=99
    ... )
    >>> found["agreement"].dims, found.attrs["n_sets"]
    (('estimate',), 8)
    """
    runs = runs_of(run)
    data = data_of(runs[0], data)
    if not 0 <= tuning < 1 or not 0 <= least < 1:
        raise ConfigError(f"tuning is {tuning}, least {least}; both must be shares from 0 to below 1")
    if targets is None:
        targets = Prediction(tuple(range(min(100, len(data.test)))))
    apart = int(np.ceil(tuning * len(sets))) if "kernel" in methods and len(dampings) > 1 else 0
    if len(sets) - apart < FEWEST_JUDGED or (apart and apart < FEWEST_JUDGED):
        raise DataError(
            f"{len(sets)} sets, of which {apart} choose the kernel's damping: {FEWEST_JUDGED} are needed for that, and {FEWEST_JUDGED} "
            "to judge; give more sets, or one damping"
        )
    guesses = estimates(runs, targets, methods, data, None, dampings)
    _different(sets)
    truth = retrain(runs[0], sets, targets, seeds=seeds, data=data, vary=vary)
    if truth.sizes["seed"] < 2:
        raise ConfigError("one seed says nothing about the truth's reliability; give at least 2")
    effect = (truth["value"] - truth["whole"]).transpose("set", "seed", "target")
    effects = {key: _effects(one, sets) for key, one in guesses.items()}
    early, judged = slice(0, apart), slice(apart, None)
    damping = _chosen(effects, dampings, effect[early], seed) if apart else dampings[0]
    predicted = xr.concat([effects[method, damping][judged] for method in methods], "estimate")
    table = _table(predicted.assign_coords(estimate=[*methods]), effect[judged], truth, least, draws, seed)
    left_out = np.array([np.isin(np.arange(len(data.train)), one) for one in sets[judged]])
    return table.assign(left_out=(("set", "example"), left_out)).assign_attrs(
        damping=damping, n_tuning_sets=apart, n_runs=len(runs), vary=vary
    )


def _different(sets: Sequence[Any]) -> None:
    known: dict[tuple[int, ...], int] = {}
    for at, one in enumerate(sets):
        first = known.setdefault(tuple(np.unique(one).tolist()), at)
        if first < at:
            raise DataError(
                f"sets {first} and {at} hold the same images; each must differ, for agreement counts over sets"
            )


def _effects(influence: xr.DataArray, sets: Sequence[Any]) -> xr.DataArray:
    """The estimated effect of leaving each set out, [set, target]."""
    found = [-influence.values[:, np.unique(one)].sum(1) for one in sets]
    return xr.DataArray(np.stack(found), {"target": influence["target"].values}, ("set", "target"), "estimated effects")


def _chosen(effects: dict[tuple[str, float], xr.DataArray], dampings: Sequence[float], truth: Any, seed: int) -> float:
    """The damping whose kernel agrees best with the truth."""
    mean = truth.mean("seed")
    found = [
        float(agreement(effects["kernel", one][: len(mean)], mean, draws=1, resamples=1, seed=seed)["agreement"])
        for one in dampings
    ]
    return dampings[int(np.nanargmax(found))] if np.isfinite(found).any() else dampings[0]


def _table(
    predicted: xr.DataArray, effect: xr.DataArray, truth: xr.Dataset, least: float, draws: int, seed: int
) -> xr.Dataset:
    itself = reliability(effect, draws=max(draws // 10, 39), seed=seed)
    reason = _reason(itself, least)
    methods = predicted["estimate"].values
    each = [agreement(one.drop_vars("estimate"), effect, draws=draws, seed=seed) for one in predicted]
    table = xr.concat([one.drop_vars("by_target") for one in each], "estimate", combine_attrs="drop")
    table = table.assign_coords(estimate=methods)
    if reason:
        table = xr.full_like(table.drop_vars("agreement_shown"), np.nan).assign(
            agreement_shown=("estimate", np.zeros(len(methods), bool))
        )
    words = ["not asked" if reason else "shown" if one else "not shown" for one in table["agreement_shown"].values]
    another = (truth["reordered"] - truth["whole"]).std("seed", ddof=1).mean("target")
    return (
        table.merge(itself.drop_attrs())
        .assign(
            verdict=("estimate", np.array(words)),
            effect=effect,
            predicted=predicted,
            effect_sd=effect.std("set", ddof=1).mean(),
            order_sd=another,
        )
        .assign_attrs(
            least=least,
            reason=reason,
            draws=draws,
            n_sets=effect.sizes["set"],
            n_seeds=effect.sizes["seed"],
            n_targets=effect.sizes["target"],
        )
    )


def _reason(itself: xr.Dataset, least: float) -> str:
    """The reason to refuse a question; empty if it can be asked."""
    ceiling, value = float(itself["ceiling"]), float(itself["reliability"])
    if np.isnan(value):
        return "no target's effect differs between the sets"
    if not itself["reliability_shown"]:
        return f"the truth's reliability over seeds is {value:.2f}, which is not shown against permuted sets"
    if ceiling < least:
        return f"the truth's reliability over seeds is {value:.2f}: no estimate can be expected to agree better than {ceiling:.2f}"
    return ""


@door
def claims(found: xr.Dataset) -> list[Claim]:
    """The verdicts of `verify` as claims: whether each method's agreement with retraining is above that of permuted sets.

    Corrected over the methods (Holm). None for a question that was refused.

    Args:
        found: The result of `verify`.

    >>> sets = nm.influence.singles(digits.train, n=8)
    >>> found = nm.influence.verify(run, sets, data=digits, seeds=2, methods=["pixels"], draws=99, least=0.95)
    >>> nm.influence.claims(found)  # refused: the truth carries no such question
    []
    """
    if found.attrs["reason"]:
        return []
    made = []
    for method in found["estimate"].values:
        one = found.sel(estimate=method)
        names = ("agreement", "agreement_low", "agreement_high", "agreement_null_low", "agreement_null_high")
        numbers = {name: float(one[name]) for name in (*names, "reliability", "ceiling")}
        numbers |= {"sets": found.attrs["n_sets"], "seeds": found.attrs["n_seeds"]}
        claim = tested(
            yes=f"Influence estimated by {method} agrees with retraining: rank correlation {{agreement:2}}, of at most {{ceiling:2}}.",
            no=f"It is not shown that influence estimated by {method} agrees with retraining: rank correlation {{agreement:2}}, of at most "
            "{ceiling:2}.",
            numbers=numbers,
            effect="agreement",
            evidence="95% interval {agreement_low:2} to {agreement_high:2}; permuted sets {agreement_null_low:2} to "
            "{agreement_null_high:2}; reliability of the mean over {seeds:,} seeds {reliability:2}.",
            null="permuted sets",
            p=float(one["agreement_p"]),
            n=found.attrs["n_sets"],
            of="sets",
            floor=1 / (1 + found.attrs["draws"]),
            draws=found.attrs["draws"],
        )
        rule = "an estimate of influence agrees with retraining"
        made.append(replace(claim, rule=rule, measure="influence.agreement", network=str(method)))
    return judge(made, 1)
