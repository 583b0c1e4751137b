"""Every public function with one argument replaced by a wrong thing: a result, or one sentence of ours that names the argument."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm
import small_runs
from neural_microscope import doors, measure
from neural_microscope.errors import MicroscopeError, WrongType, WrongValue

ROOMS = (
    *(
        "analysis.findings",
        "analysis.look",
        "changes",
        "config",
        "data",
        "edits",
        "explorer",
        "hooks",
        "influence",
        "interop",
        "interventions",
        "models",
    ),
    *("phantoms", "plots", "recording", "replays", "report", "run", "statistics", "sweep", "training"),
)
"""The public modules, beside the measures of the register."""

CLASSES = (
    *("ActivationCache", "CNN", "CNNConfig", "Dataset", "HookedModel", "ImageSet", "MLP", "MLPConfig"),
    *("RecordConfig", "Recorder", "Run", "Sweep", "Telling", "TrainConfig"),
)
"""Classes that users make, or call the methods of; the others are results, or what a writer of runs is made of."""

APART = {
    "analysis": "its measures are asked, and its rooms `look` and `findings` by themselves",
    "errors": "what is raised",
    "lessons": "what the notebooks share",
    "scalar": "stands apart, on the standard library only",
}
"""Public modules that are not asked."""

NOT_ASKED = {
    "phantoms.calibrate": "a right argument starts hundreds of networks",
    "phantoms.calibrate_pages": "a right argument starts hundreds of networks",
    "phantoms.recalibrate": "a right argument starts hundreds of networks",
    "sweep.connect": "starts processes",
    "run.Run.__init__": "Run.open makes it",
    "recording.Recorder.started": "called by training",
    "recording.Recorder.before_update": "called by training",
    "recording.Recorder.stepped": "called by training",
    "recording.Recorder.stopped": "called by training",
    "training.Telling.stepped": "called by training",
    "training.learning_rate": "called at each step",
    "run.reduced": "called at each snapshot",
    "run.places": "called by a writer of runs",
}

LAYER = "layers.0.hook_post"
IMAGES = small_runs.images(24, 0)


def named(*shape: int, dims: str = "example unit", **coords: Any) -> xr.DataArray:
    """Activations of the images with their labels."""
    values = np.abs(np.random.default_rng(1).normal(size=shape))
    array = xr.DataArray(values, dims=dims.split(), name=LAYER)
    if "example" in array.dims:
        coords = {"label": ("example", np.arange(array.sizes["example"]) % 3)} | coords
    return array.assign_coords(coords)


def series(dims: str = "snapshot example unit", last: int = 5) -> xr.DataArray:
    """The same at four snapshots."""
    return named(4, 24, last, dims=dims, step=("snapshot", np.arange(4)), epoch=("snapshot", np.arange(4)))


def replayed(dims: str) -> xr.DataArray:
    """Scores or effects of a replay."""
    return named(*(2, 3, 2, 4)[: len(dims.split())], dims=dims, network=["twin", "branch", "null 0"])


def network() -> nm.MLP:
    return small_runs.mlp()


def convolutional() -> nm.CNN:
    return nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), head=(3,), pool="none"))


def sae(latents: int = 4) -> Any:
    return nm.analysis.dictionary.random_sae(named(24, 5), latents, 2)


def run() -> nm.Run:
    return nm.Run.open("run")


def cache_of() -> nm.ActivationCache:
    return network().run_with_cache(IMAGES.tensor())[1]


class Lazy(NamedTuple):
    """Arguments that are made for each call."""

    make: Callable[[], Any]


BY_NAME: dict[str, Any] = {
    "acts": Lazy(series),
    "a": Lazy(lambda: named(24, 5)),
    "b": Lazy(lambda: named(24, 4) ** 2),
    "logits": Lazy(lambda: series("snapshot example class", 3)),
    "sae": Lazy(sae),
    "sae_a": Lazy(sae),
    "sae_b": Lazy(lambda: sae(5)),
    "hook_point": LAYER,
    "corrupted": small_runs.images(24, 5),
    "draws": 2,
    "steps": 2,
    "unit": 1,
    "reference": Lazy(lambda: named(24, 5)),
    "source": Lazy(lambda: named(24, 5)),
    "direction": np.ones(5),
    "labels": Lazy(lambda: torch.from_numpy(IMAGES.labels)),
    "seeds": [0],
    "epoch": 1,
    "points": np.ones((4, 2)),
    "text": "text",
}
"""Arguments by the name of a parameter."""

BY_KIND: dict[str, Any] = {
    "Callable[[str, int, int, str], None]": print,
    "Dataset": Lazy(small_runs.data),
    "FirstLook | Pair": None,
    "HookFunction": nm.interventions.zero(),
    "ImageSet": IMAGES,
    "Images": IMAGES,
    "ImageSet | Tensor": IMAGES,
    "Mapping[str, Tensor]": Lazy(lambda: dict(cache_of())),
    "Mapping[str, xr.Dataset]": Lazy(lambda: {LAYER: nm.analysis.dynamics.activity(series())}),
    "Network": Lazy(network),
    "NetworkConfig": nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(2,)),
    "RecordConfig": small_runs.RECORD,
    "Run": Lazy(run),
    "Run | FirstLook | Sequence[Run | FirstLook]": Lazy(run),
    "Sequence[Run | FirstLook]": Lazy(lambda: [run()]),
    "Sequence[Run]": Lazy(lambda: [run()]),
    "Sequence[int]": [0, 1],
    "Sequence[str]": ["classes=3"],
    "Sweep": nm.sweep.Sweep(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(2,))),
    "Tensor": Lazy(IMAGES.tensor),
    "Theme": "light",
    "TrainConfig": nm.TrainConfig(epochs=1),
    "float": 0.5,
    "int": 2,
    "int | slice | list[int] | Tensor": 1,
    "nn.Module": Lazy(network),
    "np.ndarray": np.ones((4, 4, 4)),
    "str": "name",
    "str | Path": "place",
    "str | os.PathLike[str]": "digits",
    "tuple[int, int]": (4, 4),
    "xr.DataArray": Lazy(lambda: named(24, 5)),
    "xr.Dataset": Lazy(lambda: nm.analysis.dynamics.activity(series())),
}
"""Other arguments, by annotation."""

SELVES: dict[str, Callable[[], Any]] = {
    "ActivationCache": cache_of,
    "CNN": convolutional,
    "Dataset": small_runs.data,
    "HookedModel": network,
    "ImageSet": lambda: IMAGES,
    "MLP": network,
    "Recorder": lambda: nm.Recorder("recorded"),
    "Run": run,
    "Sweep": lambda: BY_KIND["Sweep"],
}
"""Of what class a method is called; a constructor on what is just being made."""

MEASURES: dict[str, dict[str, Any]] = {
    "attribution.against_untrained": {"method": nm.analysis.attribution.saliency},
    "attribution.sanity_check": {"method": nm.analysis.attribution.saliency},
    "attribution.deletion_insertion": {
        "attribution": Lazy(lambda: nm.analysis.attribution.saliency(network(), IMAGES)["attribution"])
    },
    "attribution.grad_cam": {"model": Lazy(convolutional)},
    "causal.confusion_shift": {"fwd_hooks": [(LAYER, nm.interventions.zero(unit=1))]},
    "causal.cumulative_ablation": {"hook_points": LAYER},
    "causal.path_patching": {"sender": ("layers.0.hook_pre", 1), "receiver": (LAYER, 1)},
    "controls.untrained_networks": {"networks": 2},
    "development.barrier": {"errors": Lazy(lambda: named(2, 3, 4, dims="fork pair share"))},
    "development.change_of_learning": {"scores": Lazy(lambda: replayed("order network snapshot"))},
    "development.takeover": {"effects": Lazy(lambda: replayed("order network snapshot unit")), "lost": 1},
    "dictionary.decoder_pictures": {"weights": np.ones((5, 16))},
    "dictionary.encode": {"acts": Lazy(lambda: named(24, 5))},
    "dictionary.random_sae": {"n_latents": 4, "k": 2},
    "dictionary.train_sae": {"n_latents": 4, "k": 2},
    "dynamics.gradient_flow": {"gradients": Lazy(lambda: run().gradients)},
    "dynamics.learning_by_class": {"log": Lazy(lambda: run().log)},
    "dynamics.learning_curve": {"training": Lazy(lambda: run().training), "log": Lazy(lambda: run().log)},
    "dynamics.weight_spectra": {"states": Lazy(lambda: [run().weights(0)]), "steps": [0]},
    "edits.distance_from_retrained": {
        "edited": Lazy(lambda: {LAYER: named(24, 5)}),
        "retrained": Lazy(lambda: [{LAYER: named(24, 5) ** power} for power in (1, 2, 3)]),
    },
    "edits.edit_price": {
        "logits": Lazy(lambda: named(24, 3, dims="example class")),
        "edited": Lazy(lambda: named(24, 3, dims="example class") ** 2),
        "goal": np.arange(24) % 3,
    },
    "geometry.between_classes": {"result": Lazy(lambda: nm.analysis.geometry.pca(series(), draws=2))},
    "geometry.embed": {"perplexity": 5.0, "k": 3},
    "influence.agreement": {
        "estimate": Lazy(lambda: named(8, 3, dims="set target")),
        "truth": Lazy(lambda: named(8, 4, 3, dims="set seed target")),
        "draws": 9,
        "resamples": 9,
    },
    "influence.harm": {
        "influence": Lazy(lambda: named(3, 24, dims="target example")),
        "marked": Lazy(lambda: named(3, 24, dims="target example") > 1),
        "draws": 9,
    },
    "influence.reliability": {
        "truth": Lazy(lambda: named(8, 4, 3, dims="set seed target")),
        "draws": 9,
        "resamples": 9,
    },
    "similarity.principal_angles": {"k": 2},
    "streaming.stream": {"reference": -1},
    "geometry.faithfulness": {
        "k": 3,
        "acts": Lazy(lambda: named(24, 5)),
        "embedding": Lazy(lambda: named(1, 24, 2, dims="seed example component")),
    },
    "geometry.pca_streaming": {"batches": Lazy(lambda: [named(24, 5)])},
    "geometry.subspaces": {"orders": {"first": np.arange(5)}, "sizes": (2, 3)},
    "probes.linear_probe": {"acts": Lazy(lambda: named(24, 5)), "controls": 1, "labels": None},
    "probes.probe_layers": {"layers": Lazy(lambda: {LAYER: series()}), "labels": None},
    "selectivity.agreement": {"table": Lazy(lambda: nm.analysis.selectivity.class_selectivity(named(24, 5), draws=2))},
    "selectivity.basis_comparison": {"acts": Lazy(lambda: named(24, 5))},
    "selectivity.top_units": {"values": Lazy(lambda: named(3, 5, dims="class unit"))},
    "similarity.drift": {"reference": -1},
    "similarity.matrix": {"a": Lazy(lambda: {LAYER: named(24, 5)}), "b": None},
    "similarity.minibatch_cka": {"batches": Lazy(lambda: [(named(24, 5), named(24, 4))])},
    "similarity.replication": {"acts": Lazy(lambda: [named(24, 5), named(24, 4)])},
    "similarity.unit_drift": {"reference": -1},
    "causal.ablate_all": {"reference": None},
}
"""Further or other arguments of single measures, so that without the wrong argument the call is right."""


@cache
def measures() -> dict[str, Callable[..., Any]]:
    for module in pkgutil.walk_packages(nm.analysis.__path__, f"{nm.analysis.__name__}."):
        importlib.import_module(module.name)
    return {one.name: one.function for one in measure.every()}


@cache
def public() -> dict[str, Callable[..., Any]]:
    """Functions, constructors and methods of the public modules."""
    found: dict[str, Callable[..., Any]] = {}
    for room in ROOMS:
        module = importlib.import_module(f"neural_microscope.{room}")
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            thing = getattr(module, name)
            if inspect.isfunction(thing) and name[0] != "_":
                found[f"{room}.{name}"] = thing
            elif name in CLASSES:
                methods = {key: one for key, one in vars(thing).items() if inspect.isfunction(one)}
                found |= {
                    f"{room}.{name}.{key}": one for key, one in methods.items() if key[0] != "_" or key == "__init__"
                }
    return {name: thing for name, thing in found.items() if name not in NOT_ASKED}


def made(value: Any) -> Any:
    return value.make() if isinstance(value, Lazy) else value


def arguments(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """A call's, by name: of a measure a right one's, else what name and annotation say."""
    found = {}
    own = MEASURES.get(name, {})
    for one in inspect.signature(function).parameters.values():
        needed = one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        if one.name == "self":
            found["self"] = itself(function, name.split(".")[1])
        elif one.name in own or one.name in BY_NAME:
            found[one.name] = made(own.get(one.name, BY_NAME.get(one.name)))
        elif needed:
            found[one.name] = made(BY_KIND.get(str(one.annotation)))
    return found


def itself(function: Callable[..., Any], owner: str) -> Any:
    if function.__name__ != "__init__":
        return SELVES[owner]()
    kind = getattr(nm, owner, None) or next(
        getattr(importlib.import_module(f"neural_microscope.{room}"), owner)
        for room in ("data", "sweep", "training")
        if hasattr(importlib.import_module(f"neural_microscope.{room}"), owner)
    )
    return kind.__new__(kind)


def traced(module: nn.Module, images: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, images)


@cache
def wrongs() -> dict[str, Any]:
    """Things that come to a front door by mistake."""
    tensor = torch.rand(24, 1, 4, 4)
    simple = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    acts, diverged = named(24, 5), named(24, 5)
    diverged[3, 2] = np.nan
    return {
        "None": None,
        "a dict": {"epochs": 3},
        "a string": "nonsense",
        "an integer": 7,
        "minus one": -1,
        "zero": 0,
        "nan": float("nan"),
        "one and a half": 1.5,
        "a list": [1, "two"],
        "an empty list": [],
        "an array": np.random.default_rng(0).normal(size=(24, 5)),
        "integers": np.arange(24),
        "words": np.array(["a", "b"]),
        "an empty array": np.zeros((0, 5)),
        "images": tensor,
        "channels last": torch.rand(24, 4, 4, 1),
        "a flat tensor": torch.rand(24),
        "nan images": tensor * torch.nan,
        "half images": tensor.half(),
        "double images": tensor.double(),
        "complex images": tensor.to(torch.complex64),
        "meta images": tensor.to("meta"),
        "byte images": (tensor * 255).byte(),
        "a loader": DataLoader(TensorDataset(tensor, torch.arange(24) % 3), 8),
        "a layer": nn.Linear(5, 3),
        "a sequence": simple,
        "a script": traced(simple, tensor),
        "a double model": network().double(),
        "a half model": network().half(),
        "a meta model": network().to("meta"),
        "a class": nn.Linear,
        "a function": len,
        "other axes": named(24, 5, dims="time feature"),
        "swapped axes": named(5, 24, dims="unit example"),
        "maps": named(24, 2, 3, 4, dims="example channel row col"),
        "nan activations": diverged,
        "no labels": acts.drop_vars("label"),
        "one example": acts[:1],
        "no example": acts[:0],
        "one class": acts.assign_coords(label=("example", np.zeros(24, int))),
        "float labels": acts.assign_coords(label=("example", np.linspace(0, 2, 24))),
        "words with axes": xr.DataArray(np.array(["a", "b"]), dims="unit"),
        "complex activations": acts.astype(complex),
        "a table": acts.to_dataset(name="x"),
        "an empty table": xr.Dataset(),
        "an image set": small_runs.images(24, 3),
        "two images": small_runs.images(2, 3, classes=2),
        "larger images": small_runs.images(24, 3, side=5),
        "a data set": small_runs.data(),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with a run in it."""
    small_runs.train(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


Call = Callable[..., Any]


def called(function: Call, given: dict[str, Any]) -> Exception | None:
    """The exception that a call raises."""
    images = [IMAGES.tensor()] if "args" in inspect.signature(function).parameters else []
    rest = dict(given)
    itself = [rest.pop("self")] if "self" in rest else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*itself, *images, **rest)
            if isinstance(result, AbstractContextManager):
                with result:
                    network()(IMAGES.tensor())
    except Exception as error:
        return error
    return None


