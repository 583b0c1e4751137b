"""Path patching: the share of a difference that passes from one unit through another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import HookError
from ...hooks import HookedModel, evaluation, hooked
from ...interventions import patch
from ...measure import measure, of
from ...statistics import random_directions
from .dose import checked
from .downstream import downstream, numbers
from .pairs import Metric, Pairs, beside_pairs, joined, pairs, per_unit
from .planted import LAST, LAYER, UNITS, coded_pair, wired


@measure(
    "causal",
    title="Path patching",
    null="{draws} random directions of the same norm for each pair, in the sender's layer (feature maps: as `ablate_all`)",
    replicates="pair",
    interval="95% bootstrap over pairs of images of one network",
    family="receivers",
    source="the sender's change, through the receiver alone: Wang et al. 2022; Goldowsky-Dill et al. 2023",
)
def path_patching(
    model: nn.Module,
    clean: ImageSet,
    corrupted: ImageSet,
    sender: tuple[str, int],
    receiver: tuple[str, int | None],
    *,
    metric: Metric | None = None,
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """Share of the change from clean to corrupted images that passes from one unit through another.

    The clean run is made with the sender at its corrupted value; the receiver's resulting value is put into another
    clean run, otherwise unchanged. Between them the change may pass any unit (for adjacent layers: none); after the
    receiver it continues as usual.

    Args:
        model: Network, or any torch module.
        clean: Images with labels.
        corrupted: As many images with labels, paired with the clean ones by position.
        sender: (hook point, unit) whose change is followed.
        receiver: (hook point, unit) at a later hook point; with None as unit, every unit there in turn.
        metric: Function of logits [example, class] that gives numbers [example]; None: the logit of the clean image's
            class minus that of the corrupted one's.
        draws: Number of draws of the null (random directions; 39 can reach a p of 0.05).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Values for each receiver, NaN as in `patch_between`.

        * ``effect`` [unit]: (M_path - M_clean) / (M_corrupted - M_clean), sums over pairs: 0 nothing, 1 all of it; with
          ``…_low``, ``…_high`` (bootstrap over pairs), ``…_by_pair`` [unit, example], ``…_null_low``, ``…_null_high``:
          the same when the sender's layer moves by the same norm in a random direction instead (a channel's own
          difference of maps by a random mix of channels), ``…_p`` (two-sided), ``…_q`` over the receivers and
          ``…_shown``.
        * ``receiver_change`` [unit]: mean change of the receiver's activation.

    Raises:
        HookError: The receiver comes first, or a unit does not exist.
        DataError: As `patch_between`.

    >>> threes, eights = (digits.test.subset(np.flatnonzero(digits.test.labels == c)[:20]) for c in (3, 8))
    >>> sender, receivers = ("layers.0.hook_post", 5), ("layers.1.hook_post", None)
    >>> nm.analysis.causal.path_patching(model, threes, eights, sender, receivers, draws=5)["effect"].dims
    ('unit',)
    """
    (start, unit), (end, _) = sender, receiver
    if start == end:
        raise HookError(f"sender and receiver are both at {start!r}; a path must lead to a later hook point")
    lens, parts, null = hooked(model), [], []
    with torch.no_grad(), evaluation(lens):
        for batch in pairs(model, clean, corrupted, metric):
            one, other = (downstream(model, x, start, batch.labels) for x in (batch.clean, batch.corrupted))
            chosen = checked(unit, one.units, start)
            end_run = downstream(model, batch.clean, end, batch.labels)
            takers = checked(range(end_run.units) if receiver[1] is None else receiver[1], end_run.units, end)
            sent = one.acts.clone()
            sent[:, chosen] = other.acts[:, chosen]
            arrived = _arrives(lens, batch, start, sent, end)
            effect = _through(end_run, batch, arrived, takers)
            moved = per_unit((arrived - end_run.acts)[:, takers]) / end_run.acts[0, 0].numel()
            whole = numbers(batch.metric(other.logits) - batch.metric(one.logits))
            parts.append((whole, effect, moved))
            away = _elsewhere(one.acts, sent - one.acts, chosen, draws, seed)
            aside = (_arrives(lens, batch, start, values, end) for values in away)
            null.append([_through(end_run, batch, there, takers).sum(1) for there in aside])
    whole, effect, moved = joined(parts)
    return xr.Dataset(
        {
            **beside_pairs("effect", effect, whole, np.sum(null, axis=0), end_run.axis, seed),
            "receiver_change": (end_run.axis, moved.mean(1), {"units": "1"}),
        },
        coords={end_run.axis: takers},
        attrs={"hook_point": end, "sender": f"{start} {chosen[0]}"},
    )


def _arrives(lens: HookedModel, batch: Pairs, start: str, values: Tensor, end: str) -> Tensor:
    """The value at ``end`` in the clean run when ``start`` holds ``values``."""
    return lens.run_with_hooks(batch.clean, fwd_hooks=[(start, patch(values))], stop_at=end)


def _through(run: Any, batch: Pairs, arrived: Tensor, takers: list[int]) -> np.ndarray:
    """Change of the metric in a clean run in which each of ``takers`` in turn holds the value that arrived, [unit, example]."""
    if len(takers) == run.units:
        return run.effects(arrived, batch.score)[0]
    base = batch.metric(run.logits)
    return np.stack([numbers(batch.metric(run.replaced([t], arrived[:, [t]])) - base) for t in takers])


def _elsewhere(acts: Tensor, moved: Tensor, chosen: list[int], draws: int, seed: int) -> Iterator[Tensor]:
    """The clean activations moved as far as the sender's, but in random directions; a channel's own map by a random mix of channels."""
    move = moved[:, chosen] if acts.ndim == 4 else moved.norm(dim=1, keepdim=True)
    for direction in torch.from_numpy(random_directions(draws, acts.shape[1], seed)).to(acts):
        yield acts + move * direction.reshape(-1, *(1,) * (acts.ndim - 2))


@of(path_patching).calibrated_on(
    "a path of weights 3 × 5 and one of 2 × 1",
    15 / 17,
    1e-12,
    empty="a unit without connections; alarm: any effect that is not 0",
    read=lambda found: found["effect"][1],
    alarm="effect",
    name="path patching",
    exact=True,
    unit="share of the difference",
    draws=1,
)
def _two_paths(seed: int, planted: bool) -> tuple[Any, ...]:
    """Unit 0 reaches logit 1 through unit 0 (2 × 1) and unit 1 (3 × 5) of the next layer, or not at all. The images differ in pixel 0,
    the empty ones in all of them.
    """
    middle = np.abs(np.random.default_rng(seed).standard_normal((2, UNITS)))
    middle[:, 0] = (2, 3) if planted else 0
    clean, corrupted = coded_pair(seed)
    if planted:
        corrupted.images[:, 0, 1:] = clean.images[:, 0, 1:]
    model = wired(np.eye(UNITS), middle, np.array([[0.0, 0.0], [1.0, 5.0]]))
    return model, clean, corrupted, (LAYER, 0), (LAST, None)
