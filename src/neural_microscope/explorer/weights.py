"""The weights of a network's snapshots as the page stores them, and how far the network they give is from the recorded one.

A snapshot is stored as int8 differences to the next one, if that is close enough, and otherwise as float16 or float32. Measured on the
two networks of the demo, 20 snapshots each, in MB of base64: float16 9.9, lossless differences of float16 7.4, int8 differences 4.6.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from ..errors import RunError
from ..hooks import HookPoint, hooked, lent
from ..run import Run

AGREEMENT = 0.998
"""The least share of the probe images on which the stored weights must predict the same class as the recorded ones."""

LEVELS = 127
"""The largest stored difference; a tensor's scale is its largest difference divided by this."""

Tensors = dict[str, np.ndarray]


def stored(
    run: Run, model: nn.Module, steps: Sequence[int], wanted: Sequence[str], layers: Sequence[str]
) -> list[dict[str, Any]]:
    """Each step's tensors in the smallest form that keeps the predictions; the last is never a difference.

    ``agreement`` is the share of the probe images on which the stored weights predict the same class as the recorded ones, ``logit`` the
    largest error of a logit on these images. By the recorded weights: ``confusion`` [class, predicted] counts the images (of equal logits
    the first class is predicted), and ``ends`` holds the smallest and the largest activation of each layer.
    """
    found: list[dict[str, Any]] = []
    after: Tensors | None = None
    for step in reversed(steps):
        recorded = run.weights(step)
        exact = {name: recorded[name].detach().cpu().numpy().astype(np.float32) for name in wanted}
        for name, values in exact.items():
            if not np.isfinite(values).all():
                raise RunError(f"{run.folder}: {name} at step {step} holds numbers that are not finite")
        ends: dict[str, tuple[float, float]] = {}
        with hooked(model).hooks([(layer, partial(_ends, ends)) for layer in layers]):
            expected = _logits(model, run, recorded)
        for kind in ("difference", "float16", "float32") if after else ("float16", "float32"):
            form, decoded = _differences(exact, after) if kind == "difference" and after else _rounded(exact, kind)
            logits = _logits(model, run, recorded | {name: torch.from_numpy(one) for name, one in decoded.items()})
            agreement = float((logits.argmax(1) == expected.argmax(1)).double().mean())
            if kind == "float32" or (agreement >= AGREEMENT and bool(logits.isfinite().all())):
                break
        confusion = np.zeros((run.probe.classes, run.probe.classes), int)
        np.add.at(confusion, (run.probe.labels, expected.numpy().argmax(1)), 1)
        error = float((logits - expected).abs().max())
        told = {"agreement": agreement, "logit": error, "confusion": confusion.tolist(), "ends": ends}
        found.append({"kind": kind, **form, **told})
        after = decoded
    return found[::-1]


def packed(array: np.ndarray) -> str:
    """Deflated base64; multi-byte numbers with all first bytes first, then all second ones, which compresses better."""
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize)
    return base64.b64encode(zlib.compress(raw.T.tobytes(), 9)).decode()


def _together(tensors: Tensors) -> np.ndarray:
    return np.concatenate([values.ravel() for values in tensors.values()] or [np.zeros(0, np.float32)])


def _rounded(exact: Tensors, kind: str) -> tuple[dict[str, Any], Tensors]:
    """(form, decoded tensors). Numbers that float16 can't hold become infinite."""
    with np.errstate(over="ignore"):
        as_kind = {name: values.astype(kind) for name, values in exact.items()}
    decoded = {name: values.astype(np.float32) for name, values in as_kind.items()}
    return {"numbers": packed(_together(as_kind))}, decoded


def _differences(exact: Tensors, after: Tensors) -> tuple[dict[str, Any], Tensors]:
    """(form, decoded tensors): decoded = after + scale · number, each operation in float32."""
    numbers, scales, decoded = {}, {}, {}
    for name, values in exact.items():
        difference = values - after[name]
        scale = np.float32(np.abs(difference).max(initial=0) / LEVELS)
        numbers[name] = np.rint(difference / (scale or np.float32(1))).clip(-LEVELS, LEVELS).astype(np.int8)
        decoded[name] = after[name] + scale * numbers[name].astype(np.float32)
        scales[name] = float(scale)
    return {"numbers": packed(_together(numbers)), "scales": scales}, decoded


def _ends(found: dict[str, tuple[float, float]], value: torch.Tensor, hook: HookPoint) -> None:
    found[hook.name] = float(value.min()), float(value.max())


def _logits(model: nn.Module, run: Run, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """[image, class] on the probe images."""
    with torch.no_grad():
        logits: torch.Tensor = functional_call(model, weights, (lent(run.probe.tensor()),), tie_weights=False)
    return logits
