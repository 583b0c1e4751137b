"""Rules about single units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from ... import statistics
from ...claim import Claim, tested
from ...measure import of
from .. import causal, selectivity
from ..look import LayerLook
from ..selectivity import judging
from ..selectivity.preference import Preference
from .networks import beyond_sample


def beyond_rank(control: xr.Dataset, name: str) -> statistics.Law:
    """The law of a unit's statistic: the values of units of the same rank in untrained networks, [unit]."""
    rank = control[f"{name}_rank"].values
    return statistics.networks(control[name].values, control[f"{name}_untrained"].values[:, rank])


def _columns(table: xr.Dataset, axis: str) -> dict[str, np.ndarray]:
    """The variables of a table by units, [unit, …]: each axis is looked up once, not once per unit."""
    return {str(name): column.transpose(axis, ...).values for name, column in table.items() if axis in column.dims}


def _critical(control: xr.Dataset, name: str, unit: int, shown_as: Callable[[Any], Any], level: float) -> float:
    """The value of the statistic, on the scale on which it is shown, from which the untrained networks are exceeded at a level."""
    sample = control[f"{name}_untrained"].values[:, int(control[f"{name}_rank"][unit])]
    return float(shown_as(beyond_sample(sample, "above", level)))


def _auc_above(images: int, logit: float) -> float:
    """The AUC of a logit; infinite beyond the largest that is told from 1 on so many images, for no unit can exceed it."""
    auc = float(special.expit(logit))
    return auc if auc <= 1 - 1 / images else math.inf


def _loss_above(band: float, logarithm: float) -> float:
    return max(math.exp(logarithm), band)


def _top(labels: np.ndarray) -> dict[str, float]:
    """The most frequent class of a unit's top-activating images, and its count."""
    if not len(labels):  # never above 0
        return {"top": math.nan, "top_of": 0, "top_images": 0}
    counts = np.bincount(labels)
    return {"top": int(counts.argmax()), "top_of": int(counts.max()), "top_images": len(labels)}


@of(selectivity.class_selectivity).rule(
    "a unit prefers a class",
    "Which units prefer a class more than untrained ones do?",
    columns={
        "class": "{preferred:,}",
        "AUC": "{auc:2}",
        "95% interval": "{auc_low:2} to {auc_high:2}",
        "same rank, untrained": "{auc_untrained_low:2} to {auc_untrained_high:2}",
        "beyond shuffled labels since": "{since:step}",
        "commonest class of the top images": "{top:,} ({top_of:,} of {top_images:,})",
    },
)
def prefers(layer: LayerLook) -> Iterator[Claim]:
    """AUC of a unit's preferred class, compared with random images in place of the class, and with the unit of the same rank in untrained
    networks: images of one class look alike, so an untrained unit separates them too. Both must be exceeded.

    ``auc_chosen``, ``auc_judged``: on each half alone.
    """
    table, control = layer["selectivity.class_selectivity"], layer["controls.untrained_networks"]
    law = beyond_rank(control, "auc")
    low, high = special.expit([law.low, law.high])
    columns = _columns(table, layer.axis)
    chosen, judged = (side.auc for side in Preference.of(*judging.examples(layer.trained), 0).sides)
    top = layer["selectivity.top_examples"].values
    for unit in range(layer.size):
        one = {name: column[unit] for name, column in columns.items()}
        if bool(one["gated"]):
            continue
        since = float(layer["selectivity.over_time"]["since"][unit])
        yield tested(
            unit=unit,
            yes=f"{layer.axis} {{unit:,}} prefers class {{preferred:,}} (AUC {{auc:2}}).",
            no=f"{layer.axis} {{unit:,}} is not shown to prefer a class more than untrained {layer.axis}s do (class "
            f"{{preferred:,}}, AUC {{auc:2}}).",
            numbers={
                "unit": unit,
                "preferred": int(one["preferred"]),
                "since": since,
                **_top(layer.run.probe.labels[top[unit][top[unit] >= 0]]),
                **{f"auc{end}": float(one[f"auc{end}"]) for end in ("", "_low", "_high", "_null_low", "_null_high")},
                "auc_untrained_low": float(low[unit]),
                "auc_untrained_high": float(high[unit]),
                "auc_chosen": float(chosen[unit]),
                "auc_judged": float(judged[unit]),
            },
            effect="auc",
            evidence="95% interval {auc_low:2} to {auc_high:2}; random images in place of the class {auc_null_low:2} to "
            f"{{auc_null_high:2}}; the {layer.axis} of the same rank by AUC in untrained networks {{auc_untrained_low:2}} to "
            "{auc_untrained_high:2}."
            + (
                ""
                if math.isnan(since)
                else f" It lies beyond shuffled labels from {'initialization' if since == 0 else '{since:step}'} on."
            ),
            null=f"random images in place of the class; the unit of the same rank by AUC in each of "
            f"{control.sizes['network']} untrained networks (Student's t)",
            p={"random images in place of the class": one["auc_p"], "untrained networks": law.p[unit]},
            floor=float(table["auc_p"].attrs.get("floor", 0.0)),
            n=int(table.attrs["n_examples"]),
            units="AUC",
            call=f'nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}")).isel({layer.axis}={unit})',
            critical=partial(_critical, control, "auc", unit, partial(_auc_above, int(control.attrs["n_examples"]))),
        )


