"""MLP and CNN against the same networks written out in plain torch."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neural_microscope import CNNConfig, MLPConfig
from neural_microscope.config import NetworkConfig
from neural_microscope.errors import DataError, UnknownName
from neural_microscope.models import CNN, MLP, Network, build

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}

shared = {
    "image_shape": st.tuples(st.integers(4, 9), st.integers(4, 9)),
    "classes": st.integers(2, 5),
    "activation": st.sampled_from(sorted(ACTIVATIONS)),
    "norm": st.sampled_from(["none", "layer", "batch"]),
    "norm_position": st.sampled_from(["before", "after"]),
    "dropout": st.sampled_from([0.0, 0.3]),
    "init_scale": st.sampled_from([1.0, 0.5, 3.0]),
    "bias": st.booleans(),
    "pixel_mean": st.sampled_from([0.0, 0.1307]),
    "pixel_std": st.sampled_from([1.0, 0.3081]),
}
widths = st.lists(st.integers(1, 7), max_size=3).map(tuple)
mlps = st.builds(MLPConfig, hidden=widths, **shared)
cnns = st.builds(
    CNNConfig,
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple),
    kernel=st.sampled_from([1, 3, 5]),
    pool=st.sampled_from(["max", "average", "none"]),
    head=widths,
    **shared,
)
configs = st.one_of(mlps, cnns)
seeds = st.integers(0, 2**32)


class Standardize(nn.Module):
    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


def plain_twin(config: NetworkConfig) -> tuple[nn.Sequential, dict[str, tuple[int, ...]]]:
    """The network as one nn.Sequential, its maps made one after the other; and the shape at each hook point."""
    rows, cols = config.image_shape
    points: dict[str, tuple[int, ...]] = {"input": (1, rows, cols)}
    layers: list[nn.Module] = [Standardize(config.pixel_mean, config.pixel_std)]

    def tail(number: int, shape: tuple[int, ...]) -> None:
        two_d = len(shape) == 3
        norm: list[nn.Module] = []
        if config.norm == "layer":
            norm = [nn.LayerNorm(list(shape))]
        if config.norm == "batch":
            norm = [nn.BatchNorm2d(shape[0]) if two_d else nn.BatchNorm1d(shape[0])]
        act = [ACTIVATIONS[config.activation]()]
        layers.extend(norm + act if config.norm_position == "before" else act + norm)
        points[f"layers.{number}.hook_pre"] = points[f"layers.{number}.hook_post"] = shape
        if norm and config.norm_position == "after":
            points[f"layers.{number}.hook_norm"] = shape

    number, width = 0, rows * cols
    if isinstance(config, CNNConfig):
        before = 1
        for channels in config.channels:
            layers.append(nn.Conv2d(before, channels, config.kernel, padding=config.kernel // 2, bias=config.bias))
            tail(number, (channels, rows, cols))
            if config.pool != "none":
                layers.append({"max": nn.MaxPool2d, "average": nn.AvgPool2d}[config.pool](2))
                rows, cols = rows // 2, cols // 2
                points[f"layers.{number}.hook_pool"] = (channels, rows, cols)
            layers.append(nn.Dropout(config.dropout))
            before, number = channels, number + 1
        width = before * rows * cols
    layers.append(nn.Flatten())
    for units in config.head if isinstance(config, CNNConfig) else config.hidden:
        layers.append(nn.Linear(width, units, bias=config.bias))
        tail(number, (units,))
        layers.append(nn.Dropout(config.dropout))
        width, number = units, number + 1
    layers.append(nn.Linear(width, config.classes, bias=config.bias))
    points["logits"] = (config.classes,)
    return nn.Sequential(*layers), points


def images_for(config: NetworkConfig, examples: int = 3) -> torch.Tensor:
    return torch.rand(examples, 1, *config.image_shape, generator=torch.Generator().manual_seed(0))


def scaled(twin: nn.Sequential, factor: float) -> nn.Sequential:
    for module in twin:
        if isinstance(module, nn.Linear | nn.Conv2d):
            for parameter in module.parameters():
                parameter.data *= factor
    return twin


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.parameters(), right.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@settings(deadline=None, max_examples=80)
@given(config=configs, seed=seeds, training=st.booleans())
def test_weights_and_logits_are_those_of_the_plain_torch_twin(config: NetworkConfig, seed: int, training: bool) -> None:
    model = build(config, seed).train(training)
    torch.manual_seed(seed)
    twin = scaled(plain_twin(config)[0], config.init_scale).train(training)
    assert same(model, twin)
    if isinstance(config, CNNConfig):  # dropout draws in the order of memory
        twin.to(memory_format=torch.channels_last)
    images = images_for(config)
    torch.manual_seed(5)  # dropout draws
    expected = twin(images)
    torch.manual_seed(5)
    torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=80)
@given(config=configs, examples=st.integers(1, 3))
def test_every_hook_point_has_its_named_shape(config: NetworkConfig, examples: int) -> None:
    model = build(config).eval()
    _, cache = model.run_with_cache(images_for(config, examples))
    expected = {name: (examples, *shape) for name, shape in plain_twin(config)[1].items()}
    assert [(name, tuple(tensor.shape)) for name, tensor in cache.items()] == list(expected.items())
    assert list(model.hook_points) == list(expected)
    assert [point.name for point in model.hook_points.values()] == list(expected)


@settings(deadline=None, max_examples=60)
@given(config=configs)
def test_a_pass_that_starts_at_a_hook_point_ends_in_the_same_bits(config: NetworkConfig) -> None:
    model = build(config).eval()
    logits, cache = model.run_with_cache(images_for(config))
    for name, tensor in cache.items():
        assert torch.equal(model.run_from(name, tensor), logits), name


def test_a_pass_that_starts_in_the_middle_is_changed_by_what_stands_there_and_hooked_after_it() -> None:
    model, images = MLP(MLPConfig(hidden=(6, 5))), images_for(MLPConfig())
    with torch.no_grad():
        _, cache = model.run_with_cache(images)
        changed = cache["layers.0.hook_post"] + 1
        expected = model.run_with_hooks(images, fwd_hooks=[("layers.0.hook_post", lambda tensor, hook: tensor + 1)])
        assert torch.equal(model.run_from("layers.0.hook_post", changed), expected)
        with model.hooks([("layers.0.hook_post", lambda tensor, hook: tensor * 0), ("logits", lambda t, hook: t + 1)]):
            assert torch.equal(model.run_from("layers.0.hook_post", changed), expected + 1)
    with pytest.raises(UnknownName, match=r"did you mean 'layers.1.hook_post'"):
        model.run_from("layers.1.hook_pots", changed)


def test_pooling_goes_before_the_nonlinearity_where_nobody_looks_and_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    rows: list[int] = []
    relu = nn.functional.relu
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace: rows.append(x.shape[-2]) or relu(x))
    found = []
    for watching in (False, True):
        model = CNN(seed=3)
        with model.hooks([("layers.0.hook_post", lambda tensor, hook: None)] * watching):
            logits = model(images)
            nn.functional.cross_entropy(logits, labels).backward()
        found.append([logits, *(p.grad for p in model.parameters())])
    assert (rows[0], rows[3]) == (14, 28)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("size", [(28, 28), (7, 5)], ids=str)
def test_pooling_without_gradients_gives_the_same_bits(size: tuple[int, int]) -> None:
    maps = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    maps[0, 0, 0, 0] = torch.nan
    layer = CNN(CNNConfig(image_shape=size)).layers[0]
    layer.conv = nn.Identity()
    with torch.no_grad():
        found = layer(maps)
    torch.testing.assert_close(found, torch.relu(layer.pool(maps)), atol=0, rtol=0, equal_nan=True)


class Zero(nn.Module):
    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return 0 * tensor


class Other(nn.ReLU):
    pass


def watch_pool(layer: Any) -> None:
    layer.pool.register_forward_hook(lambda *seen: None)


def watch_activation(layer: Any) -> None:
    layer.activation.register_full_backward_hook(lambda *seen: None)


def replace_point(layer: Any) -> None:
    layer.hook_post = Zero()


def replace_activation(layer: Any) -> None:
    layer.activation = Other()


@pytest.mark.parametrize("change", [watch_pool, watch_activation, replace_point, replace_activation])
def test_a_layer_that_is_watched_or_altered_keeps_its_order(change: Any) -> None:
    layers = CNN().layers
    assert [layer._pools_early() for layer in layers] == [True, True, False]
    change(layers[0])
    assert [layer._pools_early() for layer in layers] == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [{"pool": "average"}, {"activation": "tanh"}, {"norm": "layer", "norm_position": "after"}],
    ids=lambda change: next(iter(change.values())),
)
def test_pooling_stays_behind_what_is_no_rectifier_of_a_maximum(change: dict) -> None:
    model = CNN(CNNConfig(**change))
    assert not any(layer._pools_early() for layer in model.layers)


@settings(deadline=None, max_examples=40)
@given(config=configs, seed=seeds)
def test_a_seed_gives_the_same_bits_and_leaves_the_global_generator_alone(config: NetworkConfig, seed: int) -> None:
    torch.manual_seed(77)
    before = torch.get_rng_state()
    one, two = build(config, seed), build(config, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.initial_seed() == 77
    assert same(one, two)
    assert not same(one, build(config, seed + 1))


def test_an_interrupted_construction_leaves_the_global_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn, "Linear", lambda *_, **__: torch.rand(3) / 0 + [])
    before = torch.get_rng_state()
    with pytest.raises(TypeError):
        MLP(MLPConfig())
    assert torch.equal(before, torch.get_rng_state())


def test_defaults_are_the_documented_networks() -> None:
    assert list(MLP().hook_points) == [
        "input",
        *(f"layers.{i}.hook_{kind}" for i in (0, 1) for kind in ("pre", "post")),
        "logits",
    ]
    assert [f"{n}: {tuple(p.shape)}" for n, p in CNN().named_parameters()] == [
        "layers.0.conv.weight: (16, 1, 3, 3)",
        "layers.0.conv.bias: (16,)",
        "layers.1.conv.weight: (32, 16, 3, 3)",
        "layers.1.conv.bias: (32,)",
        "layers.2.linear.weight: (64, 1568)",
        "layers.2.linear.bias: (64,)",
        "output.weight: (10, 64)",
        "output.bias: (10,)",
    ]


@settings(deadline=None, max_examples=30)
@given(config=configs)
def test_hook_points_are_no_part_of_the_state_dict(config: NetworkConfig) -> None:
    model = build(config)
    model.eval().run_with_cache(images_for(config))
    assert not [key for key in model.state_dict() if "hook" in key or "input" in key or "logits" in key]
    other = build(config, seed=9)
    other.load_state_dict(model.state_dict())
    assert same(model, other)


@pytest.mark.parametrize("config", [MLPConfig(hidden=(5,)), CNNConfig(channels=(2,), head=())])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("used", [False, True])
def test_copies_and_pickles_are_networks_of_their_own(config: NetworkConfig, way: object, used: bool) -> None:
    model, images = build(config, seed=3).eval(), images_for(config)
    if used:
        model.run_with_cache(images)
    twin = way(model)  # type: ignore[operator]
    assert torch.equal(model(images), twin(images))
    with twin.hooks([("logits", lambda tensor, hook: tensor + 1)]):
        assert torch.equal(model(images) + 1, twin(images))
        assert not model.hook_points["logits"].attached


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), ["uint8", "images.float() / 255", "ImageSet.tensor()"]),
        (torch.zeros(2, 1, 28, 28, dtype=torch.int64), ["int64", "images.float() / 255"]),
        (torch.full((2, 1, 28, 28), 255.0), ["255", "0..1", "Divide pixels 0..255 by 255", "pixel_mean"]),
        (torch.full((2, 1, 28, 28), 1.5), ["1.5", "0..1"]),
        (torch.zeros(2, 28, 28), ["[2, 28, 28]", "[example, 1, 28, 28]", "images.reshape(-1, 1, 28, 28)"]),
        (torch.zeros(28, 28), ["[28, 28]", "images.reshape(-1, 1, 28, 28)"]),
        (torch.zeros(2, 784), ["[2, 784]", "images.reshape(-1, 1, 28, 28)"]),
        (torch.zeros(2, 3, 28, 28), ["[2, 3, 28, 28]", "[example, 1, 28, 28]"]),
        (torch.zeros(2, 1, 27, 28), ["[2, 1, 27, 28]", "images of that size"]),
        (np.zeros((2, 1, 28, 28), np.float32), ["ndarray", "torch tensor", "ImageSet", ".tensor()"]),
        ([[0.0]], ["list", "torch tensor"]),
    ],
)
@pytest.mark.parametrize("model", [MLP(), CNN()], ids=["mlp", "cnn"])
def test_other_input_is_refused_with_the_way_out(model: Network, images: object, said: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        model(images)
    assert all(part in str(caught.value) for part in said), str(caught.value)


SEVEN = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 1, 28, 28)).astype(np.uint8))
SEVEN[0, 0, 0, :2] = torch.tensor([0, 255])
UNIT = SEVEN / 255
FORMS = {
    "bytes": SEVEN,
    "-128..127": (SEVEN.int() - 128).to(torch.int8),
    "16 bits": SEVEN.int() * 257,
    "no channel": UNIT[:, 0],
    "channel last": UNIT.movedim(1, -1),
    "flat": UNIT.flatten(1),
    "examples last": UNIT[:, 0].movedim(0, -1),
    "examples second": UNIT.transpose(0, 1),
    "color": UNIT.expand(7, 3, 28, 28).double(),
    "color last": UNIT.expand(7, 4, 28, 28).movedim(1, -1),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_way_out_followed_to_the_letter_gives_the_images(form: str) -> None:
    with pytest.raises(DataError) as caught:
        MLP()(FORMS[form])
    code = re.search(r"(?:with|take) (.+?)(?: if .*)?$", str(caught.value)).group(1)
    found = eval(code, {"images": FORMS[form], "torch": torch})
    torch.testing.assert_close(found.float(), UNIT, atol=1e-6, rtol=0)
    MLP()(found.float())


@pytest.mark.parametrize("shape", [(7, 28, 3, 28), (7, 3, 27, 28), (7, 2, 28, 28), (7, 28, 28, 14), (28,)])
def test_no_reshape_is_advised_that_would_mix_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="give images of that size"):
        MLP()(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_image_that_is_not_finite_is_named(value: float) -> None:
    images = UNIT.clone()
    images[4, 0, 3, 3] = value
    with pytest.raises(DataError, match="image 4 holds NaN or infinite pixels"):
        MLP()(images)


def test_standardized_images_are_not_to_be_divided_by_255() -> None:
    with pytest.raises(DataError, match=r"highest value here is 2\.933, the lowest -0\.4\. Undo their normalization"):
        MLP()(UNIT / 0.3 - 0.4)


def test_images_below_0_are_said_once_for_each_network() -> None:
    for model in (MLP(), CNN()):
        with pytest.warns(UserWarning, match=r"some values here are below 0: .* give \(images \+ 1\) / 2"):
            model(2 * UNIT - 1)
        model(2 * UNIT - 1)  # a second warning would be an error


@pytest.mark.parametrize("model", [MLP(), CNN()], ids=["mlp", "cnn"])
def test_what_has_no_values_to_look_at_passes(model: Network) -> None:
    torch.testing.assert_close(torch.func.vmap(model)(UNIT[:, None])[:, 0], model(UNIT))
    assert copy.deepcopy(model).to("meta")(UNIT.to("meta")).shape == (7, 10)


@pytest.mark.parametrize("examples", [0, 1, 2])
def test_any_number_of_images_is_taken_also_none(examples: int) -> None:
    assert MLP()(torch.ones(examples, 1, 28, 28)).shape == (examples, 10)
    assert CNN()(torch.zeros(examples, 1, 28, 28)).shape == (examples, 10)
