"""Experiments on a network's training for the page: its replays, and the influence of training images. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..analysis.development import change_of_learning, takeover
from ..changes import Ablate
from ..claim import Claim
from ..data import Dataset
from ..errors import DataError
from ..influence import claims as influence_claims
from ..influence.targets import prediction_of
from ..recording import recorded_data
from ..replays import Replay
from ..replays.claims import TAKES_OVER, judged
from ..run import Run
from .measured import plain
from .weights import packed

Influence = xr.DataArray | xr.Dataset
"""A result of `influence.estimate` or of `influence.verify`."""

MOST_TARGETS = 30
"""Predictions whose training images a page shows, at most."""

PICTURES = 8
"""Training images that a row shows."""

GROUPS = 3
"""Sets of training images that a list shows."""


def forks(run: Run, layers: Sequence[str]) -> dict[str, Any]:
    """A run's replays, and the steps at which it can be forked; empty for a run without."""
    found = [
        {
            "name": one.folder.name,
            "wrong": one.wrong,
            **({} if one.replay is None else _replay(one.replay, one.claims, layers)),
        }
        for one in judged(run)
    ]
    kept = [step for step in run.kept_states if step < run.steps[-1]]
    able = run.description["model"]["kind"] != "module" and run.description["record"].get("keep_states")
    return {**({"replays": found} if found else {}), **({"forks": kept} if kept and able else {})}


def _replay(one: Replay, claims: Sequence[Claim], layers: Sequence[str]) -> dict[str, Any]:
    held = one.settings
    lost = [change for change in one.changes if isinstance(change, Ablate)]
    places = [_place(change.layer, layers) for change in lost]
    told = {
        "title": one.title,
        "at": held.at,
        "until": held.until,
        "orders": len(one.complete),
        "nulls": len(held.nulls),
        "lost": [
            {"layer": place, "unit": unit}
            for change, place in zip(lost, places, strict=True)
            for unit in change.chosen
            if place is not None
        ],
        "claims": [claim.to_json() for claim in claims],
    }
    if not claims:
        return told
    change = change_of_learning(one.scores.loss)
    taken = next((claim for claim in claims if claim.rule == TAKES_OVER), None)
    return told | {
        "steps": list(held.steps),
        "loss": _over_orders(one.scores.loss),
        "accuracy": _over_orders(100 * one.scores.accuracy),
        "change": _with_ends(change, "change"),
        "order_sd": plain(change["order_sd"].values),
        **({} if taken is None else {"takeover": _takeover(one, lost[0], taken)}),
    }


def _takeover(one: Replay, lost: Ablate, claim: Claim) -> dict[str, Any]:
    """The ablation effect of the unit with the largest rise; ``by`` is None where no takeover is shown."""
    effects = one.effects(lost.layer)
    table = takeover(effects, lost.chosen).isel(unit=claim.unit)
    return {
        "unit": claim.unit,
        "layer": lost.layer,
        "by": int(table["by"]) if claim.shown and np.isfinite(table["by"]) else None,
        "orders": int(table["orders"]),
        "effect": _over_orders(effects.isel(unit=claim.unit)),
    }


def _with_ends(table: xr.Dataset, name: str) -> dict[str, list[Any]]:
    """A quantity with the ends of its interval and of its null."""
    ends = {"value": "", "low": "_low", "high": "_high", "nullLow": "_null_low", "nullHigh": "_null_high"}
    return {key: plain(table[f"{name}{end}"].values) for key, end in ends.items()}


def _over_orders(values: xr.DataArray) -> dict[str, dict[str, list[Any]]]:
    """Twins and branches at each step: mean, lowest and highest over the orders."""
    return {
        role: {
            "mean": plain(one.mean("order").values),
            "low": plain(one.min("order").values),
            "high": plain(one.max("order").values),
        }
        for role in ("twin", "branch")
        for one in [values.sel(network=role)]
    }


def _place(layer: str, layers: Sequence[str]) -> int | None:
    """A layer's place on the page."""
    return next((place for place, name in enumerate(layers) if name.removesuffix(".hook_post") == layer), None)


def results_of(influence: Influence | Sequence[Influence]) -> list[Influence]:
    """Results of `influence.estimate` and `influence.verify`, or a DataError that says what else was given."""
    each = [influence] if isinstance(influence, xr.DataArray | xr.Dataset) else list(influence)
    for one in each:
        if isinstance(one, xr.DataArray):
            known, has = (
                one.name == "influence" and one.dims == ("target", "example") and "method" in one.attrs,
                one.dims,
            )
        else:
            known, has = "left_out" in one, tuple(one.data_vars)
        if not known:
            words = ", ".join(map(str, has)) or "no values"
            raise DataError(f"influence has {words}; give results of nm.influence.estimate or nm.influence.verify")
    return each


