"""Patching, paths and logit contributions against hooks, autograd, closed forms and a network wired by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.data import ImageSet
from neural_microscope.errors import DataError, HookError, UnknownName

LAYER, LAST = "layers.0.hook_post", "layers.1.hook_post"


@pytest.fixture(scope="module")
def pairs() -> tuple[ImageSet, ImageSet]:
    test = nm.data.load("digits").test
    return tuple(test.subset(np.flatnonzero(test.labels == c)[:20]) for c in (3, 8))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def mlp() -> nm.MLP:
    return nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)), seed=1).double()


@pytest.fixture(scope="module")
def cnn() -> nm.CNN:
    return nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 3), head=(6,)), seed=1).double()


def difference(logits: torch.Tensor) -> np.ndarray:
    return (logits[:, 3] - logits[:, 8]).detach().numpy()


def cached(model: nm.MLP, images: ImageSet) -> dict[str, torch.Tensor]:
    return dict(model.run_with_cache(images.tensor().double())[1].items())


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_patching_is_the_forward_pass_with_one_unit_of_the_other_image(
    name: str, pairs: tuple[ImageSet, ImageSet], request: pytest.FixtureRequest
) -> None:
    model, (clean, corrupted) = request.getfixturevalue(name), pairs
    table = causal.patch_between(model, clean, corrupted, LAYER, draws=3)
    acts, acts_b = cached(model, clean), cached(model, corrupted)
    good, bad = difference(acts["logits"]), difference(acts_b["logits"])
    key = "channel" if name == "cnn" else "unit"
    for unit in range(acts[LAYER].shape[1]):
        for what, x, source in (("denoising", corrupted, acts), ("noising", clean, acts_b)):
            hook = nm.interventions.patch(source[LAYER], **{key: unit})
            patched = difference(model.run_with_hooks(x.tensor().double(), fwd_hooks=[(LAYER, hook)]))
            expected = (patched - bad) / (good - bad)
            np.testing.assert_allclose(table[f"{what}_by_pair"][unit], expected, atol=1e-9)
            total = (patched - bad).sum() / (good - bad).sum()
            assert float(table[what][unit]) == pytest.approx(total, abs=1e-9)
    assert float(table["denoising_whole"]) == pytest.approx(1, abs=1e-12)
    assert float(table["noising_whole"]) == pytest.approx(0, abs=1e-12)
    assert (table["denoising_low"] <= table["denoising"]).all()
    assert (table["denoising"] <= table["denoising_high"]).all()


def test_at_the_last_layer_the_units_parts_add_up(mlp: nm.MLP, pairs: tuple[ImageSet, ImageSet]) -> None:
    table = causal.patch_between(mlp, *pairs, LAST, draws=3)
    assert float(table["denoising"].sum()) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(table["denoising"], 1 - table["noising"], atol=1e-12)


def test_the_null_of_patching_is_a_random_direction_of_the_same_norm(
    mlp: nm.MLP, pairs: tuple[ImageSet, ImageSet]
) -> None:
    table = causal.patch_between(mlp, *pairs, LAST, draws=40, seed=6)
    acts, acts_b = (cached(mlp, x) for x in pairs)
    drawn = np.random.default_rng(6).standard_normal((40, 6))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    slope = (mlp.output.weight[3] - mlp.output.weight[8]).detach().numpy()  # the last layer is linear: a closed form
    norms = (acts[LAST] - acts_b[LAST]).abs().detach().numpy()
    whole = (difference(acts["logits"]) - difference(acts_b["logits"])).sum()
    null = (drawn @ slope)[:, None] * norms.sum(0) / whole
    np.testing.assert_allclose(table["denoising_null_low"], np.percentile(null, 2.5, axis=0), atol=1e-9)
    np.testing.assert_allclose(table["noising_null_high"], 1 + np.percentile(null, 97.5, axis=0), atol=1e-9)


def test_a_pair_of_the_same_image_is_nan_and_no_warning(mlp: nm.MLP, pairs: tuple[ImageSet, ImageSet]) -> None:
    clean, _ = pairs
    for table in (
        causal.patch_between(mlp, clean, clean, LAYER, draws=3),
        causal.attribution_patching(mlp, clean, clean, LAYER),
    ):
        verdicts = [str(name) for name in table if str(name).endswith("_shown")]
        assert not any(table[name].any() for name in verdicts)
        left = table.drop_vars([*verdicts, *(name for name in table if str(name).startswith("metric"))])
        assert all(values.isnull().all() for values in left.values())
    assert np.isnan(causal.path_patching(mlp, clean, clean, (LAYER, 1), (LAST, 2))["effect"]).all()


def test_a_metric_of_ones_own_is_taken_and_pairs_must_match(mlp: nm.MLP, pairs: tuple[ImageSet, ImageSet]) -> None:
    own = causal.patch_between(mlp, *pairs, LAYER, metric=lambda logits: logits[:, 3] - logits[:, 8], draws=3)
    np.testing.assert_allclose(own["denoising"], causal.patch_between(mlp, *pairs, LAYER, draws=3)["denoising"])
    with pytest.raises(DataError, match="20 clean images and 19"):
        causal.patch_between(mlp, pairs[0], pairs[1].subset(slice(0, 19)), LAYER)
    with pytest.raises(UnknownName, match="did you mean"):
        causal.patch_between(mlp, *pairs, "layers.0.hook_pots")


def test_attribution_patching_is_exact_at_the_last_layer(
    mlp: nm.MLP, cnn: nm.CNN, pairs: tuple[ImageSet, ImageSet]
) -> None:
    for model, layer in ((mlp, LAST), (cnn, "layers.2.hook_post")):
        table = causal.attribution_patching(model, *pairs, layer)
        whole = np.abs(difference(cached(model, pairs[0])["logits"]) - difference(cached(model, pairs[1])["logits"]))
        error = np.abs(table["estimate_by_pair"] - table["exact_by_pair"]).values * whole
        assert error.max() < 4e-15
        assert float(table["correlation"]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_attribution_patching_is_autograds_first_order(
    name: str, pairs: tuple[ImageSet, ImageSet], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    table = causal.attribution_patching(model, *pairs, LAYER)
    acts, acts_b = cached(model, pairs[0]), cached(model, pairs[1])
    here = acts_b[LAYER].clone().requires_grad_(True)
    logits = model.run_from(LAYER, here)
    (slope,) = torch.autograd.grad((logits[:, 3] - logits[:, 8]).sum(), here)
    first = (
        ((acts[LAYER] - acts_b[LAYER]) * slope).flatten(2).sum(2)
        if slope.ndim == 4
        else (acts[LAYER] - acts_b[LAYER]) * slope
    )
    whole = difference(acts["logits"]) - difference(acts_b["logits"])
    np.testing.assert_allclose(table["estimate"], first.sum(0).numpy() / whole.sum(), atol=1e-12)
    exact = causal.patch_between(model, *pairs, LAYER, draws=2)["denoising"]
    np.testing.assert_allclose(table["exact"], exact, atol=1e-12)
    assert float(table["correlation"]) == pytest.approx(np.corrcoef(table["estimate"], exact)[0, 1])
    assert float(table["correlation_null_high"]) < 1


def by_hand() -> nm.MLP:
    """Pixel i feeds unit i; unit 0 reaches logit 0 through unit 0 (times 2) and unit 1 (times 3) of the next layer."""
    model = nm.MLP(nm.MLPConfig(image_shape=(1, 3), classes=2, hidden=(3, 2, 2)), seed=0).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layers[0].linear.weight.copy_(torch.eye(3))
        model.layers[1].linear.weight.copy_(torch.tensor([[2.0, 0, 1], [3, 5, 0]]))
        model.layers[2].linear.weight.copy_(torch.tensor([[1.0, 4], [0, 1]]))
        model.output.weight.copy_(torch.tensor([[1.0, 1], [0, 0]]))
    return model


def one_pixel_apart() -> tuple[ImageSet, ImageSet]:
    clean = np.array([[[255, 255, 255]], [[51, 51, 51]]], np.uint8)
    corrupted = clean.copy()
    corrupted[:, :, 0] = 0
    return ImageSet(clean, np.zeros(2, np.int64), 2), ImageSet(corrupted, np.ones(2, np.int64), 2)


def test_a_path_carries_what_its_weights_say() -> None:
    model, (clean, corrupted) = by_hand(), one_pixel_apart()
    # Unit 0 -> logit 0: through unit 0 of the middle 2 * 1, through unit 1 of it 3 * (4 + 1); together 17.
    near = causal.path_patching(model, clean, corrupted, (LAYER, 0), (LAST, None))
    np.testing.assert_allclose(near["effect"], [2 / 17, 15 / 17], atol=1e-14)
    np.testing.assert_allclose(near["receiver_change"], [-2 * 0.6, -3 * 0.6], atol=1e-14)
    far = causal.path_patching(model, clean, corrupted, (LAYER, 0), ("layers.2.hook_post", 0))
    np.testing.assert_allclose(far["effect"], [14 / 17], atol=1e-14)
    middle = causal.path_patching(model, clean, corrupted, (LAST, 1), ("layers.2.hook_post", 1))
    np.testing.assert_allclose(middle["effect"], [3 / 17], atol=1e-14)
    none = causal.path_patching(model, clean, corrupted, (LAYER, 2), (LAST, None))
    np.testing.assert_array_equal(none["effect"], [0, 0])


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_path_is_two_forward_passes_with_hooks(
    name: str, pairs: tuple[ImageSet, ImageSet], request: pytest.FixtureRequest
) -> None:
    model, (clean, corrupted) = request.getfixturevalue(name), pairs
    key = "channel" if name == "cnn" else "unit"
    table = causal.path_patching(model, clean, corrupted, (LAYER, 1), (LAST, None), draws=2)
    acts, acts_b, x = cached(model, clean), cached(model, corrupted), clean.tensor().double()
    sent = [(LAYER, nm.interventions.patch(acts_b[LAYER], **{key: 1}))]
    arrived = model.run_with_hooks(x, fwd_hooks=sent, stop_at=LAST)
    whole = difference(acts_b["logits"]) - difference(acts["logits"])
    for unit in range(acts[LAST].shape[1]):
        logits = model.run_with_hooks(x, fwd_hooks=[(LAST, nm.interventions.patch(arrived, **{key: unit}))])
        expected = (difference(logits) - difference(acts["logits"])).sum() / whole.sum()
        assert float(table["effect"][unit]) == pytest.approx(expected, abs=1e-10)
        alone = causal.path_patching(model, clean, corrupted, (LAYER, 1), (LAST, unit), draws=2)
        assert float(alone["effect"][0]) == pytest.approx(expected, abs=1e-10)


def test_a_path_leads_forward_and_between_units_that_exist(mlp: nm.MLP, pairs: tuple[ImageSet, ImageSet]) -> None:
    for sender, receiver in (
        ((LAST, 0), (LAYER, 0)),
        ((LAYER, 0), (LAYER, 1)),
        ((LAYER, 12), (LAST, 0)),
        ((LAYER, 0), (LAST, 6)),
    ):
        with pytest.raises(HookError):
            causal.path_patching(mlp, *pairs, sender, receiver)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_contributions_of_the_last_layer_and_the_bias_are_the_logits(
    name: str, pairs: tuple[ImageSet, ImageSet], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    table = causal.direct_logit_attribution(model, pairs[0])
    acts = cached(model, pairs[0])
    hidden = acts[LAST if name == "mlp" else "layers.2.hook_post"]
    expected = torch.einsum("en,kn->enk", hidden, model.output.weight).detach()
    np.testing.assert_allclose(table["contribution"], expected, atol=1e-14)
    np.testing.assert_allclose(table["rest"], model.output.bias.detach().expand(20, -1), atol=1e-14)
    np.testing.assert_allclose(table["contribution"].sum("unit") + table["rest"], acts["logits"].detach(), atol=1e-14)


def test_without_biases_the_paths_of_an_earlier_layer_are_the_logits(pairs: tuple[ImageSet, ImageSet]) -> None:
    for model in (
        nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(9, 7, 5), bias=False), seed=2).double(),
        nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 3), head=(6,), bias=False), seed=2).double(),
    ):
        table = causal.direct_logit_attribution(model, pairs[0], LAYER)
        assert float(np.abs(table["rest"]).max()) < 1e-14
        assert table["contribution"].dims[1] == ("unit" if isinstance(model, nm.MLP) else "channel")


def test_evidence_is_the_gap_between_a_class_and_the_others_and_shuffled_labels_have_none(mlp: nm.MLP) -> None:
    images = nm.data.load("digits").test
    table = causal.direct_logit_attribution(mlp, images, draws=30)
    own = images.labels == 4
    expected = table["contribution"][own, 2, 4].mean() - table["contribution"][~own, 2, 4].mean()
    assert float(table["evidence"][2, 4]) == pytest.approx(float(expected))
    shuffled = ImageSet(images.images, np.random.default_rng(0).permutation(images.labels))
    nothing = causal.direct_logit_attribution(mlp, shuffled, draws=30)
    outside = (nothing["evidence"] < nothing["evidence_null_low"]) | (
        nothing["evidence"] > nothing["evidence_null_high"]
    )
    assert float(outside.mean()) < 0.2
    only = causal.direct_logit_attribution(mlp, images.subset(own), draws=3)
    assert np.isnan(only["evidence"]).all()


def test_a_foreign_module_names_its_layer(pairs: tuple[ImageSet, ImageSet]) -> None:
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 5), torch.nn.ReLU(inplace=True), torch.nn.Linear(5, 10)
    ).double()  # shares of a difference that is near 0 in some draws of the weights
    with pytest.raises(HookError, match="give hook_point="):
        causal.direct_logit_attribution(net, pairs[0])
    table = causal.direct_logit_attribution(net, pairs[0], "2.hook_out")
    np.testing.assert_allclose(table["rest"], net[3].bias.detach().expand(20, -1), atol=1e-6)
    assert causal.patch_between(net, *pairs, "2.hook_out", draws=3).sizes["unit"] == 5
    first = causal.attribution_patching(net, *pairs, "2.hook_out")
    np.testing.assert_allclose(first["estimate"], first["exact"], atol=1e-5)
    path = causal.path_patching(net, *pairs, ("1.hook_out", 0), ("2.hook_out", None))
    assert (path["effect"][1:] == 0).all()
    assert not net[2]._forward_hooks
    with pytest.raises(HookError, match="units or channels"):
        causal.direct_logit_attribution(nm.MLP(nm.MLPConfig(image_shape=(8, 8))), pairs[0], "logits")
