"""Principal components of more activations than fit in memory: exact, from sums accumulated over batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside
from .clouds import DRAWS, empty, rank_three
from .pca import _largest, _warning, gaps
from .spaces import shares


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums from which principal components of some examples are computed. Those of two sets add up to those of both."""

    n: int
    mean: np.ndarray
    """[unit]."""
    scatter: np.ndarray
    """Sum of the outer products of the deviations from the mean, [unit, unit]."""

    @classmethod
    def of(cls, x: np.ndarray) -> Moments:
        """The sums for examples [example, unit]."""
        centred = x - x.mean(0)
        return cls(len(x), x.mean(0), centred.T @ centred)

    def __add__(self, other: Moments) -> Moments:
        """Chan, Golub & LeVeque 1979: about each set's own mean, so that large means cost no digits."""
        n, step = self.n + other.n, other.mean - self.mean
        moved = np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), self.scatter + other.scatter + moved)


@measure(
    "geometry",
    title="Principal components of any number of images",
    null="independent normal units with the same variances, {draws} draws",
    replicates="image",
    interval="none",
    source="covariance from sums over batches, merged about their means (Chan, Golub & LeVeque 1979)",
)
def pca_streaming(
    batches: Iterable[xr.DataArray], *, components: int = 2, draws: int = 20, seed: int = 0
) -> xr.Dataset:
    """Principal components of activations that come in batches, each seen once.

    The same as `pca` of all examples (to 1e-10), with memory for one batch and a matrix [unit, unit].

    Args:
        batches: Activations [example, unit] (or channel), of the same units.
        components: Number of components; at most the units.
        draws: Number of draws of the null (independent normal units).
        seed: Seed of the null's draws.

    Returns:
        Constant activations give NaN.

        * ``direction`` [component, unit]: unit length, the largest loading positive.
        * ``mean`` [unit]: scores are (acts - mean) @ direction.
        * ``explained`` [component]: share of the variance (0..1); ``eigen_gap`` as in `pca`; ``total_variance``, over n
          - 1.
        * ``explained_null_low``, ``explained_null_high``, ``explained_p``: shares of independent normal units with the
          same variances and as many examples (their scatter is drawn by Bartlett's decomposition), the limit of the
          shuffle in `pca` with many examples.


    Raises:
        DataError: No batches, batches of different units, fewer than two examples, more components than units, or
            values that are not finite.
    """
    total: Moments | None = None
    axis = name = ""
    for batch in batches:
        x, found = named.matrix(batch), unit_axis(batch.dims)
        if total is not None and (found != axis or x.shape[1] != len(total.mean)):
            raise DataError(
                f"a batch has {x.shape[1]} {found}s, those before {len(total.mean)} {axis}s; all must have the same"
            )
        axis, name = found, str(batch.name or "")
        total = Moments.of(x) if total is None else total + Moments.of(x)
    if total is None or total.n < 2:
        raise DataError("the batches hold fewer than two examples; at least two are needed")
    units = len(total.mean)
    if not 1 <= components <= units:
        raise DataError(f"{components} components of {units} {axis}s; it must be 1 to {units}")
    values, vectors = np.linalg.eigh(total.scatter)
    values, vectors = values[::-1].clip(min=0), vectors.T[::-1][:components]
    null = _independent(np.diag(total.scatter), total.n, draws, seed)[:, :components]
    gap = gaps(values)[:components]
    return xr.Dataset(
        {
            "direction": (("component", axis), vectors * np.sign(_largest(vectors)), {"units": "1"}),
            "mean": (axis, total.mean, {"units": "1"}),
            **beside("explained", shares(values)[:components], null, "component", family=False),
            "eigen_gap": ("component", gap, {"units": "1"}),
            "total_variance": ((), values.sum() / (total.n - 1), {"units": "1"}),
        },
        attrs={"n_examples": total.n, "hook_point": name, **_warning(gap)},
    )


def _independent(squares: np.ndarray, n: int, draws: int, seed: int) -> np.ndarray:
    """Shares of the eigenvalues of n independent normal examples, [draw, component]: each unit's sum of squares is
    set to its observed value, as in a shuffle.
    """
    rng = np.random.default_rng(seed)
    units, rows = len(squares), n - 1
    drawn = np.full((draws, units), np.nan)
    for draw in range(draws):
        if rows >= units:
            root = np.tril(rng.standard_normal((units, units)), -1)
            root[np.diag_indices(units)] = np.sqrt(rng.chisquare(rows - np.arange(units)))
        else:
            root = rng.standard_normal((units, rows))
        root *= np.sqrt(squares / (root**2).sum(1))[:, None]
        drawn[draw] = shares(np.linalg.eigvalsh(root @ root.T)[::-1].clip(min=0))
    return drawn


# Its phantom.


@of(pca_streaming).calibrated_on(
    "variances 25, 9, 4 in 64 units with noise, in two batches",
    25.01 / (38 + 64 * 0.01),
    0.005,
    empty="independent units in two batches; an alarm: the first component is above chance, p < 0.05",
    name="principal components, streamed",
    read="explained",
    components=1,
    draws=DRAWS,
)
def _batches(seed: int, planted: bool) -> list[xr.DataArray]:
    acts, first = (rank_three(seed), 700) if planted else (empty(seed), 40)
    return [acts[:first], acts[first:]]
