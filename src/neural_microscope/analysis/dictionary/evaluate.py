"""Reconstruction quality of a dictionary, and its stability across seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ... import interventions, named
from ...data import ImageSet
from ...errors import DataError
from ...hooks import activations, evaluation, hooked
from ...measure import measure, of
from ...statistics import beside, bootstrap, bootstrap_mean, random_directions
from .sae import TopKSAE, encode, made_of, noise, random_sae, rows, untrained_sae

FLOORS = ("zero", "mean")
"""Replacements for the whole layer that keep none of it."""


@measure(
    "dictionary",
    title="Fidelity of a dictionary",
    null="{draws} random dictionaries of the same size and k; zero and mean in place of the layer",
    replicates="image",
    interval="95% bootstrap over images of one network",
    source="Gao et al. 2024 (TopK); Cunningham et al. 2023",
)
def evaluate_sae(
    sae: TopKSAE,
    acts: xr.DataArray,
    model: nn.Module | None = None,
    images: ImageSet | None = None,
    hook_point: str | None = None,
    *,
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """Reconstruction quality of a dictionary on activations, preferably of held-out images.

    Args:
        sae: A dictionary, trained or random.
        acts: Activations [example, unit]; of whole maps [example, channel, row, col] every position is an example; of
            several snapshots the last.
        model: Network, or any torch module, in which the reconstruction replaces the layer; None: only the activations
            are compared.
        images: Images with labels, for the model.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``, for the model.
        draws: Number of draws of the null (random dictionaries of the same size and k, `random_sae`).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Scalars, unless their axes are given.

        * ``fvu``: ``sum |x - x^|^2 / sum |x - mean|^2``, the share of variance unexplained: 0 for a perfect copy, 1 for
          the mean, more if worse; NaN for constant activations. ``fvu_low``, ``…_high``: bootstrap over examples.
          ``fvu_null_low``, ``…_high``, ``…_p`` (one-sided: smaller than under the null): a lower value than that of the
          random dictionaries shows that training fitted the activations, not that there is sparse structure in them.
        * ``fvu_pca``: the same of the k leading principal components of the same activations, as many numbers an
          example; fewer numbers than a dictionary has directions can beat it only if the activations are
          low-dimensional.
        * ``l0``: mean number of latents above 0, at most k.
        * ``density`` [latent]: share of examples (of maps: of positions) where the latent is above 0; ``dead_share``:
          share of latents with density 0.
        * With a model, ``cross_entropy`` [patched] (nats) with ``clean`` activations, the ``sae``'s, all ``zero``, and
          the layer's ``mean`` over these images.
        * With a model, ``recovered`` [floor] = (CE_floor - CE_sae) / (CE_floor - CE_clean) for both floors: 1 where
          nothing is lost, 0 where nothing is kept; NaN where the floor does not raise the loss. ``recovered_low``,
          ``…_high``: bootstrap over images; ``recovered_null_low``, ``…_high``, ``…_p``: the same random dictionaries
          in place of the layer.

    Raises:
        UnknownName: A hook point that does not exist.
        DataError: The dictionary is for a layer of another width, or a model without images and hook point.

    >>> sae = nm.analysis.dictionary.random_sae(acts, n_latents=16, k=2)
    >>> table = nm.analysis.dictionary.evaluate_sae(sae, acts, draws=5)
    >>> float(table["l0"]) <= 2
    True
    """
    x = rows(acts)
    latents = encode(sae, acts)
    density = (latents > 0).mean([dim for dim in latents.dims if dim != "latent"]).values
    others = [random_sae(acts, sae.n_latents, int(sae.k), seed=seed + 1 + i) for i in range(draws)]
    null = np.array([_unexplained(other, x)[0] for other in others])
    fvu, per_row, total = _unexplained(sae, x)
    per_example = per_row.reshape(latents.sizes["example"], -1).mean(1) * len(x) / total if total else per_row * np.nan
    interval = bootstrap_mean(per_example, seed=seed)
    found: dict[str, Any] = {
        **beside("fvu", fvu, null, side="below", interval=interval, family=False),
        "fvu_pca": _beyond_components(x, int(sae.k)),
        "l0": density.sum(),
        "dead_share": (density == 0).mean(),
        "density": ("latent", density),
    }
    if model is not None:
        if images is None or hook_point is None:
            raise DataError("patching needs the model, the images and the hook point")
        found |= _patched(sae, others, model, images, hook_point, seed)
    table = xr.Dataset(found)
    for name in table.data_vars:
        table[name].attrs["units"] = "nats" if name == "cross_entropy" else "latents" if name == "l0" else "1"
    return table


def _unexplained(sae: TopKSAE, x: np.ndarray) -> tuple[float, np.ndarray, float]:
    """(fraction of variance unexplained, squared error of each row, total sum of squares about the mean)."""
    with torch.no_grad():
        error = np.square(x - sae(torch.from_numpy(x.astype(np.float32))).numpy()).sum(1)
    total = float(np.square(x - x.mean(0)).sum()) if np.ptp(x, axis=0).any() else 0.0
    return (float(error.sum() / total) if total else np.nan), error, total


def _beyond_components(x: np.ndarray, k: int) -> float:
    """The share of variance that the k leading principal components leave unexplained."""
    centred = x - x.mean(0)
    values = np.linalg.eigvalsh(centred.T @ centred).clip(min=0)
    return float(values[: max(len(values) - k, 0)].sum() / values.sum()) if np.ptp(x, axis=0).any() else np.nan


def _patched(
    sae: TopKSAE, others: list[TopKSAE], model: nn.Module, images: ImageSet, layer: str, seed: int
) -> dict[str, Any]:
    reference = activations(model, images, layer)[layer]
    change = {
        "clean": None,
        "sae": _reconstruct(sae),
        "zero": interventions.zero(),
        "mean": interventions.mean(reference),
    }
    loss = {name: _losses(model, images, layer, hook) for name, hook in change.items()}
    stacked = np.stack(list(loss.values()))  # [patched, example]
    values = _recovered(stacked)
    interval = bootstrap(lambda chosen: _recovered(stacked[:, chosen]), len(images), seed=seed)
    clean, _, *floors = stacked
    drawn = (_losses(model, images, layer, _reconstruct(other)) for other in others)
    null = np.stack([_recovered(np.stack([clean, losses, *floors])) for losses in drawn])
    return {
        "cross_entropy": ("patched", stacked.mean(1)),
        "patched": list(change),
        "floor": list(FLOORS),
        **beside("recovered", values, null, "floor", interval=interval, family=False),
    }


def _recovered(losses: np.ndarray) -> np.ndarray:
    """[floor] of the losses [clean | sae | zero | mean, example]; NaN where the floor is not above clean."""
    clean, sae, *floors = losses.mean(1)
    return np.array([(floor - sae) / (floor - clean) if floor > clean else np.nan for floor in floors])


def _reconstruct(sae: TopKSAE) -> interventions.Intervention:
    """Replaces [example, unit] or, at each position, [example, channel, row, col] with the reconstruction."""

    def hook_fn(tensor: Tensor, hook: Any) -> Tensor:
        if tensor.shape[1] != len(sae.b_dec):
            raise DataError(f"{hook.name!r} has {tensor.shape[1]} units; the dictionary is for {len(sae.b_dec)}")
        copy = sae.to(tensor.device)(tensor.movedim(1, -1).to(sae.W_dec.dtype)).movedim(-1, 1)
        return copy.to(tensor.dtype)

    return hook_fn


def _losses(
    model: nn.Module, images: ImageSet, layer: str, hook: interventions.Intervention | None, size: int = 1024
) -> np.ndarray:
    """Cross-entropy of each image, in float64, with the layer changed."""
    lens = hooked(model)
    pixels, labels = images.tensor(), images.label_tensor()
    device = next((p.device for p in model.parameters()), pixels.device)
    found = []
    with torch.no_grad(), evaluation(lens), lens.hooks([(layer, hook)] if hook else []):
        for start in range(0, len(pixels), size):
            logits = lens(pixels[start : start + size].to(device))
            wanted = labels[start : start + size].to(device)
            if not isinstance(logits, Tensor) or logits.ndim != 2 or int(wanted.max()) >= logits.shape[1]:
                raise DataError(
                    "the model does not return logits [example, class] with a class for each of the images' labels"
                )
            found.append(nn.functional.cross_entropy(logits.double(), wanted, reduction="none").cpu().numpy())
    losses = np.concatenate(found)
    named.finite(xr.DataArray(losses, dims="example", name=f"the loss past {layer}"))
    return losses


@of(evaluate_sae).calibrated_on(
    "a dictionary that contains 2 of 4 independent units",
    1.25 / 14.25,
    0.01,
    empty="an untrained dictionary; alarm: it explains more than 39 random ones, p < 0.05",
    read="fvu",
    name="dictionary reconstruction (fraction of variance unexplained)",
)
def _half(seed: int, planted: bool) -> dict[str, Any]:
    """A dictionary of the leading half of independent units leaves the variance of the others unexplained."""
    if not planted:
        return {"sae": untrained_sae(seed, 1), "acts": noise(seed), "draws": 39}
    values = np.random.default_rng([seed, 3]).standard_normal((4000, 4)) * np.array([3.0, 2.0, 1.0, 0.5])
    axes = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, -1.0, 0, 0]])
    return {"sae": made_of(axes, 4), "acts": xr.DataArray(values, dims=("example", "unit")), "draws": 1}


@measure(
    "dictionary",
    title="Stability of a dictionary",
    null="{draws} sets of as many random directions",
    replicates="pair of dictionaries",
    interval="none: two dictionaries of one network",
    source="mean max cosine of decoder directions (Sharkey et al. 2022)",
)
def stability(
    sae_a: TopKSAE, sae_b: TopKSAE, acts: xr.DataArray | None = None, *, draws: int = 199, seed: int = 0
) -> xr.Dataset:
    """The highest cosine of each direction with those of a second dictionary, of another seed.

    Without activations the directions of the null are uniform on the sphere. Directions learned from one data set lean
    toward its few large components, so unrelated ones exceed that null easily: with them the directions are Gaussian
    with the activations' covariance, the fairer null on a network. Train the two on disjoint examples: learned from the
    same ones, dictionaries of pure noise recurred beyond that null in 9 of 60 trials, from disjoint ones in 3 (5%
    declared).

    Args:
        sae_a: A dictionary, trained or random.
        sae_b: A dictionary of the same layer.
        acts: Activations whose covariance the null's directions have, as in `train_sae`; None: directions uniform on
            the sphere.
        draws: Number of draws of the null (sets of as many random directions as ``sae_b`` has).
        seed: Seed of the null's draws.

    Returns:
        Cosines (-1..1) of decoder directions.

        * ``cosine`` [latent]: the highest of a direction of ``sae_a`` with any of ``sae_b``; ``match`` [latent]: its
          index; NaN and -1 for a direction of length 0. ``cosine_q``: one-sided p value after false-discovery control
          over the latents.
        * ``mean_cosine``: their mean (the mean max cosine, MMCS), with ``mean_cosine_p``.

    Raises:
        DataError: The dictionaries are of different layers' width, or all examples are equal.

    >>> one, other = (nm.analysis.dictionary.random_sae(acts, n_latents=16, k=2, seed=s) for s in (0, 1))
    >>> float(nm.analysis.dictionary.stability(one, one, draws=5)["mean_cosine"].round(3))
    1.0
    """
    a, b = (_unit_rows(sae.W_dec.detach().double().numpy()) for sae in (sae_a, sae_b))
    if a.shape[1] != b.shape[1]:
        raise DataError(f"the dictionaries have {a.shape[1]} and {b.shape[1]} units; they must belong to one layer")
    likeness = a @ np.nan_to_num(b, nan=0.0).T
    root = None if acts is None else _root_of_covariance(acts)
    drawn = (_random(len(b), b.shape[1], root, seed + i) for i in range(draws))
    null = np.stack([(a @ directions.T).max(1) for directions in drawn])  # [draw, latent]
    best = likeness.max(1)
    kind = "uniform on the sphere" if acts is None else "with the activations' covariance"
    return xr.Dataset(
        beside("cosine", best, null, "latent")
        | beside("mean_cosine", np.nanmean(best), np.nanmean(null, 1), family=False)
        | {"match": ("latent", np.where(np.isnan(best), -1, likeness.argmax(1)), {"units": "1"})},
        attrs={"null": f"{draws} sets of {len(b)} random directions, {kind}"},
    )


def _unit_rows(directions: np.ndarray) -> np.ndarray:
    """Rows of unit length; NaN for those of length 0."""
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    return directions / np.where(length > 0, length, np.nan)


def _random(n: int, size: int, root: np.ndarray | None, seed: int) -> np.ndarray:
    drawn = random_directions(n, size, seed)
    return drawn if root is None else _unit_rows(drawn @ root)


def _root_of_covariance(acts: xr.DataArray) -> np.ndarray:
    x = rows(acts)
    if not np.ptp(x, axis=0).any():
        raise DataError(
            f"{acts.name or 'the activations'}: all examples are equal; they have no covariance to draw from"
        )
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
    return vectors * np.sqrt(values.clip(min=0)) @ vectors.T


@of(stability).calibrated_on(
    "two dictionaries with half of their directions in common",
    0.5,
    1e-6,
    empty="two independent random dictionaries; alarm: p < 0.05",
    read="mean_cosine",
    name="dictionary stability (mean max cosine)",
)
def _shared(seed: int, planted: bool) -> dict[str, Any]:
    """The other half is orthogonal to all directions."""
    if not planted:
        return {"sae_a": untrained_sae(seed, 2), "sae_b": untrained_sae(seed, 3), "draws": 59}
    directions = np.linalg.qr(np.random.default_rng([seed, 4]).standard_normal((24, 24)))[0]
    return {"sae_a": made_of(directions[:16]), "sae_b": made_of(directions[8:]), "draws": 1}