def asked(functions: dict[str, Call], share: int) -> tuple[int, int, list[str]]:
    """The number of calls with a wrong argument; of those that ended in an error that no check foresees; and those that gave neither a
    result nor an error of ours. Each argument is given one in ``share`` of the wrong things, another argument others.
    """
    calls, unforeseen, bad = 0, 0, []
    for name, function in functions.items():
        given = arguments(name, function)
        right = called(function, given) is None
        for key, parameter in inspect.signature(function).parameters.items():
            if key == "self" or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            first = crc32(f"{name} {key}".encode())
            for words, wrong in list(wrongs().items())[first % share :: share]:
                calls += 1
                error = called(function, {**given, key: wrong})
                unforeseen += "can't use" in str(error)
                if error is not None and not isinstance(error, MicroscopeError):
                    bad.append(f"{name}({key}={words}): {type(error).__name__}: {error}")
                elif error is not None and right and not says(str(error), key, wrong):
                    bad.append(f"{name}({key}={words}): the argument is not named in: {error}")
    return calls, unforeseen, bad


NOUNS = ("activations", "filter", "gradient", "hook point", "images", "network")


def says(text: str, key: str, wrong: Any) -> bool:
    """True if a message names the argument, or part of its value."""
    words = [key, *(word.rstrip("s") for word in key.split("_") if len(word) > 2), *NOUNS]
    words += [doors.came(wrong), type(wrong).__name__]
    if isinstance(wrong, int | float | str):
        words += [str(wrong)]
    elif isinstance(wrong, xr.DataArray | xr.Dataset):
        words += [LAYER, *map(str, wrong.dims), "axis", "units", "examples"]
    elif isinstance(wrong, nn.Module):
        words += ["model", "module", "hook_out", LAYER]
    elif isinstance(wrong, nm.data.ImageSet | Tensor | np.ndarray):
        words += ["labels", "shape", str(list(np.shape(wrong)))]
    if isinstance(wrong, list | dict) or (isinstance(wrong, np.ndarray) and wrong.ndim == 1):
        words += [*map(str, wrong), "empty", "class"]
    return any(word in text for word in words)


