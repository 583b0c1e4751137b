"""What is said of results that no rule tests, and the form of every measure's picture, in the order in which a page shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...claim import Claim, say
from ...measure import every, of
from ...statistics import shown
from .. import dynamics, geometry, similarity
from ..look import FirstLook, LayerLook, Pair


def descriptions(at: FirstLook | Pair, claims: Sequence[Claim] = ()) -> list[Claim]:
    """What is said without a test of a network and its layers, or of a pair. A measure with a picture, of which neither ``claims`` nor
    a description says anything here, is named.
    """
    found: list[Claim] = []
    places: list[Any] = [at, *(at.layers if isinstance(at, FirstLook) else ())]
    for measure in every():
        for place in places:
            hook_point, axis = getattr(place, "hook_point", ""), getattr(place, "axis", "unit")
            told = [one for d in measure.descriptions if d.scope == place.scope for one in d.claims(place)]
            known = any(
                (c.measure, c.network) == (measure.name, at.name) and hook_point in ("", c.hook_point) for c in claims
            )
            if not told and not known and measure.pictures and measure.scope == place.scope:
                told = [say(f"{measure.name} is described", f"{measure.title.lower()} is described.")]
            found += [
                replace(
                    one, measure=measure.name, network=at.name, hook_point=hook_point, axis=axis, n=len(place.run.probe)
                )
                for one in told
            ]
    return found


def goes(start: float, end: float) -> str:
    """``rises from {start:g} to {end:g}``, or falls, or that it does neither to three digits."""
    if math.isnan(start) or f"{start:.3g}" == f"{end:.3g}":
        return "is {end:g}"
    return f"{'falls' if end < start else 'rises'} from {{start:g}} to {{end:g}}"


def _ends(values: Any) -> dict[str, float]:
    return {"start": float(values[0]), "end": float(values[-1])}


# How the network learned, and what it predicts.


@of(dynamics.learning_curve).describe("network")
def training(at: FirstLook) -> Iterator[Claim]:
    config, curve = at.run.train_config, at["dynamics.learning_curve"]
    trained = "trained for {epochs:#epoch} of {steps:#step} with {optimizer}, learning rate {rate:g} ({schedule}); "
    yield say(
        "the training",
        (trained if config.epochs else "not trained; ")
        + "test loss {loss:3} nats, test error {error:2%} at {last:step}.",
        epochs=config.epochs,
        steps=int(at.run.description["steps_per_epoch"]),
        optimizer=config.optimizer,
        rate=config.learning_rate,
        schedule=config.schedule,
        loss=float(curve["test_loss"][-1]),
        error=float(curve["test_error"][-1]),
        last=int(curve["step"][-1]),
    )


of(dynamics.learning_curve).picture(
    "learning_curves",
    "Both axes are logarithmic. Strong lines: all test images; faint: the batches trained on, means over stretches of steps.",
    scope="page",
)


@of(dynamics.learning_by_class).describe("network")
def classes(at: FirstLook) -> Iterator[Claim]:
    end = at["dynamics.learning_by_class"]["accuracy"].transpose("snapshot", "class").values[-1]
    known = np.flatnonzero(np.isfinite(end))
    if len(known):
        worst, best = (int(known[pick(end[known])]) for pick in (np.argmin, np.argmax))
        yield say(
            "accuracy of the classes",
            "at the last snapshot class {worst:,} has the lowest test accuracy ({low:1%}), class {best:,} the highest ({high:1%}).",
            worst=worst,
            low=float(end[worst]),
            best=best,
            high=float(end[best]),
        )


of(dynamics.learning_by_class).picture(
    "class_learning",
    "All test images at each snapshot, each class by its digit. Which class is learned first is a question of its own, with a null, below: "
    "an untrained network that predicts one class for every image is right on all of that class.",
)


@of(dynamics.gradient_flow).describe("network")
def updates(at: FirstLook) -> Iterator[Claim]:
    table = at["dynamics.gradient_flow"]
    ratio = table["update_ratio"].values if table is not None else np.zeros(0)
    if np.isfinite(ratio).any():
        yield say(
            "the size of an update",
            "an update changes the weights by {ratio:2%} of their norm (median over parameters and stretches of steps).",
            ratio=float(np.nanmedian(ratio)),
        )


of(dynamics.gradient_flow).picture(
    "gradient_flow",
    "Medians over log-spaced stretches of steps; the band is the spread between batches. The dotted line is a rule of thumb, not a null.",
    more=True,
)


def first_weights(at: FirstLook) -> dict[str, Any]:
    """The first layer's weights as pictures [unit, row, col], trained and untrained, and the pixels that never change."""
    run = at.run
    end, start = run.weights(), run.weights(0)
    name = next(name for name in run.description["parameters"] if end[name].ndim in (2, 4))
    trained, untrained = end[name].numpy(), start[name].numpy()
    constant, shape = None, trained.shape[2:]
    if trained.ndim == 2:
        shape = run.probe.image_shape
        constant = np.zeros(shape, bool)
        constant.reshape(-1)[run.description["constant_pixels"]] = True
    return {
        "trained": trained.reshape(-1, *shape),
        "untrained": untrained.reshape(-1, *shape),
        "constant": constant,
    }