TESTS = {
    "images": "no effect on the images",
    "directions": "random directions",
    "labels": "labels at random",
    "untrained": "untrained networks",
}
"""The nulls of `matters` in words."""


@of(causal.ablate_all).rule(
    "a unit matters",
    "Does any unit matter by itself?",
    columns={
        "loss increase (nats)": "{loss:3}",
        "95% interval": "{loss_low:3} to {loss_high:3}",
        "random directions": "{loss_null_low:3} to {loss_null_high:3}",
        "same rank, untrained": "{loss_untrained_high:upto3}",
        "class with the largest accuracy drop": "{class:,} ({drop:1%})",
    },
)
def matters(layer: LayerLook) -> Iterator[Claim]:
    """Loss increase when a unit is set to 0: it must exceed 0 over images, its value with random labels, that of random
    directions of equal norm, and that of the unit of the same rank in untrained networks. p is the largest of the four.

    The layer's units are tested one after the other until one fails, in the order of their effect on one half of the images; the first two
    tests are of the other half. That of directions is corrected over the layer (Holm).
    """
    effects, labels = layer["causal.ablate_all"], layer["causal.label_dependence"]
    control = layer["controls.untrained_networks"]
    choose, judge = statistics.halves(effects["label"].values)
    changes, beyond = effects["loss_change"].values.astype(float), labels["beyond_labels"].values.astype(float)
    places = np.argsort(np.argsort(-changes[:, choose].mean(1), kind="stable"), kind="stable")
    law, columns, judged = beyond_rank(control, "loss"), _columns(effects, layer.axis), changes[:, judge].mean(1)
    tests = {
        "images": causal.logits.mean_above_zero(changes[:, judge])[1].p,
        "directions": statistics.family_wise(effects["loss_increase_p"].values),
        "labels": causal.logits.mean_above_zero(beyond[:, judge])[1].p,
        "untrained": law.p,
    }
    floor = float(effects["loss_increase_p"].attrs["floor"])
    for unit in range(layer.size):
        one = {name: column[unit] for name, column in columns.items()}
        numbers = {
            f"loss{end}": float(one[f"loss_increase{end}"]) for end in ("", "_low", "_high", "_null_low", "_null_high")
        }
        ps = {f"p_{name}": float(each[unit]) for name, each in tests.items()}
        by_class = one["accuracy_drop_by_class"]
        worst = int(np.nanargmax(by_class)) if np.isfinite(by_class).any() else 0
        yield tested(
            unit=unit,
            place=int(places[unit]),
            yes=f"ablating {layer.axis} {{unit:,}} raises the loss by {{loss:3}} nats, from {{own:3}}.",
            no=f"{layer.axis} {{unit:,}} is not shown to matter by itself: when it is ablated, the loss {{loss:rises3}} nats, from "
            "{own:3}.",
            numbers={
                "unit": unit,
                "own": effects.attrs["loss"],
                **numbers,
                "loss_untrained_low": float(np.exp(law.low[unit])),
                "loss_untrained_high": float(np.exp(law.high[unit])),
                "loss_judged": float(judged[unit]),
                "class": worst,
                "drop": float(by_class[worst]) if np.isfinite(by_class).any() else math.nan,
                **ps,
            },
            effect="loss",
            evidence="95% interval over images {loss_low:3} to {loss_high:3}; "
            "random directions of equal norm {loss_null_low:3} to {loss_null_high:3}; "
            f"the {layer.axis} of {'the same rank by' if control['loss_rank'][unit] else 'the largest'} loss increase in untrained "
            "networks {loss_untrained_high:upto3}. "
            f"{'No class loses accuracy.' if by_class[worst] <= 0 else 'Accuracy drops most on class {class:,}: {drop:1%} of its images.'}",
            null=f"{effects.attrs['null']}{'' if floor else ', whose tail is fitted'}; labels at random (Student's t); the unit of the "
            f"same rank by loss increase in each of {control.sizes['network']} untrained networks (Student's t)",
            p={TESTS[name]: float(each[unit]) for name, each in tests.items()},
            floor=floor,
            draws=int(effects["loss_increase_p"].attrs["draws"]) if floor else 0,
            n=int(effects.attrs["n_examples"]),
            units="nats",
            call=f'nm.analysis.causal.ablate_all(run.model(), run.probe, "{layer.hook_point}").isel({layer.axis}={unit})',
            critical=partial(_critical, control, "loss", unit, partial(_loss_above, numbers["loss_null_high"])),
        )
