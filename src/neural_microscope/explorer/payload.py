"""What the page is given: probe images, each network's operations and rounded weights, and the measures of its units."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from ..analysis import causal, geometry, selectivity, similarity
from ..analysis.look import FirstLook, LayerLook, Progress
from ..errors import RunError
from ..hooks import activations, evaluation, hooked
from ..models import Network
from ..run import Run, same_but_seed
from .graph import operations

VERSION = 1


def payload(
    given: Sequence[Run | FirstLook],
    *,
    snapshots: int = 20,
    models: Sequence[nn.Module | None] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Everything the page shows, as plain JSON values; the arguments are those of `write`.

    Of each run at most ``snapshots`` moments, the first and the last among them.
    """
    runs = [one.run if isinstance(one, FirstLook) else one for one in given]
    looks = {id(one.run): one for one in given if isinstance(one, FirstLook)}
    if not runs:
        raise RunError("the explorer needs at least one run")
    probe = runs[0].probe
    for run in runs[1:]:
        if not (np.array_equal(run.probe.images, probe.images) and np.array_equal(run.probe.labels, probe.labels)):
            raise RunError(
                f"{run.folder} was probed with other images than {runs[0].folder}; one page shows networks on the same ones"
            )
    groups = [[runs[place] for place in group] for group in same_but_seed(runs)]
    into = [*models, *[None] * (len(groups) - len(models))]
    count, rows, cols = probe.images.shape
    return {
        "version": VERSION,
        "note": runs[0].description["data"]["note"],
        "images": {
            "count": count,
            "rows": rows,
            "cols": cols,
            "classes": probe.classes,
            "dataset": runs[0].description["data"]["name"],
            "labels": probe.labels.tolist(),
            "pixels": _packed(probe.images.astype(np.uint8)),
        },
        "networks": [
            _network(run, name, model, snapshots, others, looks.get(id(run)), progress)
            for (run, *others), name, model in zip(groups, names([g[0] for g in groups]), into, strict=True)
        ],
    }


def names(runs: Sequence[Run]) -> list[str]:
    """A name for each run: MLP and CNN, a module's class, or with the folder where two are alike."""
    about = [run.description["model"] for run in runs]
    found = [a["class"] if a["kind"] == "module" else a["kind"].upper() for a in about]
    return [n if found.count(n) == 1 else f"{n} ({run.folder.name})" for n, run in zip(found, runs, strict=True)]