@of(dynamics.weight_spectra).describe("network")
def weights(at: FirstLook) -> Iterator[Claim]:
    table = at["dynamics.weight_spectra"].isel(parameter=0)
    ends = _ends(table["stable_rank"].values)
    norms = [
        np.linalg.norm(w.reshape(len(w), -1), axis=1) for w in (first_weights(at)[k] for k in ("trained", "untrained"))
    ]
    grew = np.median(norms[0][norms[1] > 0] / norms[1][norms[1] > 0]) if (norms[1] > 0).any() else math.nan
    yield say(
        "the first layer's weights",
        f"the first weight matrix's stable rank {goes(**ends)} (its entries shuffled: {{low:g}} to {{high:g}}); at the last snapshot "
        "the norm of a unit's incoming weights is {grew:2} times that at initialization (median unit).",
        grew=float(grew),
        low=float(table["stable_rank_null_low"][-1]),
        high=float(table["stable_rank_null_high"][-1]),
        **ends,
    )


of(dynamics.weight_spectra).picture(
    "weights",
    "The first layer's weights: orange adds to a unit, blue takes away, on one scale for both. Grey pixels are the same in every "
    "training image, so their weights are still random.",
    takes=lambda at: (
        {k: w if k == "constant" else w[:16] for k, w in first_weights(at).items()} if at.layers else {"": None}
    ),
)
of(dynamics.weight_spectra).picture(
    "weight_spectra", "Stable rank: the sum of the squared singular values over the largest of them.", more=True
)

# Layers.


@of(dynamics.activity).describe("layer")
def dead(at: LayerLook) -> Iterator[Claim]:
    table = at["dynamics.activity"]
    states = {state: table[state].transpose("snapshot", ...).values.sum(1) for state in ("dead", "always_on")}
    yield say(
        "dead and always-on units",
        f"{{dead:,}} of {{size:#{at.axis}}} are dead: above 0 for no probe image (at initialization {{dead_start:,}}); "
        "{always_on:,} are always on (at initialization {always_on_start:,}).",
        size=at.size,
        **{state: int(counts[-1]) for state, counts in states.items()},
        **{f"{state}_start": int(counts[0]) for state, counts in states.items()},
    )


of(dynamics.activity).picture(
    "unit_states",
    "Always on: above 0 for almost every image; dead: for none. A channel is on where any position of its map is.",
    scope="network",
)
of(dynamics.activity).picture(
    "activity_over_time",
    "Mean activation; each row a unit, each column a snapshot. Of a channel the mean over its map.",
    scope="network",
    takes=lambda at: {"activities": {one.hook_point: one["dynamics.activity/mean"] for one in at.layers} or None},
)


@of(dynamics.histograms).describe("layer")
def spread(at: LayerLook) -> Iterator[Claim]:
    ends = _ends(at["dynamics.histograms"]["spread"].values)
    yield say(
        "the spread of what the nonlinearity receives",
        f"the standard deviation of what its nonlinearity receives {goes(**ends)}.",
        **ends,
    )


of(dynamics.histograms).picture(
    "histograms_over_time",
    "Each column is the histogram of one snapshot, over all images and units. The line marks 0, below which a ReLU passes nothing on.",
    scope="network",
    takes=lambda at: {
        "tables": {one["dynamics.histograms"].attrs["hook_point"]: one["dynamics.histograms"] for one in at.layers}
        or None
    },
)


@of(dynamics.lives).describe("layer")
def silent(at: LayerLook) -> Iterator[Claim]:
    table = at["dynamics.lives"]
    yield say(
        "units that fall silent",
        f"{{silent:,}} of {{size:#{at.axis}}} are silent at some snapshot: {{died:,}} fall silent for good, {{revived:,}} fire again after "
        "a silence.",
        silent=int((~table["alive"].transpose("snapshot", ...).values.all(0)).sum()),
        size=at.size,
        died=int(np.isfinite(table["died_at"]).sum()),
        revived=int((table["revivals"] > 0).sum()),
    )


def _ever_silent(at: FirstLook) -> dict[str, Any]:
    tables = {one.hook_point: one["dynamics.lives"] for one in at.layers}
    return {"tables": tables if any((~t["alive"]).any() for t in tables.values()) else None}


of(dynamics.lives).picture(
    "unit_lives",
    "Units that are silent at some snapshot, on these images.",
    scope="network",
    more=True,
    takes=_ever_silent,
)


@of(geometry.pca).describe("layer")
def components(at: LayerLook) -> Iterator[Claim]:
    end, start = at["geometry.pca"], at["geometry.pca/untrained"]
    if np.isfinite(float(end["between"][-1])):
        yield say(
            "principal components",
            "its first two principal components hold {explained:0%} of the variance (units shuffled: {chance:0%}); {between:0%} of the "
            "spread on them lies between the classes (untrained, on its own components: {between_start:0%}).",
            explained=float(end["explained"].sum()),
            chance=float(end["explained_by_chance"].sum()),
            between=float(end["between"][-1]),
            between_start=float(start["between"][0]),
        )
    else:
        yield say(
            "principal components",
            "every image has the same activations at the last snapshot: there are no components.",
        )


