"""Layouts of a representation in two dimensions, and their faithfulness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError, MicroscopeError, unknown
from ...measure import measure, of
from ...statistics import beside
from .clouds import DRAWS, cloud, empty
from .spaces import blocks, neighbours

Method = Literal["t-sne", "umap"]


@measure(
    "geometry",
    title="Layouts (t-SNE, UMAP)",
    null="the layout's positions assigned to the images at random, {draws} draws",
    replicates="layout (seed) of one network",
    interval="none",
    source="van der Maaten & Hinton 2008; McInnes et al. 2018",
)
def embed(
    acts: xr.DataArray,
    *,
    method: Method = "t-sne",
    seeds: Sequence[int] = (0, 1, 2),
    perplexity: float = 30.0,
    k: int = 10,
    draws: int = 39,
) -> xr.Dataset:
    """Layouts of a layer's examples in two dimensions, one for each seed, with their trustworthiness.

    Both methods start from a random layout, so seeds differ where the data do not determine the layout. Structure that
    only one seed shows is not in the data.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps, or without snapshots); of several
            snapshots the last.
        method: ``t-sne`` is scikit-learn's, ``umap`` needs the extra ``neural-microscope[umap]``.
        seeds: Seeds of the layouts; the first is the seed of the null's draws too.
        perplexity: Approximately the number of neighbors of an example (UMAP's n_neighbors); at most a third of the
            examples is used.
        k: Number of nearest neighbors by which a layout is judged; at most a third of the examples.
        draws: Number of draws of the null (the layout's positions assigned to the examples at random).

    Returns:
        * ``embedding`` [seed, example, component]; the axes have no meaning and distances between groups almost none.
        * ``trustworthiness`` and ``knn_preservation`` [seed], with their null, as in `faithfulness`.
        * ``agreement`` [seed, seed_b]: share of an example's k neighbors in one layout that are its neighbors in the
          other, NaN for a seed with itself, with ``…_null_low``, ``…_null_high``, ``…_p`` against one layout with its
          examples exchanged.

    Raises:
        UnknownName: A method that does not exist.
        DataError: Constant activations, or fewer than ``3 k`` examples.
        MicroscopeError: ``umap`` without the extra, with the install command.

    >>> layout = nm.analysis.geometry.embed(acts.isel(example=slice(40)), seeds=[0], perplexity=5, k=5, draws=3)
    >>> layout["embedding"].dims
    ('seed', 'example', 'component')
    """
    if method not in get_args(Method):
        raise unknown("method", method, get_args(Method))
    x = named.flat(acts)
    _check(x, k)
    if not np.ptp(x, axis=0).any():
        raise DataError(f"all examples of {acts.name or 'the activations'} are equal; there is no layout")
    near = min(perplexity, len(x) / 3)
    layouts = np.stack([_t_sne(x, near, seed) if method == "t-sne" else _umap(x, near, seed) for seed in seeds])
    picture = xr.DataArray(layouts, dims=("seed", "example", "component"), coords={"seed": list(seeds)})
    judged = faithfulness(acts, picture, k=k, draws=draws, seed=seeds[0])
    attrs = {"method": method, "perplexity": float(near)}
    return judged.assign(embedding=picture.assign_attrs(units="1")).assign_attrs(attrs)


@measure(
    "geometry",
    title="Faithfulness of a layout",
    null="the layout's positions assigned to the images at random, {draws} draws",
    replicates="layout (seed) of one network",
    interval="none",
    source="trustworthiness (Venna & Kaski 2001); share of k nearest neighbors kept",
)
def faithfulness(
    acts: xr.DataArray, embedding: xr.DataArray, *, k: int = 10, draws: int = 39, seed: int = 0
) -> xr.Dataset:
    """Trustworthiness and neighborhood preservation of layouts of the examples, [seed].

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps, or without snapshots); of several
            snapshots the last.
        embedding: Any layouts of the same examples, [seed, example, component].
        k: Number of nearest neighbors by which a layout is judged; at most a third of the examples.
        draws: Number of draws of the null (the layout's positions assigned to the examples at random).
        seed: Seed of the null's draws.

    Returns:
        Shares and indices of each layout, higher where it keeps more of the neighborhoods.

        * ``trustworthiness`` (Venna & Kaski 2001): 1 - 2 / (n k (2n - 3k - 1)) times the sum, over those of an
          example's k neighbors in the layout that are not among its k in the activations, of their rank there minus k;
          0..1, about 0.5 for a random layout.
        * ``knn_preservation``: share of the k neighbors in the activations that are kept, 0..1.
        * ``agreement`` [seed, seed_b]: the same between two layouts, NaN on the diagonal.
        * Of each ``…_null_low``, ``…_null_high``, ``…_p``.

    Raises:
        DataError: Fewer than ``3 k`` examples, or layouts of other examples.
    """
    x = named.flat(acts)
    _check(x, k)
    layouts = named.values(embedding, "seed", "example", "component")
    named.same_examples(acts, embedding)
    ranks, true = _ranks(x), neighbours(x, k)
    seen = [neighbours(layout, k) for layout in layouts]
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(x)) for _ in range(draws)]
    found = _judged(ranks, true, seen, seen)
    dealt = [_judged(ranks, true, [_dealt(near, order) for near in seen], seen) for order in orders]
    null = [np.array([one[i] for one in dealt]).reshape(draws, *found[i].shape) for i in range(3)]
    names = embedding["seed"].values if "seed" in embedding.coords else np.arange(len(seen))
    return xr.Dataset(
        {
            **beside("trustworthiness", found[0], null[0], "seed", family=False),
            **beside("knn_preservation", found[1], null[1], "seed", family=False),
            **beside("agreement", found[2], null[2], ("seed", "seed_b"), family=False),
        },
        coords={"seed": names, "seed_b": names, **named.kept(named.last(acts), "label")},
        attrs={"k": k},
    )


def _check(x: np.ndarray, k: int) -> None:
    if k < 1 or len(x) < 3 * k:
        raise DataError(f"{k} neighbors with {len(x)} examples; it must be 1 to {len(x) // 3}")


def _t_sne(x: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    return TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(x)


def _umap(x: np.ndarray, near: float, seed: int) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MicroscopeError(
            "UMAP is an optional extra that is not installed: pip install neural-microscope[umap]"
        ) from error
    made = UMAP(n_components=2, n_neighbors=max(2, round(near)), init="random", random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(x))


def _judged(
    ranks: np.ndarray, true: np.ndarray, seen: list[np.ndarray], others: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(trustworthiness [seed], share kept [seed], share of the neighbors ``seen`` in one layout that are those in
    another, ``others`` [seed, seed_b], NaN for a seed with itself).
    """
    agreed = np.array([[_overlap(near, other) for other in others] for near in seen])
    np.fill_diagonal(agreed, np.nan)
    trusted, kept = zip(*((_trust(ranks, near), _overlap(near, true)) for near in seen), strict=True)
    return np.array(trusted), np.array(kept), agreed


def _ranks(x: np.ndarray) -> np.ndarray:
    """The rank of each example among another's neighbors, the nearest 1: [example, example]."""
    ranks = np.empty((len(x), len(x)), np.int32)
    for rows, squares in blocks(x):
        np.put_along_axis(ranks[rows], squares.argsort(1), np.arange(1, len(x) + 1, dtype=np.int32)[None], 1)
    return ranks


def _overlap(near: np.ndarray, other: np.ndarray) -> float:
    """Share of the neighbors [example, k] that are among the ``other`` ones."""
    return float((near[:, :, None] == other[:, None]).any(2).mean())


def _trust(ranks: np.ndarray, near: np.ndarray) -> float:
    n, k = near.shape
    beyond = np.maximum(np.take_along_axis(ranks, near, 1) - k, 0).sum()
    return float(1 - 2 * beyond / (n * k * (2 * n - 3 * k - 1)))


def _dealt(near: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The neighbors when example i has the position of example order[i]."""
    return np.argsort(order)[near[order]]


# Phantoms.


def _reads(name: str, variable: str, at: tuple[int, ...]) -> Any:
    return of(faithfulness).calibrated_on(
        "a plane in 7 dimensions and two rotated copies of it",
        1,
        1e-12,
        empty="random positions; an alarm: p < 0.05",
        name=name,
        read=lambda found: found[variable].values[at],
        alarm=lambda found: found[f"{variable}_shown"].values[at],
        k=5,
        draws=DRAWS,
    )


@_reads("agreement of two layouts", "agreement", (0, 1))
@_reads("neighbors kept by a layout", "knn_preservation", (0,))
@_reads("trustworthiness of a layout", "trustworthiness", (0,))
def _layouts(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    if planted:
        rng = np.random.default_rng(seed)
        flat = rng.normal(size=(100, 2))
        acts, places = cloud(flat @ np.linalg.qr(rng.normal(size=(7, 2)))[0].T), np.stack([flat, -2 * flat[:, ::-1]])
    else:
        acts, places = empty(seed, 40), np.random.default_rng([seed, 1]).normal(size=(2, 40, 2))
    return acts, xr.DataArray(places, dims=("seed", "example", "component"))