def spread(steps: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of the steps, evenly over the recorded moments, the first and the last among them."""
    if most < 1:
        raise RunError(f"{most} snapshots; give 1 or more")
    if len(steps) <= most:
        return list(steps)
    if most == 1:
        return [steps[-1]]
    return [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, most).round().astype(int))]


def _network(
    run: Run,
    name: str,
    into: nn.Module | None,
    most: int,
    others: Sequence[Run],
    look: FirstLook | None,
    progress: Progress | None,
) -> dict[str, Any]:
    model = run.model(into=into)
    ops = operations(model)
    shapes = _shapes(model, run)
    for op in ops:
        if op["kind"] == "hook" and op["name"] not in shapes:
            raise RunError(f"{run.folder}: the network has no hook point {op['name']!r}")
    steps = spread(run.steps, most)
    wanted = sorted(
        {v for op in ops for k, v in op.items() if k in ("weight", "bias", "mean", "variance") and isinstance(v, str)}
    )
    tensors = _places(run.weights(steps[-1]), wanted)
    rounded = [_rounded(run.weights(step), wanted, run, step) for step in steps]
    layers = shown(ops, model)
    exact, answers = accuracies(model, run, dict(zip(wanted, rounded[-1], strict=True)))
    found = {} if look is None else {layer.hook_point: layer for layer in look.layers}
    measured, planes = {}, {}
    for done, layer in enumerate(layers):
        measured[layer] = units(run, model, layer, others, found.get(layer))
        planes[layer] = plane(run, layer, found.get(layer))
        if progress:
            progress(name, done + 1, len(layers))
    at = [run.steps.index(step) for step in steps]
    return {
        "name": name,
        "seed": run.description["model"].get("seed"),
        "classes": run.probe.classes,
        "input": [1, *run.probe.images.shape[1:]],
        "hookPoints": [{"name": op["name"], "shape": shapes[op["name"]]} for op in ops if op["kind"] == "hook"],
        "layers": layers,
        "ops": ops,
        "steps": steps,
        "tensors": tensors,
        "weights": [_packed(np.concatenate([t.ravel() for t in block]).astype("<f2")) for block in rounded],
        "scales": scales(model, run, layers),
        "curve": {
            "step": steps,
            "testLoss": _plain(run.log["test_loss"].values[at]),
            "testAccuracy": _plain(run.log["test_accuracy"].values[at]),
        },
        "accuracy": {"float32": exact, "float16": answers},
        "units": measured,
        "maps": {layer: one for layer, one in planes.items() if one is not None},
        "python": {"run": _shown_path(run), "module": run.description["model"]["kind"] == "module"},
    }


def scales(model: nn.Module, run: Run, layers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each layer at the last snapshot the largest absolute activation, where its colours end, and whether any is below 0."""
    acts = activations(model, run.probe, layers) if layers else {}
    return {
        layer: {"top": max(1e-6, float(abs(acts[layer]).max())), "both": bool((acts[layer] < 0).any())}
        for layer in layers
    }


def _shown_path(run: Run) -> str:
    """The run's folder as a reader may know it: a path from the root of somebody's disk says too much."""
    return run.folder.name if run.folder.is_absolute() else run.folder.as_posix()


def plane(run: Run, layer: str, look: LayerLook | None = None) -> dict[str, Any] | None:
    """The two directions in which a layer varies most at the last snapshot, on which the page projects every snapshot; None
    for fewer than two units.
    """
    if layer not in run.hook_points or (acts := _units(run, layer)) is None or min(acts.shape[1:]) < 2:
        return None
    last = acts.isel(snapshot=-1)
    found = geometry.pca(last.expand_dims("snapshot")) if look is None else look["geometry.pca"]
    return {
        "centre": _plain(last.values.astype(float).mean(0)),
        "directions": [_plain(row) for row in found["direction"].values],
        "explained": _plain(found["explained"].values),
        "chance": _plain(found["explained_by_chance"].values),
    }


def _units(run: Run, layer: str) -> xr.DataArray | None:
    """[snapshot, example, unit or channel] of what was recorded; None for what holds neither."""
    acts = run.activations(layer).load()
    return acts if acts.dims[1:] in (("example", "unit"), ("example", "channel")) else None


def shown(ops: Sequence[dict[str, Any]], model: nn.Module) -> list[str]:
    """The hook points drawn as units: what the nonlinearities of our own networks return; of a foreign module what each of its
    layers does, if that is more than another form of what came, up to the logits, which are drawn by themselves.
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
        logits, cache = lens.run_with_cache(run.probe.subset([0]).tensor())
    found = {name: list(tensor.shape[1:]) for name, tensor in cache.items()}
    return {"input": [1, *run.probe.images.shape[1:]], "logits": list(logits.shape[1:])} | found


def _places(weights: dict[str, torch.Tensor], wanted: Sequence[str]) -> dict[str, Any]:
    """Where each tensor begins among a snapshot's numbers, and its shape."""
    places, offset = {}, 0
    for name in wanted:
        places[name] = {"shape": list(weights[name].shape), "offset": offset}
        offset += weights[name].numel()
    return places


def _rounded(weights: dict[str, torch.Tensor], wanted: Sequence[str], run: Run, step: int) -> list[np.ndarray]:
    found = []
    for name in wanted:
        with np.errstate(over="ignore"):
            half = weights[name].detach().cpu().numpy().astype(np.float16)
        if not np.isfinite(half).all():
            raise RunError(
                f"{run.folder}: {name} at step {step} holds numbers that float16 can't: above 65,504 or not finite"
            )
        found.append(half)
    return found


def accuracies(model: nn.Module, run: Run, rounded: dict[str, np.ndarray]) -> tuple[float, float]:
    """Share of the probe images read rightly with the weights as they are, and as the page has them."""
    images, labels = run.probe.tensor(), run.probe.label_tensor()
    whole = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = []
    with torch.no_grad():
        for weights in (
            whole,
            whole | {name: torch.from_numpy(half.astype(np.float32)) for name, half in rounded.items()},
        ):
            model.load_state_dict(weights)
            found.append(float((model(images).argmax(1) == labels).double().mean()))
        model.load_state_dict(whole)
    return found[0], found[1]


def units(
    run: Run, model: nn.Module, layer: str, others: Sequence[Run] = (), look: LayerLook | None = None
) -> list[dict[str, Any]]:
    """The measures of a layer's units at the last snapshot, each with its null, for the unit cards; ``others``: runs that
    differ in nothing but their seeds, in which each unit is looked for.
    """
    if layer not in run.hook_points or (acts := _units(run, layer)) is None:
        return []
    last = acts.isel(snapshot=-1)
    if look is None:
        table, life = selectivity.class_selectivity(last), selectivity.over_time(acts)
        effects = causal.ablate_all(model, run.probe, layer)
    else:
        table, life, effects = (
            look["selectivity.class_selectivity"],
            look["selectivity.over_time"],
            look["causal.ablate_all"],
        )
    columns = {
        "preferred": table["preferred"],
        "selectivity": table["selectivity"],
        "selectivityLow": table["selectivity_null_low"],
        "selectivityHigh": table["selectivity_null_high"],
        "auc": table["auc"],
        "aucNullLow": table["auc_null_low"],
        "aucNullHigh": table["auc_null_high"],
        "density": table["density"],
        "since": life["since"],
        "accuracyDrop": effects["accuracy_drop"],
        "accuracyDropLow": effects["accuracy_drop_low"],
        "accuracyDropHigh": effects["accuracy_drop_high"],
        "lossIncrease": effects["loss_increase"],
        "lossNullLow": effects["loss_increase_null_low"],
        "lossNullHigh": effects["loss_increase_null_high"],
    }
    plain = {name: _plain(_numbers(array)) for name, array in columns.items()}
    again = [] if not others else _again(last, [other.activations(layer).isel(snapshot=-1) for other in others])
    by_class = effects["accuracy_drop_by_class"].values
    return [
        {
            **{name: values[unit] for name, values in plain.items()},
            "dropByClass": _plain(by_class[unit]),
            "again": again[unit] if again else None,
        }
        for unit in range(last.shape[1])
    ]


def _again(acts: xr.DataArray, others: Sequence[xr.DataArray]) -> list[dict[str, Any]]:
    """In how many of the other seeds each unit is found again, beyond a rotated basis."""
    table = similarity.replication([acts, *others])
    found, of, chance = (_plain(table[name].values) for name in ("replicated", "of", "replicated_by_chance"))
    return [{"found": f, "of": o, "chance": c} for f, o, c in zip(found, of, chance, strict=True)]


def _numbers(array: xr.DataArray) -> np.ndarray:
    return np.asarray(array.values)


def _plain(values: np.ndarray) -> list[Any]:
    """JSON has no NaN: what is not defined is null. Six significant digits."""
    if np.issubdtype(values.dtype, np.integer):
        return values.tolist()
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]


def _packed(array: np.ndarray) -> str:
    """Deflated and in base64; of numbers of several bytes first all first bytes, then all second ones, which deflate better."""
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize)
    return base64.b64encode(zlib.compress(raw.T.tobytes(), 9)).decode()