def _maps(at: FirstLook) -> dict[str, Any]:
    steps = at.run.steps
    middle = [int(np.searchsorted(steps, 64))] if steps[-1] > 64 else []
    return {
        "results": {one.hook_point: one["geometry.pca"] for one in at.layers} or None,
        "untrained": {one.hook_point: one["geometry.pca/untrained"] for one in at.layers},
        "snapshots": sorted({0, *middle, len(steps) - 1}),
    }


of(geometry.pca).picture(
    "pca_over_time",
    "Each image as its digit on the two directions in which a layer's activations vary most. The first column gives the untrained network "
    "components of its own: images of one class look alike, so some order is there before learning. The others share the components of "
    "the last snapshot.",
    scope="network",
    takes=_maps,
)


@of(geometry.dimension).describe("layer")
def dimensions(at: LayerLook) -> Iterator[Claim]:
    table = at["geometry.dimension"]
    ends, null = _ends(table["participation_ratio"].values), table["participation_ratio_null_high"].values
    yield say(
        "dimensions",
        f"the participation ratio {goes(**ends)} dimensions (units shuffled: up to {{null:g}}).",
        null=float(null[-1]),
        **ends,
    )


of(geometry.dimension).picture("dimension_over_time", scope="network")
of(geometry.clusters).picture("clusters_over_time", scope="network", more=True)
of(geometry.neural_collapse).picture(
    "collapse_over_time",
    "The last hidden layer (Papyan et al.): all measures fall to 0 when training goes on far beyond the last error.",
    part="layers",
)
of(similarity.drift).picture(
    "drift",
    "The layer against itself at the last snapshot, on the same images, split into what a rotation of its space undoes and what it does "
    "not. CKA stands beside the Procrustes distance, never alone.",
)


@of(similarity.unit_drift).describe("layer")
def selves(at: LayerLook) -> Iterator[Claim]:
    table = at["similarity.unit_drift"]
    alike = shown(table["correlation_q"].transpose("snapshot", ...).values).mean(1)
    most = np.flatnonzero(alike > 0.5)
    yield say(
        "units that resemble their final selves",
        f"{{start:0%}} of the {at.axis}s resemble their final selves more than any other {at.axis} does at initialization"
        + ("; more than half do from {since:step} on." if len(most) else "; at no snapshot more than half."),
        start=float(alike[0]),
        since=int(table["step"][most[0]]) if len(most) else math.nan,
    )


of(similarity.unit_drift).picture("unit_drift", "Correlation over the images; hatched: dead.", more=True)


@of(similarity.matrix).describe("network")
def alike(at: FirstLook) -> Iterator[Claim]:
    table = at["similarity.matrix"]
    if table is None or table.sizes["layer"] < 2:
        return
    above = np.where(np.triu(np.ones(table["cka"].shape), 1) > 0, table["cka"].values, np.nan)
    if np.isfinite(above).any():
        row, column = np.unravel_index(np.nanargmax(above), above.shape)
        yield say(
            "the layers most alike",
            "of its layers {a} and {b} are most alike (CKA {cka:2}; images shuffled: up to {null:2}).",
            cka=float(above[row, column]),
            null=float(table["cka_null_high"][row, column]),
            a=str(table["layer"][row].values),
            b=str(table["layer_b"][column].values),
        )


of(similarity.matrix).picture(
    "similarity_matrix",
    "Debiased CKA, Procrustes distance (0: the same shape) and SVCCA.",
    part="layers",
    takes=lambda at: {
        "table": table if (table := at["similarity.matrix"]) is not None and table.sizes["layer"] > 1 else None
    },
)

# Side by side.


@of(similarity.matrix).describe("pair")
def nearest(at: Pair) -> Iterator[Claim]:
    end, start = at["similarity.matrix/pair"], at["similarity.matrix/untrained pair"]
    if np.isfinite(end["cka"]).any():
        row, column = np.unravel_index(np.nanargmax(end["cka"].values), end["cka"].shape)
        yield say(
            "the layers most alike",
            f"{{a}} of the {at.first.name} and {{b}} of the {at.second.name} are most alike (CKA {{cka:2}}; images shuffled: up to "
            "{null:2}); before training no two layers have more than {start:2}.",
            cka=float(end["cka"][row, column]),
            null=float(end["cka_null_high"][row, column]),
            start=float(np.nanmax(start["cka"])) if np.isfinite(start["cka"]).any() else math.nan,
            a=str(end["layer"][row].values),
            b=str(end["layer_b"][column].values),
        )


def _sides(at: Pair, variant: str) -> dict[str, Any]:
    return {"table": at[f"similarity.matrix/{variant}"], "rows": at.first.name, "columns": at.second.name}


of(similarity.matrix).picture("similarity_matrix", "Trained.", scope="pair", takes=lambda at: _sides(at, "pair"))
of(similarity.matrix).picture(
    "similarity_matrix", "Untrained.", scope="pair", more=True, takes=lambda at: _sides(at, "untrained pair")
)
