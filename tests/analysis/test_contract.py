"""The contract of every measure: named results with their null, the same bits from the same seed, inputs left alone,
and a clear answer to input that is wrong or has nothing in it.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import neural_microscope as nm
from neural_microscope import analysis, axes, named
from neural_microscope.analysis import (
    attribution,
    causal,
    development,
    dictionary,
    dynamics,
    edits,
    geometry,
    influence,
    predictions,
    probes,
    selectivity,
    similarity,
)
from neural_microscope.data import ImageSet
from neural_microscope.errors import DataError, HookError, MicroscopeError, UnknownName
from neural_microscope.measure import every, on_pages

STEPS = (0, 10, 40)


@dataclass(frozen=True)
class World:
    """A small network that has learned a little, its images, and what stands inside it at three steps."""

    model: nn.Module
    images: ImageSet
    layer: str
    later: str
    acts: xr.DataArray
    """Of ``layer``: [snapshot, example, unit], or [snapshot, example, channel], the means of maps."""
    other: xr.DataArray
    """Of the same layer of another network: [example, unit] (or channel)."""
    maps: xr.DataArray
    """Of ``layer`` as it is, [example, unit] or [example, channel, row, col]."""
    logits: xr.DataArray
    """[snapshot, example, class]."""
    states: tuple[dict[str, Any], ...]
    images_b: ImageSet
    axis: str
    width: int

    @property
    def last(self) -> xr.DataArray:
        return named.last(self.acts)


def foreign(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 10))


def mlp(seed: int, **settings: Any) -> nn.Module:
    return nm.MLP(nm.MLPConfig(**{"image_shape": (8, 8), "hidden": (8, 6), **settings}), seed=seed)


def cnn(seed: int, **settings: Any) -> nn.Module:
    return nm.CNN(nm.CNNConfig(**{"image_shape": (8, 8), "channels": (4, 3), "head": (5,), **settings}), seed=seed)


KINDS: dict[str, Callable[[int], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "foreign": foreign,
    "tanh": partial(mlp, activation="tanh", norm="batch", norm_position="before"),
    "gelu": partial(mlp, activation="gelu", norm="layer", norm_position="after", bias=False),
    "average": partial(cnn, pool="average", norm="layer", norm_position="before", activation="gelu"),
    "after": partial(cnn, pool="max", norm="batch", norm_position="after", bias=False),
}


@cache
def world(kind: str) -> World:
    images = nm.data.load("digits").test.balanced(80, seed=1)
    layer, later = ("2.hook_out", "4.hook_out") if kind == "foreign" else ("layers.0.hook_post", "layers.1.hook_post")
    out = "5.hook_out" if kind == "foreign" else "logits"
    model = KINDS[kind](0)
    acts, logits, states = [], [], []
    for step, snapshot in taught(model, images):
        found = nm.activations(snapshot, images, [layer, out])
        acts.append(found[layer].assign_coords(step=step))
        logits.append(found[out].rename(dict(zip(found[out].dims, ("example", "class"), strict=True))))
        states.append({name: value.clone() for name, value in snapshot.state_dict().items()})
    at = ("snapshot", list(STEPS))
    return World(
        model=model,
        images=images,
        layer=layer,
        later=later,
        acts=reduced(xr.concat(acts, "snapshot")),
        other=reduced(nm.activations(KINDS[kind](1), images, layer)[layer]),
        maps=acts[-1].drop_vars("step"),
        logits=xr.concat(logits, "snapshot").assign_coords(step=at).rename("logits"),
        states=tuple(states),
        images_b=nm.data.load("digits").train.balanced(80, seed=2).subset(np.roll(np.arange(80), 1)),  # other classes
        axis="channel" if "channel" in acts[-1].dims else "unit",
        width=acts[-1].shape[1],
    )


def taught(model: nn.Module, images: ImageSet) -> Iterator[tuple[int, nn.Module]]:
    """The model after each of STEPS."""
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    pixels, labels = images.tensor(), images.label_tensor()
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            model.eval()
            yield step, model
        loss = nn.functional.cross_entropy(model.train()(pixels), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
    model.eval()
    model.zero_grad(set_to_none=True)


def reduced(acts: xr.DataArray) -> xr.DataArray:
    return acts.mean(("row", "col"), keep_attrs=True) if "row" in acts.dims else acts


def training(w: World) -> xr.Dataset:
    steps = np.arange(1, 9)
    return xr.Dataset({"loss": ("step", 1 / steps), "accuracy": ("step", steps / 10)}, coords={"step": steps})


def log(w: World) -> xr.Dataset:
    n = len(STEPS)
    return xr.Dataset(
        {
            "test_loss": ("snapshot", np.linspace(2, 1, n)),
            "test_accuracy": ("snapshot", np.linspace(0.1, 0.9, n)),
            "test_accuracy_by_class": (("snapshot", "class"), np.linspace(0, 1, 10 * n).reshape(n, 10)),
        },
        coords={"step": ("snapshot", list(STEPS))},
    )


def gradients(w: World) -> xr.Dataset:
    values = np.random.default_rng(0).exponential(size=(8, 2))
    return xr.Dataset(
        {name: (("step", "parameter"), values) for name in ("grad_norm", "update_ratio")},
        coords={"step": np.arange(1, 9), "parameter": ["a", "b"]},
    )


@cache
def sae(units: int, seed: int = 0) -> dictionary.TopKSAE:
    x = np.random.default_rng(units).standard_normal((40, units))
    return dictionary.random_sae(xr.DataArray(x, dims=("example", "unit")), 12, 3, seed=seed)


def weights_of(w: World) -> xr.DataArray:
    values = np.random.default_rng(0).standard_normal((w.acts.sizes.get("snapshot", 1), 10, w.width))
    return xr.DataArray(values, dims=("snapshot", "class", w.axis))


def replayed(dims: str) -> xr.DataArray:
    """Scores or effects of three orders of a replay."""
    values = np.random.default_rng(0).standard_normal((3, 23, 2, 4)[: len(dims.split())])
    names = ["twin", "branch", *(f"null {number}" for number in range(21))]
    return xr.DataArray(values, {"network": names, "step": ("snapshot", [4, 8])}, dims.split())


def errors_on_lines() -> xr.DataArray:
    values = np.random.default_rng(0).uniform(size=(3, 4, 5))
    return xr.DataArray(values, {"step": ("fork", [0, 4, 8])}, ("fork", "pair", "share"))


def layout(w: World) -> xr.DataArray:
    values = np.random.default_rng(0).standard_normal((2, len(w.images), 2))
    return xr.DataArray(values, dims=("seed", "example", "component"))


def networks(w: World) -> list[dict[str, xr.DataArray]]:
    """Four networks that differ."""
    last = w.logits.isel(snapshot=-1, missing_dims="ignore")
    return [{"logits": last * factor, "layer": w.other * (w.other > 0.1 * factor)} for factor in (0.5, 0.7, 0.9, 1.1)]


def effects(*, seeds: bool = True) -> xr.DataArray:
    """Made-up effects of sets of images, [set, seed, target]."""
    drawn = np.random.default_rng(0).standard_normal((12, 4, 3))
    return xr.DataArray(drawn, dims=("set", "seed", "target")) if seeds else effects().mean("seed")


# name -> the measure on a world, with as few draws as show that they happen
MEASURES: dict[str, Callable[[World], Any]] = {
    "selectivity.agreement": lambda w: selectivity.agreement(selectivity.class_selectivity(w.acts, draws=5), draws=5),
    "selectivity.basis_comparison": lambda w: selectivity.basis_comparison(w.acts, draws=3),
    "selectivity.class_means": lambda w: selectivity.class_means(w.acts),
    "selectivity.class_selectivity": lambda w: selectivity.class_selectivity(w.acts, draws=5),
    "selectivity.over_time": lambda w: selectivity.over_time(w.acts),
    "selectivity.quantile_examples": lambda w: selectivity.quantile_examples(w.acts),
    "selectivity.selectivity_by_class": lambda w: selectivity.selectivity_by_class(w.acts),
    "selectivity.top_examples": lambda w: selectivity.top_examples(w.acts),
    "selectivity.top_units": lambda w: selectivity.top_units(selectivity.class_means(w.last)),
    "selectivity.tuning": lambda w: selectivity.tuning(w.acts, draws=5),
    "similarity.cca": lambda w: similarity.cca(w.last, w.other, draws=3),
    "similarity.cka": lambda w: similarity.cka(w.last, w.other, draws=3),
    "similarity.compare": lambda w: similarity.compare(w.last, w.other, draws=3),
    "similarity.drift": lambda w: similarity.drift(w.acts, components=2, draws=3),
    "similarity.match_units": lambda w: similarity.match_units(w.last, w.other, draws=3),
    "similarity.matrix": lambda w: similarity.matrix({"a": w.last, "b": w.other}, draws=3),
    "similarity.minibatch_cka": lambda w: similarity.minibatch_cka([(w.last, w.other)]),
    "similarity.principal_angles": lambda w: similarity.principal_angles(w.last, w.other, k=2, draws=3),
    "similarity.procrustes": lambda w: similarity.procrustes(w.last, w.other, draws=3),
    "similarity.replication": lambda w: similarity.replication([w.last, w.other], draws=3),
    "similarity.rsa": lambda w: similarity.rsa(w.last, w.other, draws=3),
    "similarity.unit_drift": lambda w: similarity.unit_drift(w.acts),
    "geometry.between_classes": lambda w: geometry.between_classes(geometry.pca(w.acts, draws=2)),
    "geometry.clusters": lambda w: geometry.clusters(w.acts, draws=3),
    "geometry.dimension": lambda w: geometry.dimension(w.acts, draws=3),
    "geometry.embed": lambda w: geometry.embed(w.acts, seeds=(0, 1), draws=3, perplexity=5),
    "geometry.faithfulness": lambda w: geometry.faithfulness(w.acts, layout(w), draws=3),
    "geometry.neural_collapse": lambda w: geometry.neural_collapse(w.acts, weights_of(w), logits=w.logits, draws=3),
    "geometry.pca": lambda w: geometry.pca(w.acts, draws=3),
    "geometry.pca_streaming": lambda w: geometry.pca_streaming([w.last, w.other], draws=3),
    "geometry.subspaces": lambda w: geometry.subspaces(w.acts, {"first": np.arange(3)}, sizes=(2, 3), draws=3),
    "causal.ablate_all": lambda w: causal.ablate_all(w.model, w.images, w.layer, method="resample", draws=5),
    "causal.ablate_directions": lambda w: causal.ablate_directions(w.model, w.images, w.layer, draws=3),
    "causal.ablate_loss": lambda w: causal.ablate_loss(w.model, w.images, w.layer, draws=3),
    "causal.ablated_logits": lambda w: causal.ablated_logits(w.model, w.images, w.layer),
    "causal.label_dependence": lambda w: causal.label_dependence(w.model, w.images, w.layer),
    "causal.attribution_patching": lambda w: causal.attribution_patching(
        w.model, w.images, w.images_b, w.layer, draws=5
    ),
    "causal.confusion_shift": lambda w: causal.confusion_shift(
        w.model, w.images, [(w.layer, nm.interventions.zero())], draws=3
    ),
    "causal.cumulative_ablation": lambda w: causal.cumulative_ablation(
        w.model, w.images, w.layer, {"up": np.arange(w.width)}, draws=2, shares=(0, 0.5, 1)
    ),
    "causal.direct_logit_attribution": lambda w: causal.direct_logit_attribution(w.model, w.images, w.layer, draws=5),
    "causal.dose_response": lambda w: causal.dose_response(w.model, w.images, w.layer, 0, factors=(0, 1), draws=3),
    "causal.interactions": lambda w: causal.interactions(w.model, w.images, w.layer),
    "causal.patch_between": lambda w: causal.patch_between(w.model, w.images, w.images_b, w.layer, draws=5),
    "causal.path_patching": lambda w: causal.path_patching(
        w.model, w.images, w.images_b, (w.layer, 0), (w.later, None), draws=3
    ),
    "attribution.against_untrained": lambda w: attribution.against_untrained(
        attribution.saliency, w.model, w.images.subset(slice(12)), draws=3
    ),
    "attribution.deletion_insertion": lambda w: attribution.deletion_insertion(
        w.model, w.images, attribution.saliency(w.model, w.images)["attribution"], steps=3, draws=3
    ),
    "attribution.grad_cam": lambda w: attribution.grad_cam(w.model, w.images, w.layer),
    "attribution.gradient_times_input": lambda w: attribution.gradient_times_input(w.model, w.images),
    "attribution.integrated_gradients": lambda w: attribution.integrated_gradients(w.model, w.images, steps=4),
    "attribution.activation_maximization": lambda w: attribution.activation_maximization(
        w.model, w.images, w.layer, 0, steps=3, draws=3, seeds=(0, 1)
    ),
    "attribution.occlusion": lambda w: attribution.occlusion(w.model, w.images, patch=4, stride=4),
    "attribution.saliency": lambda w: attribution.saliency(w.model, w.images),
    "attribution.sanity_check": lambda w: attribution.sanity_check(attribution.saliency, w.model, w.images, draws=2),
    "attribution.single_pixels": lambda w: attribution.single_pixels(w.model, w.layer, image_shape=(8, 8)),
    "attribution.smooth_grad": lambda w: attribution.smooth_grad(w.model, w.images, n=3),
    "development.barrier": lambda w: development.barrier(errors_on_lines(), draws=19),
    "development.change_of_learning": lambda w: development.change_of_learning(replayed("order network snapshot")),
    "development.takeover": lambda w: development.takeover(replayed("order network snapshot unit"), 1),
    "dynamics.activity": lambda w: dynamics.activity(w.acts),
    "dynamics.gradient_flow": lambda w: dynamics.gradient_flow(gradients(w)),
    "dynamics.histograms": lambda w: dynamics.histograms(w.acts),
    "dynamics.learning_by_class": lambda w: dynamics.learning_by_class(log(w), counts=np.full(10, 8)),
    "dynamics.learning_curve": lambda w: dynamics.learning_curve(training(w), log(w)),
    "dynamics.lives": lambda w: dynamics.lives(w.acts),
    "dynamics.sharpness": lambda w: dynamics.sharpness(w.model, w.images, n=40, iterations=5),
    "dynamics.weight_spectra": lambda w: dynamics.weight_spectra(w.states, STEPS, draws=3),
    "edits.distance_from_retrained": lambda w: edits.distance_from_retrained(
        {"logits": w.logits, "layer": w.acts}, networks(w)[:3], networks(w)[3:]
    ),
    "edits.edit_price": lambda w: edits.edit_price(
        w.logits, 0.5 * w.logits, np.where(np.asarray(w.images.labels) == 3, 3, -1)
    ),
    "dictionary.TopKSAE": lambda w: dictionary.TopKSAE(4, 6, 2),
    "dictionary.decoder_pictures": lambda w: dictionary.decoder_pictures(sae(8), np.ones((8, 4, 4))),
    "dictionary.encode": lambda w: dictionary.encode(sae(w.width), w.acts),
    "dictionary.evaluate_sae": lambda w: dictionary.evaluate_sae(
        sae(w.width), w.acts, w.model, w.images, w.layer, draws=3
    ),
    "dictionary.purity": lambda w: dictionary.purity(sae(w.width), w.acts, draws=3, resamples=3),
    "dictionary.random_sae": lambda w: dictionary.random_sae(w.acts, 12, 3),
    "dictionary.stability": lambda w: dictionary.stability(sae(w.width), sae(w.width, 1), w.acts, draws=3),
    "dictionary.train_sae": lambda w: dictionary.train_sae(w.acts, 12, 3, steps=5, batch_size=16),
    "influence.agreement": lambda w: influence.agreement(effects(seeds=False), effects(), draws=5, resamples=5),
    "influence.harm": lambda w: influence.harm(
        effects(seeds=False).rename(set="example"), xr.DataArray(np.arange(12) < 4, dims="example"), draws=5
    ),
    "influence.reliability": lambda w: influence.reliability(effects(), draws=5, resamples=5),
    "predictions.calibration_error": lambda w: predictions.calibration_error(w.logits, draws=5),
    "predictions.confusion": lambda w: predictions.confusion(w.logits),
    "predictions.confusion_over_time": lambda w: predictions.confusion_over_time(w.logits),
    "predictions.learning_order": lambda w: predictions.learning_order(w.logits, draws=5),
    "predictions.margins": lambda w: predictions.margins(w.logits),
    "probes.linear_probe": lambda w: probes.linear_probe(w.acts, controls=1, draws=5),
    "probes.probe_layers": lambda w: probes.probe_layers({"a": w.acts}, controls=1, draws=5, snapshots=2),
}

TABLED_APART = ("controls", "streaming")
"""They put measures together, and have tests of their own."""


def test_what_a_page_shows_has_a_place_of_its_own_and_stands_there() -> None:
    importlib.import_module("neural_microscope.analysis.findings")  # gives the measures their pictures
    on_page = [one for one in every() if one.pictures or one.descriptions]
    assert len(on_page) > 20
    assert all(one.place for one in on_page), [one.name for one in on_page if not one.place]
    assert len({one.place for one in on_page}) == len(on_page)
    names = [one.name for one in on_pages()]
    assert names.index("dynamics.learning_curve") < names.index("geometry.pca") < names.index("causal.ablate_all")
    assert names[len(on_page) :] == sorted(names[len(on_page) :])


def test_every_measure_of_the_register_keeps_this_contract() -> None:
    registered = [one for one in every() if one.function.__module__.startswith("neural_microscope.")]
    assert {one.name for one in registered if one.area not in TABLED_APART} == set(MEASURES) - {"dictionary.TopKSAE"}


OPTIONS_BY_NAME = ("development", "dynamics", "geometry", "influence", "predictions", "similarity")
"""Areas whose options can be given by keyword only."""


@pytest.mark.parametrize("name", [name for name in MEASURES if name.startswith(OPTIONS_BY_NAME)])
def test_options_are_given_by_keyword_only(name: str) -> None:
    """Positional arguments are data; a default of None is data that may be missing."""
    area, _, function = name.partition(".")
    for parameter in inspect.signature(getattr(getattr(analysis, area), function)).parameters.values():
        option = parameter.default not in (inspect.Parameter.empty, None)
        assert not option or parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter


EXTRA = {
    "basis",
    "draw",
    "floor",
    "fork",
    "measure",
    "order",
    "parameter",
    "patched",
    "quantile",
    "rank",
    "set",
    "target",
}
"""Dimensions that no network has: they count what a measure does."""
OF_A_LOG = {"dynamics.gradient_flow", "dynamics.learning_curve", "dynamics.weight_spectra"}
OF_A_LOG |= {"development.barrier", "development.change_of_learning", "development.takeover"}
OF_A_LOG |= {"influence.agreement", "influence.reliability"}
"""They see no examples."""
WHERE = {
    "attribution.grad_cam": ("cnn", "average", "after"),
    "geometry.embed": ("mlp", "cnn"),  # takes long
    **dict.fromkeys(("dynamics.gradient_flow", "dynamics.learning_curve", "dynamics.learning_by_class"), ("mlp",)),
    **dict.fromkeys((f"development.{n}" for n in ("barrier", "change_of_learning", "takeover")), ("mlp",)),
    **dict.fromkeys(("dictionary.TopKSAE", "dictionary.decoder_pictures"), ("mlp",)),
}
"""The reasons to leave a measure out: it needs convolutional maps, sees nothing of the network, or little of it in much time."""
BY_MODEL = [name for name in MEASURES if name.startswith(("attribution", "causal"))] + ["dynamics.sharpness"]


@cache
def measured(name: str, kind: str) -> Any:
    return MEASURES[name](world(kind))


def on(kinds: tuple[str, ...], names: Any = MEASURES) -> list[tuple[str, str]]:
    return [(name, kind) for name in names for kind in kinds if kind in WHERE.get(name, kinds)]


def arrays(result: Any) -> dict[str, np.ndarray]:
    """All numbers of a result, by name."""
    if isinstance(result, xr.Dataset):
        return {str(name): array.values for name, array in result.variables.items()}
    if isinstance(result, nn.Module):
        return {name: value.numpy(force=True) for name, value in result.state_dict().items()}
    return {"": np.asarray(result)}


def same(a: Any, b: Any) -> bool:
    one, other = arrays(a), arrays(b)
    return one.keys() == other.keys() and all(
        x.dtype == other[name].dtype and x.tobytes() == other[name].tobytes() for name, x in one.items()
    )


@pytest.mark.parametrize(("name", "kind"), [*on(("mlp", "cnn")), *on(("foreign",), BY_MODEL)])
def test_results_say_what_they_are(name: str, kind: str) -> None:
    result = measured(name, kind)
    if not isinstance(result, xr.Dataset):
        assert isinstance(result, xr.DataArray | np.ndarray | nn.Module)
        return
    assert {str(dim).removesuffix("_b") for dim in result.dims} <= {*axes.VOCABULARY, *EXTRA}
    assert {"hook_point", "null", "source"} <= set(result.attrs)
    assert "n_examples" in result.attrs or name in OF_A_LOG
    assert isinstance(result.attrs["hook_point"], str)
    assert all(result.attrs[key] for key in ("null", "source"))
    without = {n for n, a in result.data_vars.items() if a.dtype.kind == "f" and "units" not in a.attrs}
    assert {n for n in without if not str(n).endswith(("_p", "_q"))} == set()


CLOSED_FORM = {
    "edits.distance_from_retrained",
    "edits.edit_price",
    "dynamics.learning_by_class",
    "similarity.unit_drift",
    "causal.interactions",
    "causal.label_dependence",
}
CLOSED_FORM |= {"development.change_of_learning", "development.takeover"}
"""Those whose null draws nothing, or is given."""


@pytest.mark.parametrize(("name", "kind"), [*on(("mlp", "cnn")), *on(("foreign",), BY_MODEL)])
def test_values_stand_beside_both_ends_of_their_null_and_interval(name: str, kind: str) -> None:
    result = measured(name, kind)
    variables = arrays(result) if isinstance(result, xr.Dataset) else {}
    for key, low in variables.items():
        if key.endswith("_low"):
            high = variables[key.removesuffix("_low") + "_high"]
            assert low.shape == high.shape
            assert not (low > high).any(), key
        if key.endswith("_high"):
            assert key.removesuffix("_high") + "_low" in variables or key == "correlation_null_high"  # `replication`
        if key.endswith(("_p", "_q")):
            assert np.isnan(low).any() or ((low > 0) & (low <= 1)).all(), key
            assert not ((low <= 0) | (low > 1)).any(), key
            assert key[:-2] in variables or key.removesuffix("_floor_p") in variables, key
            assert "seed" in result.attrs or key == "correlation_p" or name in CLOSED_FORM
            assert result.attrs["null"] != "none, a description", (
                "that is what a measure has that says nothing of its null"
            )


@pytest.mark.parametrize(("name", "kind"), [*on(("mlp",)), *on(("after",), BY_MODEL)])
def test_the_same_call_gives_the_same_bits_and_leaves_no_trace(name: str, kind: str) -> None:
    w = world(kind)
    first = measured(name, kind)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    before = copy.deepcopy((w.acts, w.other, w.maps, w.logits, w.images.images, w.images.labels))
    weights = copy.deepcopy(w.model.state_dict())
    w.model.train()
    w.model.get_submodule("output").eval()
    modes = [module.training for module in w.model.modules()]
    try:
        again = MEASURES[name](w)
        assert [module.training for module in w.model.modules()] == modes
    finally:
        w.model.eval()
    assert same(first, again)
    assert np.random.random() == np.random.RandomState(7).random()  # noqa: NPY002
    assert torch.rand(1).equal(torch.rand(1, generator=torch.Generator().manual_seed(7)))
    after = (w.acts, w.other, w.maps, w.logits, w.images.images, w.images.labels)
    for was, is_ in zip(before, after, strict=True):
        assert was.identical(is_) if isinstance(was, xr.DataArray) else np.array_equal(was, is_)
    assert all(value.equal(w.model.state_dict()[key]) for key, value in weights.items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in w.model.parameters())
    assert not any(hooks for module in w.model.modules() for hooks in (module._forward_hooks, module._backward_hooks))
    assert not any(module._forward_pre_hooks for module in w.model.modules())


@pytest.mark.parametrize(
    ("name", "kind"), on(("tanh", "gelu", "average", "after"), [*BY_MODEL, "dictionary.evaluate_sae"])
)
def test_every_build_of_network_is_measured(name: str, kind: str) -> None:
    assert measured(name, kind) is not None


def bare(pool: bool) -> World:
    """Of a network without hidden dense layers: maps and logits, or nothing but logits."""
    model = cnn(0, head=(), pool="none") if pool else mlp(0, hidden=())
    w = world("cnn" if pool else "mlp")
    return dataclasses.replace(w, model=model, layer="layers.0.hook_post" if pool else "input", later="logits")


@pytest.mark.parametrize("name", [name for name in BY_MODEL if name != "causal.path_patching"])
def test_networks_without_hidden_layers_are_measured_or_refused(name: str) -> None:
    assert MEASURES[name](bare(pool=True)) is not None
    answered(name, bare(pool=False))


def answered(name: str, w: World) -> Any:
    """A result, or one of the package's own errors with a text."""
    try:
        return MEASURES[name](w)
    except MicroscopeError as error:
        found = error
    assert len(str(found)) > 20
    return found


