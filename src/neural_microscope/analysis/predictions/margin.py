"""Margins: how far the logit of the true class lies above the others."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from ... import named
from ...measure import measure, of
from .logits import checked
from .planted import planted_logits


@measure(
    "predictions",
    title="Margins",
    null="none: a description, shown with step 0",
    replicates="image",
    interval="none",
    source="softmax cross-entropy; the true class's logit minus the highest other",
)
def margins(logits: xr.DataArray) -> xr.Dataset:
    """Margin, probability, loss and correctness of each image, at each snapshot.

    Args:
        logits: Logits [snapshot, example, class] with labels, or without snapshots.

    Returns:
        Values [snapshot, example], or [example].

        * ``margin``: the true class's logit minus the highest of the others; above 0 where the image is classified
          correctly.
        * ``probability``: softmax of the true class, 0..1.
        * ``loss``: its cross-entropy, nats, at least 0.
        * ``right``: the highest logit is the true class's; of equal logits the first class counts as the highest.

    Raises:
        DataError: As `confusion`.

    >>> table = nm.analysis.predictions.margins(run.activations("logits"))
    >>> np.allclose(table["probability"], np.exp(-table["loss"]))
    True
    """
    values, labels = checked(logits)
    each = np.arange(len(labels))
    true = values[:, each, labels]
    others = values.copy()
    others[:, each, labels] = -np.inf
    loss = logsumexp(values - true[..., None], axis=2)
    found = {
        "margin": (true - others.max(2), "logit"),
        "probability": (np.exp(-loss), "1"),
        "loss": (loss.clip(0), "nats"),
        "right": (values.argmax(2) == labels, "1"),
    }
    over_time = "snapshot" in logits.dims
    dims = ("snapshot", "example") if over_time else ("example",)
    return xr.Dataset(
        {name: (dims, v if over_time else v[0], {"units": unit}) for name, (v, unit) in found.items()},
        coords=named.kept(logits, "step", "epoch", "label"),
    )


@of(margins).calibrated_on(
    "true logits 2.5 above the others",
    2.5,
    1e-12,
    empty="all logits equal; alarm: a margin is not 0",
    read=lambda found: found["margin"].mean(),
    alarm="margin",
    name="margin",
    unit="logit",
)
def _apart(seed: int, planted: bool) -> xr.DataArray:
    labels = np.random.default_rng(seed).integers(0, 5, 40)
    return planted_logits(2.5 * planted * np.eye(5)[labels] + 3.0, labels)
