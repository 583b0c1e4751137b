"""A run as TensorBoard event files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..doors import door
from ..run import Run
from .needed import needed


@door
def to_tensorboard(run: Run, folder: str | Path, hook_point: str | None = None) -> Path:
    """Writes a run as event files of TensorBoard; returns the folder for ``tensorboard --logdir``.

    Scalars: loss, accuracy and learning rate of each step, and the test scores of each snapshot. Histograms: each weight
    at each snapshot. Projector: the probe's activations at the last snapshot, with labels and pictures.

    Args:
        run: A run.
        folder: Folder to create or to add to.
        hook_point: Hook point for the projector; None: the last one whose values are [example, unit] and that is not
            the logits, if there is one.

    Raises:
        MicroscopeError: tensorboard is not installed.
        UnknownName: A hook point that was not recorded.

    >>> nm.interop.to_tensorboard(run, "events")  # doctest: +SKIP
    """
    needed("tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(folder)
    with SummaryWriter(str(folder)) as writer:
        for name, values in run.training.data_vars.items():
            for step, value in zip(run.training["step"].values.tolist(), values.values.tolist(), strict=True):
                writer.add_scalar(f"train/{name}", value, step)
        for number, step in enumerate(run.steps):
            for name in ("loss", "accuracy"):
                writer.add_scalar(f"test/{name}", float(run.log[f"test_{name}"][number]), step)
            for name, weight in run.weights(step).items():
                if weight.numel() and bool(torch.isfinite(weight).all()):
                    writer.add_histogram(f"weights/{name}", weight, step)
        _project(writer, run, hook_point)
    return folder


def _project(writer: object, run: Run, hook_point: str | None) -> None:
    """The probe's activations at one hook point as points, with labels and pictures."""
    shapes = run.description["hook_points"]
    dense = [name for name, shape in shapes.items() if len(shape) == 1 and shape != [run.probe.classes]]
    if hook_point is None and not dense:
        return
    values = run.activations(hook_point or dense[-1])[-1].values
    pictures = run.probe.images.astype(np.float32) / 255
    pictures = np.moveaxis(pictures, -1, 1) if pictures.ndim == 4 else pictures[:, None]
    square = max(pictures.shape[2:])  # the projector's pictures are square
    padded = np.zeros((*pictures.shape[:2], square, square), np.float32)
    padded[:, :, : pictures.shape[2], : pictures.shape[3]] = pictures
    writer.add_embedding(  # type: ignore[attr-defined]
        torch.from_numpy(values.reshape(len(values), -1)),
        metadata=None if run.probe.labels is None else run.probe.labels.tolist(),
        label_img=torch.from_numpy(padded),
        global_step=run.steps[-1],
        tag=hook_point or dense[-1],
    )
