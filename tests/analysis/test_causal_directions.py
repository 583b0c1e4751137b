"""Random directions: a channel's keep its own map, those within the orthant stay in it; both against passes with hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.analysis.causal.directions import IMAGES, kept_inside
from neural_microscope.data import ImageSet
from neural_microscope.errors import DataError, UnknownName
from neural_microscope.statistics import random_directions

FIRST, SECOND = "layers.0.hook_post", "layers.1.hook_post"


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return nm.data.load("digits").test.subset(slice(0, 50))


def cnn(**settings: object) -> nm.CNN:
    config = nm.CNNConfig(image_shape=(8, 8), channels=(4, 5), head=(6,), **settings)  # type: ignore[arg-type]
    return nm.CNN(config, seed=3).double().eval()


def foreign() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10)).double()


CASES = {  # a network, the hook point, and where it enters the next layer
    "convolution": (cnn(), FIRST, "layers.0.hook_pool"),
    "dense": (cnn(), SECOND, "layers.1.hook_pool"),
    "average": (cnn(pool="average"), FIRST, "layers.0.hook_pool"),
    "normed": (cnn(norm="layer", norm_position="after"), FIRST, FIRST),
    "foreign": (foreign(), "1.hook_out", "1.hook_out"),
}


def loss_at(model: nn.Module, images: ImageSet, point: str, moves: Tensor) -> np.ndarray:
    """Loss [example] when what stands at ``point`` is moved."""
    x, y = images.tensor().double(), images.label_tensor()
    with torch.no_grad(), nm.hooked(model).hooks([(point, lambda tensor, hook: tensor + moves)]):
        return nn.functional.cross_entropy(model(x), y, reduction="none").numpy()


def entering(model: nn.Module, images: ImageSet, point: str) -> Tensor:
    return nm.hooked(model).run_with_cache(images.tensor().double(), names_filter=point)[1][point].detach()


def by_mixes(model: nn.Module, images: ImageSet, point: str, mixes: np.ndarray) -> np.ndarray:
    """Loss that each mix [draw, channel] of each channel's own map adds, [draw, channel, example]."""
    acts = entering(model, images, point)
    base = loss_at(model, images, point, torch.zeros_like(acts))
    ways = torch.from_numpy(mixes)[:, None, :, None, None]
    found = [[loss_at(model, images, point, -acts[:, [c]] * way) - base for c in range(acts.shape[1])] for way in ways]
    return np.array(found)


@pytest.mark.parametrize("case", CASES)
def test_a_channels_directions_keep_its_map_on_each_image_and_mix_the_channels(case: str, digits: ImageSet) -> None:
    model, layer, point = CASES[case]
    table = causal.ablate_directions(model, digits, layer, draws=5, seed=4)
    mixes = random_directions(5, table.sizes["channel"], 4)
    expected = by_mixes(model, digits, point, mixes).mean(2)
    np.testing.assert_allclose(table["loss_increase"], expected, atol=1e-9)
    effects = causal.ablate_all(model, digits, layer, draws=5, seed=4)
    np.testing.assert_allclose(effects["loss_increase_null_high"], np.percentile(expected, 97.5, axis=0), atol=1e-6)
    assert "own map" in effects.attrs["null"]


@pytest.mark.parametrize("case", CASES)
def test_a_channels_own_direction_is_its_ablation(case: str, digits: ImageSet) -> None:
    model, layer, _ = CASES[case]
    effects = causal.ablate_all(model, digits, layer, draws=1)["loss_increase"].values
    own = causal.ablate_directions(model, digits, layer, directions=2 * np.eye(len(effects)))["loss_increase"].values
    np.testing.assert_allclose(np.diag(own), effects, atol=1e-9)


def test_directions_of_another_shape_are_refused(digits: ImageSet) -> None:
    model, layer, _ = CASES["convolution"]
    with pytest.raises(DataError, match=r"they must be \[draw, 4\]"):
        causal.ablate_directions(model, digits, layer, directions=np.ones((2, 5)))


