"""Rules about one hidden layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from ... import statistics
from ...claim import Claim, tested
from ...measure import of
from .. import geometry, selectivity, similarity
from ..look import LayerLook
from .networks import controlled


@of(selectivity.class_selectivity).rule(
    "learning makes units class-selective", "Has learning made units more class-selective on average?"
)
def selective(layer: LayerLook) -> Iterator[Claim]:
    """Mean AUC of the units, each for its preferred class, compared with untrained networks and shuffled labels."""
    tables = layer["selectivity.class_selectivity"], layer["selectivity.class_selectivity/untrained"]
    counts = [int(statistics.shown(table["auc_q"]).sum()) for table in tables]
    active = [int(np.isfinite(table["auc"].values).sum()) for table in tables]
    yield controlled(
        layer,
        "mean_auc",
        side="above",
        yes=f"learning makes the {layer.axis}s more class-selective (mean AUC {{mean_auc:3}} on {{compared:#image}}).",
        no=f"learning is not shown to make the {layer.axis}s more class-selective (mean AUC {{mean_auc:3}} on {{compared:#image}}).",
        numbers={
            "beyond": counts[0],
            "beyond_untrained": counts[1],
            "active": active[0],
            "active_untrained": active[1],
        },
        evidence=f"On all {{probed:,}}: {{beyond:,}} of {{active:,}} judged {layer.axis}s exceed shuffled labels (one-sided, 5% "
        "false-discovery rate); at initialization {beyond_untrained:,} of {active_untrained:,} (images of one class look alike, so "
        f"untrained {layer.axis}s can separate them too).",
        units="AUC",
        call=f'nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))',
    )


@of(selectivity.agreement).rule(
    "selectivity and effect go together", "Ablated one by one, do units with a higher AUC matter more or less?"
)
def link(layer: LayerLook) -> Iterator[Claim]:
    """Rank correlation of the units' AUC and the loss increase from ablating each, compared with untrained networks and shuffled
    labels.
    """
    table, effects = layer["selectivity.class_selectivity"], layer["causal.ablate_all"]
    rho, low, high = statistics.spearman(table["auc"].values, effects["loss_increase"].values)
    n = int((~np.isnan(table["auc"].values)).sum())
    claim = controlled(
        layer,
        "link",
        side="both",
        yes=f"ablating {layer.axis}s of higher AUC one by one raises the loss "
        f"{'more' if layer['controls.untrained_networks']['link'] > 0 else 'less'} (rank correlation of AUC and loss increase {{link:3}} "
        "on {compared:#image}).",
        no=f"ablating {layer.axis}s of higher AUC one by one is not shown to raise the loss more or less (rank correlation of AUC "
        "and loss increase {link:3} on {compared:#image}).",
        numbers={"rho": rho, "rho_low": low, "rho_high": high, "judged": n},
        evidence=f"On all {{probed:,}} images {{rho:3}} (95% interval over {{judged:#{layer.axis}}} {{rho_low:3}} to {{rho_high:3}}).",
        units="rank correlation",
        call=f'nm.statistics.spearman(nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))["auc"].values, '
        f'nm.analysis.causal.ablate_all(run.model(), run.probe, "{layer.hook_point}")["loss_increase"].values)',
    )
    if n >= statistics.FEWEST_PAIRS:
        yield claim


@of(selectivity.basis_comparison).rule(
    "single units differ from random directions",
    "Has learning made units more or less class-selective than random directions?",
)
def privileged(layer: LayerLook) -> Iterator[Claim]:
    """The units' mean AUC minus that of random directions (the axes of random rotations of the layer), compared with the same difference
    in untrained networks and under shuffled labels.
    """
    table = layer["selectivity.basis_comparison"].isel(basis=0)
    control = layer["controls.untrained_networks"]
    more = bool(control["auc_gap"] > control["auc_gap_untrained"].mean())
    yield controlled(
        layer,
        "auc_gap",
        side="both",
        yes=f"learning makes single {layer.axis}s {'more' if more else 'less'} class-selective relative to random directions "
        "(difference in mean AUC {auc_gap:3} on {compared:#image}).",
        no=f"learning is not shown to make single {layer.axis}s more or less class-selective relative to random directions "
        "(difference in mean AUC {auc_gap:3} on {compared:#image}).",
        numbers={f"auc{end}": float(table[f"auc{end}"]) for end in ("", "_null_low", "_null_high")},
        evidence=f"On all {{probed:,}}, by another AUC (low activations count too), the {layer.axis}s' mean is {{auc:3}}, that of "
        "random directions {auc_null_low:3} to {auc_null_high:3}; the test is of how this difference compares with that of untrained "
        "networks.",
        units="AUC",
        call=f'nm.analysis.selectivity.basis_comparison(run.activations("{layer.hook_point}"))',
    )


@of(geometry.clusters).rule("same-class neighbor purity rises", "Do images of one class become neighbors?")
def gathered(layer: LayerLook) -> Iterator[Claim]:
    """Share of an image's 10 nearest neighbors that have its class, compared with untrained networks and shuffled labels."""
    table = layer["geometry.clusters"]
    start, end = (float(table["purity"][i]) for i in (0, -1))
    yield controlled(
        layer,
        "purity",
        side="above",
        digits="1%",
        yes="same-class neighbor purity rises: {purity:1%} of an image's nearest neighbors have its class (on {compared:#image}).",
        no="same-class neighbor purity is not shown to rise ({purity:1%} of an image's nearest neighbors have its class, on "
        "{compared:#image}).",
        numbers={"start": start, "end": end} | {f"end_{e}": float(table[f"purity_{e}"][-1]) for e in ("low", "high")},
        evidence="Among all {probed:#image} {end:1%} (95% interval {end_low:1%} to {end_high:1%}; the more images, the closer "
        "the neighbors), at initialization {start:1%}.",
        units="share of neighbors",
        call=f'nm.analysis.geometry.clusters(run.activations("{layer.hook_point}"), at=(0, -1))',
    )


