"""Single-unit ablation judged by the loss of any task: regression, several labels, reconstruction, or a loss of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...statistics import beside, bootstrap_mean
from ...training.objective import Loss, Objective
from .ablation import ROUNDING
from .directions import Directions
from .downstream import BATCH, downstream, slices
from .planted import reader


@measure(
    "causal",
    title="Ablation effects on any loss",
    null="random directions of the same norm on each example (of feature maps: each a mix of the channels with the channel's own map), "
    "one-sided",
    replicates="example",
    interval="95% bootstrap over examples of one network",
    family="units of a layer",
    source="unit ablation, L(a_n := 0) - L: Morcos et al. 2018",
    unit="loss_increase",
)
def ablate_loss(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
    loss: Loss | None = None,
    *,
    draws: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Change of a loss when a unit (or channel) is set to 0, for each unit of a hook point in turn; no classes are needed.

    The loss is computed for each example alone, so that its mean over examples has an interval. Of a loss that is not a
    mean over examples, a contrastive one for example, this is another number than the loss of the whole batch.

    Args:
        model: Network, or any torch module, that gives one tensor [example, number].
        images: Inputs with targets or labels, as `data.examples` makes them.
        hook_point: Name of a hook point, such as ``2.hook_out``.
        loss: Function of outputs and targets that gives one number, as `train` takes it; None: the loss of the images'
            task (mean squared error, binary cross-entropy of logits, cross-entropy).
        draws: Number of draws of the null (random directions); None: as in `ablate_directions`.
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Values for each unit, in the unit of the loss; exactly 0 (and p 1) for a dead one.

        * ``loss_change`` [unit, example].
        * ``loss_increase`` [unit]: its mean, with ``…_low``, ``…_high``, a 95% bootstrap interval over examples, and
          compared with random directions of equal norm (`ablate_directions`): ``…_null_low``, ``…_null_high``, ``…_p``
          (one-sided), ``…_q`` over the layer, ``…_shown``.

    Raises:
        UnknownName: A hook point that does not exist; the message suggests the nearest name.
        HookError: The hook point's values have no units or channels.
        DataError: Images with neither targets nor labels, outputs that are not [example, number] or not finite, or a
            loss that needs several examples.

    >>> effects = nm.analysis.causal.ablate_loss(model, digits.test, "layers.1.hook_post", draws=20)
    >>> effects["loss_increase"].dims, effects["loss_change"].dims
    (('unit',), ('unit', 'example'))
    """
    targets = images.target_tensor()
    if targets is None:
        raise DataError(
            "the images have neither targets nor labels, which a loss needs: nm.data.examples(inputs, targets=…)"
        )
    objective = Objective(images.task or "other", loss)
    directions = Directions(len(images), seed, draws)
    inputs = images.tensor()
    one = next((p for p in model.parameters() if p.is_floating_point()), inputs)
    inputs, targets = inputs.to(one) if inputs.is_floating_point() else inputs.to(one.device), targets.to(one.device)
    changes, null = [], []
    with torch.no_grad(), evaluation(hooked(model)):
        for some in slices(len(images), BATCH):
            mine = targets[some]
            down = downstream(model, inputs[some], hook_point, mine if objective.classifies and loss is None else None)
            score, zeros = partial(_losses, objective, mine), torch.zeros_like(down.acts)
            change, norms = down.effects(zeros, score(torch.arange(len(zeros), device=one.device)))
            changes.append(change)
            null.append(directions.sums(down, [zeros], change, norms, score))
    change = np.concatenate(changes, axis=1)
    increase = beside(
        "loss_increase",
        change.mean(1),
        np.sum(null, axis=0) / len(images),
        down.axis,
        units="loss",
        interval=bootstrap_mean(change, seed=seed),
        tail=True,
        rounding=ROUNDING,
    )
    return xr.Dataset(
        {"loss_change": ((down.axis, "example"), change, {"units": "loss"}), **increase},
        attrs={"intervention": "zero", "null": directions.words(down)},
    )


def _losses(objective: Objective, targets: Tensor, index: Tensor) -> Callable[[Tensor], Tensor]:
    """outputs [k, example, number] -> the loss of each, [k, example], for the examples ``index``."""

    def alone(output: Tensor, target: Tensor) -> Tensor:
        return objective.loss(output[None], target[None])

    def each(outputs: Tensor) -> Tensor:
        try:
            by_example = torch.func.vmap(alone, randomness="error")
            found: Any = torch.func.vmap(by_example, in_dims=(0, None))(outputs, targets[index])
        except RuntimeError as error:
            raise DataError(f"the loss can't be computed for each example alone: {error}") from error
        return found

    return each


# Phantoms.


@of(ablate_loss).calibrated_on(
    "a unit, one of eight, that alone carries the numbers to predict",
    1,
    0,
    empty="isotropic random weights and numbers; alarm: q < 0.05 for a unit",
    read=lambda found: found["loss_increase_shown"].sum(),
    name="ablation on any loss against random directions",
    unit="units",
    draws=199,
)
def _carrier(seed: int, planted: bool) -> tuple[Any, ...]:
    model, given, layer = reader(seed, planted)
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((len(given), 2)))
    with torch.no_grad():
        targets = model(given.tensor().double()) if planted else noise
    return model, replace(given, labels=None, targets=targets, task="regression"), layer