def test_of_many_images_some_draw_the_null_and_stand_as_far_from_the_unit_as_there() -> None:
    model, layer, point = CASES["convolution"]
    images = nm.data.load("digits").test
    assert len(images) > IMAGES
    table = causal.ablate_all(model, images, layer, draws=5, seed=4)
    some = images.subset(np.sort(np.random.default_rng(4).choice(len(images), IMAGES, replace=False)))
    own = {len(x): causal.ablate_all(model, x, layer, draws=1)["loss_increase"].values[None] for x in (images, some)}
    there = by_mixes(model, some, point, random_directions(5, 4, 4)).mean(2)
    expected = there - own[IMAGES] + own[len(images)]
    np.testing.assert_allclose(table["loss_increase_null_low"], np.percentile(expected, 2.5, axis=0), atol=1e-6)
    reached = (expected >= table["loss_increase"].values - 1e-6).sum(0)
    np.testing.assert_allclose(table["loss_increase_p"], (1 + reached) / 6)
    assert f"on {IMAGES} of the images" in table.attrs["null"]


def test_draws_take_turns_at_the_resamples(digits: ImageSet) -> None:
    model, layer, point = CASES["average"]  # pooling that is linear: the change enters as the pooled difference
    table = causal.ablate_all(model, digits, layer, method="resample", resamples=2, draws=5, seed=4)
    acts = entering(model, digits, point)
    picks = np.random.default_rng(4).integers(50, size=(2, 50))
    base = loss_at(model, digits, point, torch.zeros_like(acts))
    expected = np.zeros((5, 4))
    for draw, mix in enumerate(torch.from_numpy(random_directions(5, 4, 4))):
        move = acts[picks[draw % 2]] - acts
        for c in range(4):
            moved = loss_at(model, digits, point, move[:, [c]] * mix[:, None, None])
            expected[draw, c] = (moved - base).mean()
    np.testing.assert_allclose(table["loss_increase_null_high"], np.percentile(expected, 97.5, axis=0), atol=1e-6)


def pairs() -> tuple[ImageSet, ImageSet]:
    test = nm.data.load("digits").test
    return tuple(test.subset(np.flatnonzero(test.labels == c)[:20]) for c in (3, 8))  # type: ignore[return-value]


@pytest.mark.parametrize("own", [False, True])
def test_the_null_of_patching_a_channel_keeps_the_difference_of_its_maps(own: bool) -> None:
    model, layer, point = CASES["convolution"]
    clean, corrupted = pairs()
    metric = (lambda logits: logits[:, 3] - logits[:, 8]) if own else None
    table = causal.patch_between(model, clean, corrupted, layer, metric=metric, draws=6, seed=2)
    acts, acts_b = entering(model, clean, point), entering(model, corrupted, point)

    def measured(images: ImageSet, moves: Tensor) -> float:
        with torch.no_grad(), model.hooks([(point, lambda tensor, hook: tensor + moves)]):
            logits = model(images.tensor().double())
        return float((logits[:, 3] - logits[:, 8]).sum())

    good, bad = (measured(x, torch.zeros_like(acts)) for x in (clean, corrupted))
    for name, images, move, base in (
        ("denoising", corrupted, acts - acts_b, bad),
        ("noising", clean, acts_b - acts, good),
    ):
        drawn = [
            [measured(images, move[:, [c]] * mix[:, None, None]) - base for c in range(4)]
            for mix in torch.from_numpy(random_directions(6, 4, 2))
        ]
        expected = (name == "noising") + np.array(drawn) / (good - bad)
        np.testing.assert_allclose(table[f"{name}_null_low"], np.percentile(expected, 2.5, axis=0), atol=1e-9)
        np.testing.assert_allclose(table[f"{name}_null_high"], np.percentile(expected, 97.5, axis=0), atol=1e-9)


def test_the_null_of_a_path_keeps_the_senders_map() -> None:
    model, end = cnn(), "layers.2.hook_post"
    clean, corrupted = pairs()
    table = causal.path_patching(model, clean, corrupted, (FIRST, 1), (end, None), draws=4, seed=2)
    acts, acts_b = entering(model, clean, FIRST), entering(model, corrupted, FIRST)

    def measured(images: ImageSet, point: str, moves: Tensor) -> tuple[float, Tensor]:
        with torch.no_grad(), model.hooks([(point, lambda tensor, hook: tensor + moves)]):
            logits, cache = model.run_with_cache(images.tensor().double(), names_filter=end)
        return float((logits[:, 3] - logits[:, 8]).sum()), cache[end]

    (good, before), (bad, _) = (measured(x, FIRST, 0 * acts) for x in (clean, corrupted))
    drawn = np.zeros((4, 6))
    for draw, mix in enumerate(torch.from_numpy(random_directions(4, 4, 2))):
        arrived = measured(clean, FIRST, (acts_b - acts)[:, [1]] * mix[:, None, None])[1]
        for unit in range(6):
            moves = (arrived - before) * (torch.arange(6) == unit)
            drawn[draw, unit] = (measured(clean, end, moves)[0] - good) / (bad - good)
    np.testing.assert_allclose(table["effect_null_high"], np.percentile(drawn, 97.5, axis=0), atol=1e-9)