def influences(run: Run, given: Sequence[Influence], data: Dataset | None) -> dict[str, Any]:
    """The influence of training images on predictions of a run, as its results tell it.

    Args:
        run: The run that they are about.
        given: Results of `influence.estimate`, `influence.verify`, or both.
        data: The data of the run; None: the set that `load` knows by the recorded name.
    """
    data = recorded_data(run.folder, run.description, data)
    for one in given:
        if one.sizes["example"] != len(data.train):
            raise DataError(
                f"influence is of {one.sizes['example']:,} training images, and {data.name} has {len(data.train):,}"
            )
    estimates = [one for one in given if isinstance(one, xr.DataArray)]
    verified = [one for one in given if isinstance(one, xr.Dataset)]
    names = list(dict.fromkeys(str(name) for one in given for name in one["target"].values))
    shown, pictures = names[:MOST_TARGETS], _Pictures(data)
    asked = [_asked(name, run, estimates, verified, pictures) for name in shown]
    return {
        "asked": asked,
        "all": len(names),
        "verified": [_verified(one) for one in verified],
        "images": pictures.stored(),
    }


class _Pictures:
    """The training and test images that the page shows, each once."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.places: dict[tuple[str, int], int] = {}

    def of(self, part: Literal["train", "test"], number: int) -> int:
        """The image's place among the pictures."""
        return self.places.setdefault((part, int(number)), len(self.places))

    def stored(self) -> dict[str, Any]:
        images = {"train": self.data.train, "test": self.data.test}
        each = [images[part].subset([number]) for part, number in self.places]
        pixels = [(255 * one.tensor().float()).round().clamp(0, 255).numpy().astype(np.uint8) for one in each]
        return {
            "number": [number for _, number in self.places],
            "label": [int(one.labels[0]) for one in each],
            "pixels": packed(np.concatenate(pixels)) if pixels else "",
        }


def _asked(
    name: str, run: Run, estimates: Sequence[xr.DataArray], verified: Sequence[xr.Dataset], pictures: _Pictures
) -> dict[str, Any]:
    """One target: its test image, and the images and sets that raise and lower it most. Sets of a refused question are left out."""
    image, sign = prediction_of(name)
    probed = run.probe_indices.tolist()
    return {
        "name": name,
        "sign": sign,
        "image": None if image is None else pictures.of("test", image),
        "probe": probed.index(image) if image in probed else None,
        "estimates": [
            {"method": one.attrs["method"], "runs": one.attrs["runs"], **_extremes(one.sel(target=name), pictures)}
            for one in estimates
            if name in one["target"].values
        ],
        "groups": [
            {"of": place, **_groups(one, name, pictures)}
            for place, one in enumerate(verified)
            if name in one["target"].values and not one.attrs["reason"]
        ],
    }


def _extremes(influence: xr.DataArray, pictures: _Pictures) -> dict[str, Any]:
    """The training images with the largest and the smallest influence, of those above and below 0."""
    values = influence.values
    order = np.argsort(-values, kind="stable")
    high = [i for i in order[:PICTURES] if values[i] > 0]
    low = [i for i in order[::-1][:PICTURES] if values[i] < 0]

    def told(chosen: Sequence[int]) -> dict[str, Any]:
        return {
            "images": [pictures.of("train", i) for i in chosen],
            "values": plain(values[list(chosen)].astype(float)),
        }

    return {"raise": told(high), "lower": told(low)}


def _groups(found: xr.Dataset, name: str, pictures: _Pictures) -> dict[str, Any]:
    """The sets whose presence raises and lowers a target most, by the mean effect over the retrained seeds."""
    effect = found["effect"].sel(target=name)
    mean = effect.mean("seed").values
    order = np.argsort(mean, kind="stable")

    def told(place: int) -> dict[str, Any]:
        members = np.flatnonzero(found["left_out"].values[place])
        values = effect.values[place]
        return {
            "images": [pictures.of("train", i) for i in members[:PICTURES]],
            "size": len(members),
            "effect": float(f"{mean[place]:.6g}"),
            "low": float(f"{values.min():.6g}"),
            "high": float(f"{values.max():.6g}"),
        }

    return {
        "raise": [told(i) for i in order[:GROUPS] if mean[i] < 0],
        "lower": [told(i) for i in order[::-1][:GROUPS] if mean[i] > 0],
    }


def _verified(found: xr.Dataset) -> dict[str, Any]:
    """Each method's agreement with retraining, with the claims about it; of a refused question the reason."""

    def number(name: str) -> float | None:
        return plain(found[name].values.reshape(1))[0]

    return {
        "reason": found.attrs["reason"],
        "sets": found.attrs["n_sets"],
        "seeds": found.attrs["n_seeds"],
        "targets": found.attrs["n_targets"],
        "vary": found.attrs["vary"],
        "reliability": number("reliability"),
        "ceiling": number("ceiling"),
        "methods": found["estimate"].values.tolist(),
        **_with_ends(found, "agreement"),
        "claims": [claim.to_json() for claim in influence_claims(found)],
    }