@of(similarity.drift).rule(
    "geometry is present at initialization",
    "Is part of the final geometry present at initialization?",
    false_on=(),
    why="it compares one network's geometry with itself and needs neither labels nor learning; an untrained network has one snapshot",
)
def present(layer: LayerLook) -> Iterator[Claim]:
    """1 minus the squared distance between the first and the last snapshot that no shift, scaling and rotation removes, as a share of the
    last one's variance. Compared with shuffled images. Beside it the same without each one's first principal component, which can hold
    nearly all variance.
    """
    table, apart = layer["similarity.drift"], layer["similarity.drift/without the first component"]
    change = table["function"].values
    if len(change) < 2 or not change[0] > 0:
        return
    low, high = (float(table[f"function_null_{end}"][0]) for end in ("low", "high"))
    first, others = float(apart["removed"][-1]), 1 - float(apart["function"][0])
    half = np.flatnonzero(change <= change[0] / 2)
    middle, spread = (low + high) / 2, (high - low) / 2 / stats.norm.ppf(statistics.INTERVAL[1] / 100)
    p = float(stats.t.cdf((change[0] - middle) / spread, 19)) if spread > 0 else math.nan
    yield tested(
        yes="{present:1%} of the final geometry (the arrangement of the images, up to shift, scale and rotation) is present at "
        f"initialization, more than in shuffled images{'; without the first principal component {apart:1%}' * math.isfinite(others)}.",
        no="the final geometry (the arrangement of the images) is not shown to be present at initialization.",
        numbers={
            "present": 1 - float(change[0]),
            "present_null_low": 1 - high,
            "present_null_high": 1 - low,
            "bound": float(np.ceil(1000 * (1 - low))) / 1000,
            "rest": float(change[0]),
            "apart": others,
            "apart_bound": float(np.ceil(1000 * (1 - float(apart["function_null_low"][0])))) / 1000,
            "first": first,
            "half": float(table["step"][half[0]]) if len(half) else math.nan,
        },
        effect="present",
        evidence="Shuffled images: below {bound:1%}. The first principal component holds {first:1%} of the final variance"
        + ("; without it, shuffled images: below {apart_bound:1%}. " if math.isfinite(others) else ". ")
        + (
            "Half of the remaining {rest:1%} is complete by {half:step}."
            if len(half)
            else "At no snapshot is half of the remaining {rest:1%} complete."
        ),
        null="20 shuffles of the images (Student's t)",
        p=p,
        n=int(table.attrs["n_examples"]),
        units="share of the geometry",
        call=f'nm.analysis.similarity.drift(run.activations("{layer.hook_point}"))',
        critical=lambda level: 1 - float(middle + spread * stats.t.ppf(level, 19)),
    )
