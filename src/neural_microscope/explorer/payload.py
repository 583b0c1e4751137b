"""The page's data: probe images, each network's operations and weights, the measures of its units, and the claims."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..analysis.look import FirstLook, LayerLook, Progress
from ..analysis.look.computing import recalled
from ..analysis.look.looks import unlooked
from ..data import Dataset
from ..data.published import written
from ..errors import RunError
from ..glossary import glosses
from ..hooks import evaluation, hooked
from ..models import Network
from ..run import Run, network_names, same_but_seed
from .graph import operations
from .measured import claims, layers_of, measures, plain, preferred
from .missions import errors, missions
from .opening import opening
from .trained import Influence, forks, influences, results_of
from .weights import packed, stored

VERSION = 6
ROOM = 6_000_000
"""A page holds a second seed's network while it is no larger than this, in bytes."""


def payload(
    given: Sequence[Run | FirstLook],
    *,
    snapshots: int = 20,
    models: Sequence[nn.Module | None] = (),
    influence: Influence | Sequence[Influence] = (),
    data: Dataset | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """All data of the page, as plain JSON values; the arguments are those of `write`.

    Of each run at most ``snapshots`` snapshots, the first and the last among them.
    """
    results = results_of(influence)
    runs = [one.run if isinstance(one, FirstLook) else one for one in given]
    looks = {id(one.run): one for one in given if isinstance(one, FirstLook)}
    if not runs:
        raise RunError("the explorer needs at least one run")
    for run in runs:
        if run.task != "classification":
            raise RunError(
                f"{run.folder} was trained for a task of the kind {run.task!r}; the page shows which classes a network predicts: "
                "nm.report.write serves other tasks"
            )
    probe = runs[0].probe
    inputs = probe.tensor()
    for run in runs[1:]:
        if not (torch.equal(run.probe.tensor(), inputs) and np.array_equal(run.probe.labels, probe.labels)):
            raise RunError(
                f"{run.folder} was recorded with other probe images than {runs[0].folder}; one page needs networks on the same images"
            )
    pixels = (255 * inputs.float()).round().clamp(0, 255)
    if inputs.ndim != 4 or not (pixels / 255).allclose(inputs.float(), atol=1e-6):
        raise RunError(
            f"{runs[0].folder} was recorded with inputs {list(inputs.shape[1:])}; the page draws and computes only on images "
            "[channel, row, col] in 0..1, in steps of 1/255. Let the model normalize inside, or use nm.report.write, which serves "
            "other inputs"
        )
    groups = [[runs[place] for place in group] for group in same_but_seed(runs)]
    into = [*models, *[None] * (len(groups) - len(models))]
    trained = [run.model(into=model) for (run, *_), model in zip(groups, into, strict=True)]
    count, channels, rows, cols = inputs.shape
    page = {
        "version": VERSION,
        "note": runs[0].description["data"]["note"],
        "glossary": glosses(),
        "images": {
            "count": count,
            "channels": channels,
            "rows": rows,
            "cols": cols,
            "classes": probe.classes,
            "dataset": written(runs[0].description["data"]["name"]),
            "labels": probe.labels.tolist(),
            "indices": runs[0].probe_indices.tolist(),
            "opening": opening([(model, shown(operations(model), model)) for model in trained], probe),
            "pixels": packed(pixels.numpy().astype(np.uint8)),
            **({"classNames": list(probe.class_names)} if probe.class_names else {}),
        },
        "networks": [
            _network(run, name, model, snapshots, [looks.get(id(one), one) for one in (run, *others)], progress)
            for (run, *others), name, model in zip(groups, network_names([g[0] for g in groups]), into, strict=True)
        ],
    }
    if results:
        page["networks"][0]["influence"] = influences(runs[0], results, data)
    size, networks = len(json.dumps(page)), page["networks"]
    for place, group in enumerate(groups):
        size += len(json.dumps(networks[place]))  # another seed of it is about as large
        if len(group) > 1 and size <= ROOM:
            run, name = group[1], networks[place]["name"]
            given_run = [looks.get(id(run), run)]
            named = f"{name} seed {run.description['model']['seed']}"
            networks.append(_network(run, named, into[place], snapshots, given_run, progress, twin=(place, name)))
    return page


def spread(steps: Sequence[int], most: int, told: Iterable[float] = ()) -> list[int]:
    """At most ``most`` of the steps, evenly spaced over the recorded ones, including first and last; those that claims speak of (``told``)
    replace the nearest.
    """
    if most < 1:
        raise RunError(f"snapshots is {most}; it must be at least 1")
    if len(steps) <= most:
        return list(steps)
    if most == 1:
        return [steps[-1]]
    chosen = np.unique(np.linspace(0, len(steps) - 1, most).round().astype(int))
    for place in (steps.index(int(step)) for step in told if step in steps):
        if place not in chosen and most > 2:
            chosen[1 + np.abs(chosen[1:-1] - place).argmin()] = place
    return [steps[place] for place in np.sort(chosen)]


def _network(
    run: Run,
    name: str,
    into: nn.Module | None,
    most: int,
    given: Sequence[Run | FirstLook],
    progress: Progress | None,
    twin: tuple[int, str] | None = None,
) -> dict[str, Any]:
    """A network's data; ``twin``: place and name of the one that it differs from in its seed alone."""
    model = run.model(into=into)
    ops = operations(model)
    shapes = _shapes(model, run)
    for op in ops:
        if op["kind"] == "hook" and op["name"] not in shapes:
            raise RunError(f"{run.folder}: the network has no hook point {op['name']!r}")
    about = run.description["model"]
    reason = (
        f"records a {about['class']}, whose claims the report tells" if about["kind"] == "module" else unlooked(run)
    )
    looks = [] if reason else [one if isinstance(one, FirstLook) else recalled(one) for one in given]
    if twin:
        reason = f"differs from {twin[1]} in its seed alone, whose claims count the seeds"
    claimed = claims(looks, name) if looks and not twin else []
    steps = spread(run.steps, most, (float(claim.numbers.get("first_at", math.nan)) for claim in claimed))
    wanted = sorted(
        {v for op in ops for k, v in op.items() if k in ("weight", "bias", "mean", "variance") and isinstance(v, str)}
    )
    tensors = _places(run.weights(steps[-1]), wanted)
    layers = shown(ops, model)
    recorded = layers_of(run, model, layers, looks[0] if looks else None)
    measured, planes = {}, {}
    for done, (layer, seen) in enumerate(recorded.items()):
        measured[layer] = measures(seen)
        planes[layer] = plane(seen)
        if progress:
            progress(name, done + 1, len(recorded) + 1)
    if progress:
        progress(name, len(recorded) + 1, len(recorded) + 1)
    at = [run.steps.index(step) for step in steps]
    weights = stored(run, model, steps, wanted, layers)
    return {
        "name": name,
        "twin": twin and twin[0],
        "seed": run.description["model"].get("seed"),
        "classes": run.probe.classes,
        "input": shapes["input"],
        "hookPoints": [{"name": op["name"], "shape": shapes[op["name"]]} for op in ops if op["kind"] == "hook"],
        "layers": layers,
        "ops": ops,
        "steps": steps,
        "tensors": tensors,
        "weights": weights,
        "scales": scales([one.pop("ends") for one in weights], layers),
        "curve": {
            "step": steps,
            "testLoss": plain(run.log["test_loss"].values[at]),
            "testAccuracy": plain(run.log["test_accuracy"].values[at]),
        },
        "confusion": [one.pop("confusion") for one in weights],
        "measures": measured,
        "preferred": {layer: preferred(seen) for layer, seen in recorded.items()},
        "claims": packed(np.frombuffer(json.dumps([claim.to_json() for claim in claimed]).encode(), np.uint8)),
        "unclaimed": reason,
        "missions": []
        if twin
        else missions([(layers.index(name), layer) for name, layer in recorded.items()], claimed),
        "errors": errors(model, run.probe),
        "maps": {layer: one for layer, one in planes.items() if one is not None},
        "python": {"run": _shown_path(run), "module": run.description["model"]["kind"] == "module"},
        **({} if twin else forks(run, layers)),
    }


def scales(ends: Sequence[dict[str, tuple[float, float]]], layers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """For each layer the largest absolute activation at each snapshot, the end of its color scale there; and whether any is below 0."""
    return {
        layer: {
            "top": [max(1e-6, -one[layer][0], one[layer][1]) for one in ends],
            "both": any(one[layer][0] < 0 for one in ends),
        }
        for layer in layers
    }


def _shown_path(run: Run) -> str:
    """The run's folder in a form fit for readers: a full path would reveal too much."""
    return run.folder.name if run.folder.is_absolute() else run.folder.as_posix()


def plane(look: LayerLook) -> dict[str, Any] | None:
    """The two directions in which a layer varies most at the last snapshot, on which the page projects every snapshot; None
    for fewer than two units or images.
    """
    if min(look.trained.shape) < 2:
        return None
    found = look["geometry.pca"]
    return {
        "center": plain(look.trained.values.astype(float).mean(0)),
        "directions": [plain(row) for row in found["direction"].values],
        "explained": plain(found["explained"].values),
        "chance": plain(found["explained_by_chance"].values),
    }


def shown(ops: Sequence[dict[str, Any]], model: nn.Module) -> list[str]:
    """The hook points drawn as units: the outputs of our own networks' nonlinearities; for a foreign module the output of each of its
    layers, if it is more than a reshaped input, up to the logits, which are drawn separately.
    """
    found, computed = [], False
    for op in ops:
        if op["kind"] != "hook":
            computed = computed or op["kind"] != "flatten"
        elif computed and op["name"].endswith(".hook_post" if isinstance(model, Network) else ".hook_out"):
            found.append(op["name"])
            computed = False
    last = max((i for i, op in enumerate(ops) if op["kind"] not in ("hook", "flatten")), default=-1)
    return [name for name in found if name not in [op.get("name") for op in ops[last:]]]


def _shapes(model: nn.Module, run: Run) -> dict[str, list[int]]:
    """The shape of each hook point for one image."""
    lens: Any = hooked(model)
    with torch.no_grad(), evaluation(lens):
        image = run.probe.subset([0]).tensor()
        logits, cache = lens.run_with_cache(image)
    found = {name: list(tensor.shape[1:]) for name, tensor in cache.items()}
    return {"input": list(image.shape[1:]), "logits": list(logits.shape[1:])} | found


def _places(weights: dict[str, torch.Tensor], wanted: Sequence[str]) -> dict[str, Any]:
    """The offset of each tensor among a snapshot's numbers, and its shape."""
    places, offset = {}, 0
    for name in wanted:
        places[name] = {"shape": list(weights[name].shape), "offset": offset}
        offset += weights[name].numel()
    return places