def changed(w: World, change: Callable[[xr.DataArray], xr.DataArray], *names: str, **fields: Any) -> World:
    names = names or ("acts", "other", "maps", "logits")
    return dataclasses.replace(w, **{name: change(getattr(w, name)) for name in names}, **fields)


def some(w: World, chosen: Any) -> World:
    """The same, of a few examples; clean images meet as many corrupted ones."""
    count = len(chosen)
    images_b = w.images_b.subset(np.arange(count))
    return changed(w, lambda a: a.isel(example=chosen), images=w.images.subset(chosen), images_b=images_b)


def feature(acts: xr.DataArray) -> str:
    return next(str(dim) for dim in acts.dims if dim in ("unit", "channel", "class"))


SEES_NO_ACTS = {*BY_MODEL, "dynamics.weight_spectra", "dynamics.gradient_flow", "dynamics.learning_curve"}
SEES_NO_ACTS |= {"development.barrier", "development.change_of_learning", "development.takeover"}
SEES_NO_ACTS |= {"dynamics.learning_by_class", "dictionary.TopKSAE", "dictionary.decoder_pictures"}
SEES_NO_ACTS |= {"influence.agreement", "influence.harm", "influence.reliability"}
OF_ACTS = [name for name in MEASURES if name not in SEES_NO_ACTS]
TWO_SIDED = [
    n for n in OF_ACTS if n.startswith("similarity") and n not in ("similarity.drift", "similarity.unit_drift")
]
TWO_SIDED += ["edits.distance_from_retrained", "geometry.neural_collapse"]
LABELED = [n for n in OF_ACTS if n.startswith(("selectivity", "predictions", "probes"))]
LABELED = [n for n in LABELED if not n.endswith("_examples")]
LABELED += ["edits.edit_price", "dictionary.purity", "geometry.between_classes", "geometry.clusters"]
LABELED += ["geometry.neural_collapse", "geometry.subspaces"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", OF_ACTS)
def test_a_diverged_snapshot_is_refused_by_hook_point_and_step(name: str, value: float) -> None:
    def poisoned(acts: xr.DataArray) -> xr.DataArray:
        bad = acts.copy(deep=True)
        bad.values.reshape(-1)[-1] = value
        return bad

    with pytest.raises(DataError, match=r"(layers\.0\.hook_post|logits) at step 40: not all values are finite"):
        MEASURES[name](changed(world("mlp"), poisoned, "acts", "logits"))


def test_the_step_is_named_where_one_snapshot_was_given_an_axis_of_its_own() -> None:
    one = world("mlp").last.expand_dims("snapshot").copy(deep=True)
    one.values[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="at step 40"):
        geometry.pca(one)


@pytest.mark.parametrize("name", [*BY_MODEL, "dictionary.evaluate_sae"])
def test_a_diverged_network_is_refused(name: str) -> None:
    w = world("cnn")
    broken = copy.deepcopy(w.model)
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = np.nan
    with pytest.raises(DataError, match=r"finite.*diverged"):
        MEASURES[name](dataclasses.replace(w, model=broken))


@pytest.mark.parametrize("name", [n for n in BY_MODEL if n.startswith("causal") and "shift" not in n])
def test_a_network_whose_logits_alone_overflow_is_refused(name: str) -> None:
    w = world("mlp")
    broken = copy.deepcopy(w.model)
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter.mul_(1e20)
    with pytest.raises(DataError, match=r"logits: not all values are finite"):
        MEASURES[name](dataclasses.replace(w, model=broken))


@pytest.mark.parametrize("name", OF_ACTS)
def test_no_examples_or_other_axes_are_errors(name: str) -> None:
    w = world("mlp")
    with pytest.raises(DataError):
        MEASURES[name](changed(w, lambda a: a.isel(example=[])))
    with pytest.raises(DataError, match=r"ax(i|e)s"):
        MEASURES[name](changed(w, lambda a: a.isel(example=0, drop=True), "acts", "other", "logits"))
    if name not in ANY_FEATURE:
        with pytest.raises(DataError, match=r"ax(i|e)s"):
            MEASURES[name](changed(w, lambda a: a.rename({feature(a): "feature"})))


ANY_FEATURE = {f"similarity.{n}" for n in ("cca", "cka", "compare", "matrix", "minibatch_cka", "principal_angles")}
ANY_FEATURE |= {"similarity.procrustes", "similarity.rsa", "geometry.embed", "geometry.faithfulness"}
ANY_FEATURE |= {"dynamics.histograms", "probes.linear_probe", "probes.probe_layers"}
ANY_FEATURE |= {"edits.distance_from_retrained"}
"""Examples are points in any space to them."""


@pytest.mark.parametrize("name", LABELED)
def test_labels_that_are_no_classes_are_errors(name: str) -> None:
    w = world("mlp")
    with pytest.raises(DataError, match="label"):
        MEASURES[name](changed(w, lambda a: a.drop_vars("label")))
    for wrong in (w.images.labels + 0.5, w.images.labels - 1, w.images.labels.astype(str)):
        with pytest.raises(DataError, match="they must be integers from 0"):
            MEASURES[name](changed(w, lambda a, wrong=wrong: a.assign_coords(label=("example", wrong))))


@pytest.mark.parametrize("name", TWO_SIDED)
def test_two_sides_of_other_images_are_errors(name: str) -> None:
    w = world("mlp")
    if name == "similarity.replication":
        w = dataclasses.replace(w, other=w.other.assign_coords(step=0))
    with pytest.raises(DataError, match="same images"):
        MEASURES[name](changed(w, lambda a: a.isel(example=slice(1, None)), "other", "logits"))
    turned = w.images.labels[::-1]
    with pytest.raises(DataError, match="different labels"):
        MEASURES[name](changed(w, lambda a: a.assign_coords(label=("example", turned)), "other", "logits"))


NAMES_A_LAYER = [n for n in BY_MODEL if n.startswith("causal")] + [
    "attribution.activation_maximization",
    "attribution.single_pixels",
]
NAMES_A_LAYER += ["attribution.grad_cam", "dictionary.evaluate_sae"]


@pytest.mark.parametrize("name", NAMES_A_LAYER)
def test_a_mistyped_hook_point_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'layers\.0\.hook_p"):
        MEASURES[name](dataclasses.replace(world("mlp"), layer="layers.0.hook_psot"))


class Pair(nn.Module):
    """Returns its logits and something else."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 8), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, int]:
        return self.second(self.first(images.flatten(1)).relu()), 0


SCORED = [*BY_MODEL, "dictionary.evaluate_sae"]
SCORED = [
    n
    for n in SCORED
    if n not in ("attribution.grad_cam", "attribution.activation_maximization", "attribution.single_pixels")
]


@pytest.mark.parametrize("name", SCORED)
def test_a_model_without_a_logit_for_each_class_is_refused(name: str) -> None:
    w = world("mlp")
    with pytest.raises(DataError, match="class"):
        MEASURES[name](dataclasses.replace(w, model=mlp(0, classes=3)))
    with pytest.raises((DataError, HookError), match=r"are needed|must be|needs numbers of|does not return logits"):
        MEASURES[name](dataclasses.replace(w, model=Pair(), layer="first.hook_out", later="second.hook_out"))


@pytest.mark.parametrize("unit", [8, -1])
def test_a_unit_that_is_not_there_is_an_error(unit: int) -> None:
    w = world("mlp")
    calls: list[Callable[[], Any]] = [
        lambda: causal.dose_response(w.model, w.images, w.layer, unit),
        lambda: causal.path_patching(w.model, w.images, w.images_b, (w.layer, unit), (w.later, None)),
        lambda: causal.path_patching(w.model, w.images, w.images_b, (w.layer, 0), (w.later, unit)),
        lambda: attribution.activation_maximization(w.model, w.images, w.layer, unit, steps=1),
        lambda: attribution.saliency(w.model, w.images, target=(w.layer, unit)),
    ]
    for call in calls:
        with pytest.raises(HookError, match=rf"units 0 to \d.* {unit}"):
            call()
    with pytest.raises(DataError, match=r"classes 0 to 9; there is no class 10"):
        attribution.saliency(w.model, w.images, target=10)


def still(value: float) -> Callable[[World], World]:
    return lambda w: changed(w, lambda a: a * 0 + value)


def one_dead(w: World) -> World:
    alive = xr.DataArray(np.arange(w.width) != 1, dims=w.axis)
    return changed(w, lambda a: a.where(alive, 0.0), "acts", "other", "maps")


def one_unit(w: World) -> World:
    return changed(w, lambda a: a.isel({feature(a): [0]}), "acts", "other", "maps", width=1)


def zeroed(w: World) -> World:
    model = copy.deepcopy(w.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return dataclasses.replace(w, model=model)


POOR: dict[str, Callable[[World], World]] = {
    "constant": still(0.7),
    "silent": still(0.0),
    "negative": still(-0.7),
    "one dead unit": one_dead,
    "one unit": one_unit,
    "one class": lambda w: some(w, np.flatnonzero(w.images.labels == 3)),
    "a class missing": lambda w: some(w, np.flatnonzero(w.images.labels % 9 != 0)),
    "one example": lambda w: some(w, [0]),
    "two examples": lambda w: some(w, [0, 1]),
    "two of one class": lambda w: some(w, np.flatnonzero(w.images.labels == 3)[:2]),
    "four examples": lambda w: some(w, [0, 1, 2, 3]),
    "eight examples": lambda w: some(w, np.arange(8)),
    "one image again and again": lambda w: some(w, [0] * 12),
    "one snapshot": lambda w: changed(w, lambda a: a.isel(snapshot=[0]), "acts", "logits"),
    "no snapshot": lambda w: changed(w, lambda a: a.isel(snapshot=0), "acts", "logits"),
    "weights of zero": zeroed,
}


OF_THE_NETWORK = ("one class", "one example", "two examples", "one image again and again", "weights of zero")
"""The part of POOR that a measure of a model and images sees."""


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in WHERE])
def test_poor_input_gives_nan_or_an_error_that_says_why(name: str) -> None:
    for poor in POOR if name in OF_ACTS else OF_THE_NETWORK:
        answered(name, POOR[poor](world("mlp")))


@pytest.mark.parametrize("poor", ["constant", "one unit", "two examples", "one image again and again"])
def test_a_layout_of_poor_input_is_refused(poor: str) -> None:
    assert isinstance(answered("geometry.embed", POOR[poor](world("mlp"))), MicroscopeError) or poor == "one unit"


@pytest.mark.parametrize("name", [*BY_MODEL, "dictionary.evaluate_sae"])
def test_poor_input_to_maps_gives_nan_or_an_error_that_says_why(name: str) -> None:
    for poor in OF_THE_NETWORK:
        answered(name, POOR[poor](world("cnn")))


TAKE_MAPS = ("geometry.clusters", "geometry.dimension", "geometry.embed", "geometry.neural_collapse", "geometry.pca")
TAKE_MAPS += ("similarity.cca", "similarity.cka", "similarity.compare", "similarity.procrustes", "similarity.rsa")
TAKE_MAPS += ("dictionary.encode", "dictionary.train_sae", "dictionary.purity", "dictionary.evaluate_sae")
TAKE_MAPS += ("edits.distance_from_retrained", "probes.linear_probe", "dynamics.histograms", "dynamics.activity")


@pytest.mark.parametrize("name", OF_ACTS)
def test_whole_maps_are_measured_or_refused_with_the_way_to_reduce_them(name: str) -> None:
    w = world("cnn")
    found = answered(name, dataclasses.replace(w, acts=w.maps, other=w.maps))
    if name in TAKE_MAPS and name != "geometry.neural_collapse":
        assert not isinstance(found, Exception)


def test_the_only_unit_of_a_layer_is_no_better_than_the_directions_it_is_one_of() -> None:
    images = world("mlp").images
    for seed in range(12):
        table = causal.ablate_all(mlp(seed, hidden=(1,)), images, "layers.0.hook_post", draws=99, seed=seed)
        assert float(table["loss_increase_p"][0]) > 0.2  # half of all directions are the ablation itself


def test_sides_with_more_units_than_examples_have_everything_in_common_and_so_has_their_null() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = (xr.DataArray(rng.standard_normal((12, 15)), dims=("example", "unit")) for _ in range(2))
        table = similarity.cca(x, y, keep=1.0, draws=39, seed=seed)
        assert all((table[f"{name}_p"] > 0.9).all() for name in ("cca", "svcca", "pwcca", "correlation"))
        assert (similarity.principal_angles(x, y, k=11, draws=39, seed=seed)["angle_p"] > 0.9).all()
