"""A TopK sparse autoencoder: the module, its training, and its latents as a named array."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ... import named
from ...errors import DataError
from ...measure import Instrument, measure, of

AUXILIARY = 1 / 4
"""Weight of the loss that revives dead latents. Gao et al. (2024) take 1/32, which left a tenth of 256 latents dead on a
layer of 128 units."""

DEAD_AFTER = 10
"""Batches without an activation after which a latent counts as dead in training."""


class TopKSAE(nn.Module):
    """A TopK sparse autoencoder.

    x^ = z W_dec + b_dec with z = ReLU of the k largest of (x - b_dec) W_enc + b_enc, the other latents 0. ``W_enc``
    [unit, latent], ``W_dec`` [latent, unit], ``b_enc`` [latent], ``b_dec`` [unit] (Gao et al. 2024; names as in
    TransformerLens). ``k`` is a buffer, so the state dict is complete. The parameters start at 0; `train_sae` and
    `random_sae` set useful ones.

    Args:
        units: Number of units of the layer.
        n_latents: Number of latents.
        k: Number of latents above 0 at most, 1 to ``n_latents``.

    Raises:
        DataError: ``k`` is not 1 to ``n_latents``.

    >>> sae = nm.analysis.dictionary.TopKSAE(units=16, n_latents=64, k=4)
    >>> sae.encode(torch.ones(2, 16)).shape
    torch.Size([2, 64])
    """

    def __init__(self, units: int, n_latents: int, k: int) -> None:
        super().__init__()
        if not 1 <= k <= n_latents:
            raise DataError(f"k is {k}; with {n_latents} latents it must be 1 to {n_latents}")
        self.W_enc = nn.Parameter(torch.zeros(units, n_latents))
        self.W_dec = nn.Parameter(torch.zeros(n_latents, units))
        self.b_enc = nn.Parameter(torch.zeros(n_latents))
        self.b_dec = nn.Parameter(torch.zeros(units))
        self.k: Tensor
        self.register_buffer("k", torch.tensor(k))

    @property
    def n_latents(self) -> int:
        return len(self.b_enc)

    def pre(self, x: Tensor) -> Tensor:
        """Latents […, latent] before the selection of the k largest.

        Args:
            x: Activations […, unit].
        """
        return (x - self.b_dec) @ self.W_enc + self.b_enc

    def encode(self, x: Tensor) -> Tensor:
        """Latents […, latent], at most k of them above 0.

        Args:
            x: Activations […, unit].
        """
        return _top(self.pre(x), int(self.k))

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstructed activations […, unit].

        Args:
            latents: Latents […, latent].
        """
        return latents @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@measure("dictionary", title="A sparse dictionary", null="a tool, not a measure", source="Gao et al. 2024")
def train_sae(
    acts: xr.DataArray,
    n_latents: int,
    k: int,
    *,
    seed: int = 0,
    steps: int = 1000,
    batch_size: int = 128,
    learning_rate: float = 5e-3,
) -> TopKSAE:
    """A TopKSAE fitted to activations.

    Adam on the summed squared error of random batches, the rate falling linearly to 0 over the last fifth; decoder rows
    have unit length after every step; the encoder starts as the decoder's transpose. Latents silent for 10 batches are
    dead: up to a quarter of the latents, the strongest dead ones, learn to explain the remaining error (AuxK, Gao et
    al. 2024). Activations are divided by their mean distance from their mean and the result is rescaled, so scale does
    not matter. The same seed and thread count give the same bits, and the caller's random state is unchanged.

    Args:
        acts: Activations [example, unit]; of whole maps [example, channel, row, col] every position is an example; of
            several snapshots the last.
        n_latents: Number of latents.
        k: Number of latents above 0 at most, 1 to ``n_latents``.
        seed: Seed of the initial directions and of the batches.
        steps: Number of batches.
        batch_size: Number of examples in a batch.
        learning_rate: Learning rate of Adam.

    Raises:
        DataError: Activations that are all equal, or ``k`` is not 1 to ``n_latents``.

    >>> sae = nm.analysis.dictionary.train_sae(acts, n_latents=16, k=2, steps=20)
    >>> sae.W_dec.norm(dim=1).allclose(torch.ones(16))
    True
    """
    x = torch.from_numpy(rows(acts).astype(np.float32))
    spread = (x - x.mean(0)).norm(dim=1).mean()
    if (x == x[0]).all():
        raise DataError(f"{acts.name or 'the activations'}: all examples are equal; there are no directions to learn")
    x = x / spread
    generator = torch.Generator().manual_seed(seed)
    sae = random_sae(acts, n_latents, k, seed=seed)
    with torch.no_grad():
        sae.b_dec.div_(spread)
    _fit(sae, x, generator, steps, batch_size, learning_rate)
    with torch.no_grad():
        sae.b_enc.mul_(spread)
        sae.b_dec.mul_(spread)
    return sae.requires_grad_(False)