def test_a_move_within_the_orthant_has_the_norm_asked_for_and_leads_nowhere_below_0() -> None:
    rng = np.random.default_rng(0)
    acts = torch.from_numpy(np.maximum(rng.standard_normal((40, 7)), 0))
    way = torch.from_numpy(rng.standard_normal((5, 1, 7)))
    length = torch.from_numpy(rng.uniform(0, 6, (5, 40)))
    moves = kept_inside(acts, way, length)
    assert float((acts + moves).min()) >= 0
    np.testing.assert_allclose(moves.norm(dim=-1), length, rtol=1e-6)
    for draw, image in np.ndindex(5, 40):
        start, along, far = acts[image].numpy(), way[draw, 0].numpy(), float(length[draw, image])

        def short(s: float, start: np.ndarray = start, along: np.ndarray = along, far: float = far) -> float:
            return float(np.linalg.norm(np.maximum(start + s * along, 0) - start)) - far

        s = brentq(short, 0, 1e3, xtol=1e-12)
        np.testing.assert_allclose(moves[draw, image], np.maximum(start + s * along, 0) - start, atol=1e-5)


def test_a_move_within_the_orthant_ends_where_everything_is_0() -> None:
    acts = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    moves = kept_inside(acts, torch.tensor([-0.6, -0.8]), torch.tensor([9.0, 1.0]))
    np.testing.assert_allclose(moves, -acts, atol=1e-6)
    assert not kept_inside(acts, torch.zeros(2), torch.zeros(2)).any()


@pytest.mark.parametrize("case", ["mlp", *CASES])
def test_draws_within_the_orthant_are_such_moves(case: str, digits: ImageSet) -> None:
    mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)), seed=1).double()
    model, layer, point = (mlp, FIRST, FIRST) if case == "mlp" else CASES[case]
    table = causal.ablate_directions(model, digits, layer, draws=4, within="orthant", seed=4)["loss_increase"].values
    acts = entering(model, digits, point)
    units, base = acts.shape[1], loss_at(model, digits, point, torch.zeros_like(acts))
    expected = np.zeros((4, units))
    for draw, mix in enumerate(torch.from_numpy(random_directions(4, units, 4))):
        for unit in range(units):
            own = -acts[:, [unit]]
            way = mix.expand(len(acts), units) if case == "mlp" else (own * mix[:, None, None]).flatten(1)
            moves = kept_inside(acts.flatten(1), way, own.flatten(1).norm(dim=1)).reshape(acts.shape)
            assert float((acts + moves).min()) >= 0
            expected[draw, unit] = (loss_at(model, digits, point, moves) - base).mean()
    np.testing.assert_allclose(table, expected, atol=0.1 * expected.std() if case == "mlp" else 1e-9)


def test_both_measures_take_the_orthant_and_what_leaves_it_is_refused(digits: ImageSet) -> None:
    model, layer, _ = CASES["dense"]
    effects = causal.ablate_all(model, digits, layer, draws=9, within="orthant", seed=1)
    drawn = causal.ablate_directions(model, digits, layer, draws=9, within="orthant", seed=1)["loss_increase"]
    np.testing.assert_allclose(effects["loss_increase_null_high"], np.percentile(drawn, 97.5, axis=0), atol=1e-9)
    assert "stopping at 0" in effects.attrs["null"]
    assert "below 0" in causal.ablate_all(model, digits, layer, draws=1).attrs["null"]
    patched = causal.patch_between(model, *pairs(), layer, draws=9, within="orthant", seed=1)
    assert "stopping at 0" in patched.attrs["null"]
    assert np.isfinite(patched["denoising_null_high"]).all()
    with pytest.raises(UnknownName, match="did you mean 'orthant'"):
        causal.ablate_all(model, digits, layer, within="orthants")  # type: ignore[arg-type]
    bent = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(6,), activation="tanh"), seed=1)
    with pytest.raises(DataError, match="never negative"):
        causal.ablate_all(bent, digits, FIRST, within="orthant")