def test_no_public_module_is_forgotten() -> None:
    modules = {name for name in nm.__all__ if inspect.ismodule(getattr(nm, name))}
    assert modules <= {*ROOMS, *APART}
    assert not {*ROOMS} & {*APART}


def test_every_measure_takes_what_is_right(folder: Path) -> None:
    for name, function in measures().items():
        assert called(function, arguments(name, function)) is None, name


@pytest.mark.parametrize("share", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_whatever_a_measure_is_given_it_gives_a_result_or_names_the_argument(folder: Path, share: int) -> None:
    calls, unforeseen, bad = asked(measures(), share)
    assert not bad, "\n".join(bad)
    assert unforeseen < 0.01 * calls


@pytest.mark.parametrize("share", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_whatever_a_public_function_is_given_it_gives_a_result_or_names_the_argument(folder: Path, share: int) -> None:
    _, _, bad = asked(public(), share)
    assert not bad, "\n".join(bad)


LOADER = DataLoader(TensorDataset(IMAGES.tensor(), torch.from_numpy(IMAGES.labels)), 8)
SENTENCES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: nm.train_population(network().config, LOADER, seeds=[0]),  # type: ignore[arg-type, union-attr]
        WrongType,
        "data is a DataLoader; it must be a Dataset: nm.data.load(name), or nm.data.Dataset(name, train, test)",
    ),
    (
        lambda: nm.train(network(), small_runs.data(), {"epochs": 3}),  # type: ignore[arg-type]
        WrongType,
        "config is a dict; it must be a TrainConfig or None: nm.TrainConfig(**config)",
    ),
    (
        lambda: nm.analysis.causal.ablate_all(network(), IMAGES.tensor(), LAYER),  # type: ignore[arg-type]
        WrongType,
        "images is a torch Tensor [24, 1, 4, 4] of torch.float32; it must be an ImageSet: "
        "nm.data.ImageSet(images, labels), or nm.data.examples(inputs, labels)",
    ),
    (
        lambda: nm.analysis.causal.ablate_all(IMAGES, network(), LAYER),  # type: ignore[arg-type]
        WrongType,
        "model is an ImageSet; it must be a torch module",
    ),
    (
        lambda: nm.analysis.similarity.cka(torch.ones(4, 2), torch.ones(4, 2)),  # type: ignore[arg-type]
        WrongType,
        "a is a torch Tensor [4, 2] of torch.float32; it must be an xarray DataArray: "
        "nm.activations(model, images)[hook_point], or run.activations(hook_point)",
    ),
    (
        lambda: nm.analysis.similarity.cka(named(24, 5), named(24, 5), drawz=3),  # type: ignore[call-arg]
        WrongType,
        "cka: got an unexpected keyword argument 'drawz'; it takes a, b, debiased, draws, seed",
    ),
    (
        lambda: nm.analysis.similarity.cka(named(24, 5), named(24, 5), seed=-1),
        WrongValue,
        "seed is -1; it must be at least 0",
    ),
    (
        lambda: nm.analysis.geometry.pca(series(), basis=3),  # type: ignore[arg-type]
        WrongType,
        "basis is 3; it must be 'fixed' or 'pooled' or 'aligned'",
    ),
    (
        lambda: nm.analysis.geometry.clusters(series(), at="01"),  # type: ignore[arg-type]
        WrongType,
        "at is '01'; it must be a list, each an integer, or None",
    ),
    (
        lambda: nm.analysis.dynamics.sharpness(network().to("meta"), IMAGES),
        WrongValue,
        "model is on the meta device, which holds shapes without values; load it to 'cpu' first",
    ),
    (
        lambda: nm.plots.drift(xr.Dataset({"x": 1})),
        WrongValue,
        "table is a table of x; it lacks 'step': give the result of a measure",
    ),
    (lambda: nm.TrainConfig(epochs="three"), MicroscopeError, "epochs is 'three'; it must be an integer"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "kind", "words"), SENTENCES, ids=[words[:30] for *_, words in SENTENCES])
def test_the_sentence_says_what_came_what_is_wanted_and_how_to_get_it(
    call: Callable[[], Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == words


class Broken(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise ZeroDivisionError("of its own")


def test_an_error_of_the_callers_own_code_stays_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError, match="of its own"):
        nm.analysis.attribution.saliency(Broken(), IMAGES)


def test_an_error_of_a_librarys_module_is_said_in_one_sentence_with_what_came() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(5, 3))
    with pytest.raises(
        WrongValue, match=r"saliency can't use model: a Sequential; images: an ImageSet \(RuntimeError: mat1"
    ) as caught:
        nm.analysis.attribution.saliency(model, IMAGES)
    assert isinstance(caught.value.__cause__, RuntimeError)