@measure("dictionary", title="A random dictionary", null="a tool, not a measure")
def random_sae(acts: xr.DataArray, n_latents: int, k: int, *, seed: int = 0) -> TopKSAE:
    """An untrained TopKSAE, the control for a dictionary's size and sparsity alone.

    Random decoder directions of unit length, the encoder their transpose, ``b_dec`` the mean of the activations.

    Args:
        acts: Activations [example, unit]; of whole maps [example, channel, row, col] every position is an example; of
            several snapshots the last.
        n_latents: Number of latents.
        k: Number of latents above 0 at most, 1 to ``n_latents``.
        seed: Seed of the directions.

    Raises:
        DataError: ``k`` is not 1 to ``n_latents``.
    """
    x = rows(acts)
    sae = TopKSAE(x.shape[1], n_latents, k)
    # Not statistics.random_directions: a planted dictionary or a null drawn with the same seed would be equal.
    drawn = torch.randn(n_latents, x.shape[1], generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        sae.W_dec.copy_(drawn / drawn.norm(dim=1, keepdim=True))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_dec.copy_(torch.from_numpy(x.mean(0)))
    return sae


@measure("dictionary", title="Latent activations", null="a tool, not a measure")
def encode(sae: TopKSAE, acts: xr.DataArray) -> xr.DataArray:
    """Latents of activations, with the labels kept.

    Measures of units take it as ``encode(…).rename(latent="unit")``.

    Args:
        sae: A dictionary, trained or random.
        acts: Activations [example, unit]; of whole maps [example, channel, row, col] every position is an example; of
            several snapshots the last.

    Returns:
        [example, latent]; of whole maps [example, latent, row, col].

    Raises:
        DataError: The dictionary is for a layer of another width.

    >>> sae = nm.analysis.dictionary.random_sae(acts, n_latents=16, k=2)
    >>> int((nm.analysis.dictionary.encode(sae, acts) > 0).sum("latent").max()) <= 2
    True
    """
    last = named.last(acts)
    with torch.no_grad():
        latents = sae.encode(_tensor(sae, last)).numpy()
    if "row" in last.dims:
        shape = [last.sizes[dim] for dim in ("example", "row", "col")]
        latents = np.moveaxis(latents.reshape(*shape, -1), -1, 1)
    return xr.DataArray(
        latents,
        dims=("example", "latent", "row", "col")[: latents.ndim],
        coords={name: coord.variable for name, coord in named.kept(last, "label").items()},
        name=acts.name,
        attrs={"units": "1"},
    )


@measure("dictionary", title="Pictures of latents", null="a tool, not a measure")
def decoder_pictures(sae: TopKSAE, weights: np.ndarray) -> np.ndarray:
    """Input pattern of each latent of a first layer, [latent, row, col]: its direction mapped back to the pixels.

    Args:
        sae: A dictionary, trained or random.
        weights: Weights of that layer, [unit, row, col].

    Raises:
        DataError: The dictionary is for a layer of another width.

    >>> sae = nm.analysis.dictionary.TopKSAE(units=32, n_latents=64, k=4)
    >>> weights = model.get_parameter("layers.0.linear.weight").detach().numpy().reshape(32, 8, 8)
    >>> nm.analysis.dictionary.decoder_pictures(sae, weights).shape
    (64, 8, 8)
    """
    if len(weights) != sae.W_dec.shape[1]:
        raise DataError(f"the weights have {len(weights)} units; the dictionary has {sae.W_dec.shape[1]}")
    return np.tensordot(sae.W_dec.detach().numpy(), weights, 1)


def rows(acts: xr.DataArray) -> np.ndarray:
    """[example, unit] in float64; for whole maps each position is an example, [example * row * col, channel]."""
    acts = named.last(acts)
    if "row" not in acts.dims:
        return named.matrix(acts)
    return named.values(acts, "example", "row", "col", "channel").reshape(-1, acts.sizes["channel"])


def _tensor(sae: TopKSAE, acts: xr.DataArray) -> Tensor:
    x = rows(acts)
    if x.shape[1] != len(sae.b_dec):
        raise DataError(f"the activations have {x.shape[1]} units; the dictionary is for {len(sae.b_dec)}")
    return torch.from_numpy(x.astype(np.float32))


def _top(pre: Tensor, k: int) -> Tensor:
    values, places = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, places, values.relu())


def _fit(
    sae: TopKSAE, x: Tensor, generator: torch.Generator, steps: int, batch_size: int, learning_rate: float
) -> None:
    optimiser = torch.optim.Adam(sae.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, 5 * (1 - step / steps)))
    silent = torch.zeros(sae.n_latents)  # batches since a latent was last above 0
    for _ in range(steps):
        batch = x[torch.randint(len(x), (batch_size,), generator=generator)]
        pre = sae.pre(batch)
        latents = _top(pre, int(sae.k))
        error = batch - sae.decode(latents)
        silent = torch.where((latents.detach() > 0).any(0), 0.0, silent + 1)
        loss = error.square().sum(1).mean() + AUXILIARY * _of_the_dead(sae, pre, error.detach(), silent > DEAD_AFTER)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))


def _of_the_dead(sae: TopKSAE, pre: Tensor, error: Tensor, dead: Tensor) -> Tensor | float:
    """The error that remains after dead latents try to explain it."""
    count = min(int(dead.sum()), max(1, sae.n_latents // 4))
    if not count:
        return 0.0
    return (error - _top(torch.where(dead, pre, -torch.inf), count) @ sae.W_dec).square().sum(1).mean()


LATENTS = 32
"""Slightly more than the 24 planted features: with as many, one latent occasionally settles between two of them."""


def planted(seed: int, examples: int = 2000) -> tuple[np.ndarray, xr.DataArray]:
    """(directions [latent, unit], activations): two of 24 random directions at a time, each 0.5 to 1.5 strong."""
    rng = np.random.default_rng([seed, 1])
    directions = rng.standard_normal((24, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    amounts = np.zeros((examples, 24))
    active = np.argsort(rng.random((examples, 24)), 1)[:, :2]
    np.put_along_axis(amounts, active, rng.uniform(0.5, 1.5, (examples, 2)), 1)
    return directions, xr.DataArray(amounts @ directions, dims=("example", "unit"))


def noise(seed: int) -> xr.DataArray:
    """Gaussian activations of 6 units, independent of their three classes."""
    values = np.random.default_rng([seed, 2]).standard_normal((60, 6))
    return xr.DataArray(values, dims=("example", "unit"), coords={"label": ("example", np.arange(60) % 3)})


def made_of(directions: np.ndarray, k: int = 2) -> TopKSAE:
    """A dictionary of these directions [latent, unit]."""
    sae = TopKSAE(directions.shape[1], len(directions), k)
    with torch.no_grad():
        sae.W_dec.copy_(torch.from_numpy(directions))
        sae.W_enc.copy_(sae.W_dec.T)
    return sae


def untrained_sae(seed: int, number: int) -> TopKSAE:
    """One of many untrained dictionaries."""
    return random_sae(noise(seed), 8, 2, seed=100_000 * (number + 1) + seed)


def _recovery(seed: int) -> tuple[float, float]:
    """Mean over planted directions of the highest cosine with any learned one."""
    directions, acts = planted(seed)
    learnt = train_sae(acts, LATENTS, 2, seed=seed).W_dec.double().numpy()
    return 1.0, float((directions @ learnt.T).max(1).mean())


def _explains(seed: int) -> bool:
    found = of("dictionary.evaluate_sae").function(untrained_sae(seed, 0), noise(seed), draws=39, seed=seed)
    return bool(found["fvu_shown"])


of(train_sae).instruments.append(
    Instrument(
        "dictionary learning (mean max cosine)",
        "dictionary.train_sae",
        "2 of 24 random directions active at a time in 16 units",
        "an untrained dictionary; alarm: it explains more than 39 random ones, p < 0.05",
        _recovery,
        0.1,
        _explains,
    )
)
