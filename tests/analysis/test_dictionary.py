"""Dictionary learning against planted dictionaries, torch autograd, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.metrics import roc_auc_score

import neural_microscope as nm
from neural_microscope.analysis import dictionary
from neural_microscope.analysis.dictionary import TopKSAE, sae
from neural_microscope.analysis.dictionary.purity import weighted_ranks
from neural_microscope.errors import DataError, UnknownName
from neural_microscope.statistics import halves, random_directions


def named(values: np.ndarray, labels: np.ndarray | None = None) -> xr.DataArray:
    coords = {} if labels is None else {"label": ("example", labels)}
    return xr.DataArray(values, dims=("example", "unit"), coords=coords, name="layers.0.hook_post")


def planted(seed: int, units: int = 32, features: int = 64, k: int = 3, examples: int = 4000) -> tuple:
    """(directions [latent, unit], activations) with k features at a time, each 0.5 to 1.5 strong."""
    rng = np.random.default_rng(seed)
    directions = random_directions(features, units, seed)
    amounts = np.zeros((examples, features))
    on = np.argsort(rng.random((examples, features)), 1)[:, :k]
    np.put_along_axis(amounts, on, rng.uniform(0.5, 1.5, (examples, k)), 1)
    return directions, named(amounts @ directions)


@pytest.fixture(scope="module")
def learned() -> tuple[np.ndarray, xr.DataArray, TopKSAE, TopKSAE]:
    directions, acts = planted(0)
    pair = [dictionary.train_sae(acts.isel(example=slice(0, 3500)), 64, 3, seed=seed) for seed in (0, 1)]
    return directions, acts.isel(example=slice(3500, None)), pair[0], pair[1]


def by_hand(model: TopKSAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(latents, reconstruction) in float64, example by example."""
    enc, dec, b_enc, b_dec = (getattr(model, n).detach().double().numpy() for n in ("W_enc", "W_dec", "b_enc", "b_dec"))
    latents = np.zeros((len(x), len(b_enc)))
    for row, example in enumerate(x):
        pre = (example - b_dec) @ enc + b_enc
        for place in np.argsort(-pre)[: int(model.k)]:
            latents[row, place] = max(pre[place], 0)
    return latents, latents @ dec + b_dec


def test_a_planted_dictionary_is_recovered(learned: tuple) -> None:
    directions, *_, first, second = learned
    for model in (first, second):
        best = (directions @ model.W_dec.numpy().T).max(1)
        assert best.mean() > 0.97
        assert (best > 0.95).mean() > 0.9


def test_on_unseen_examples_a_recovered_dictionary_leaves_little_and_a_random_one_much(learned: tuple) -> None:
    _, acts, model, _ = learned
    table = dictionary.evaluate_sae(model, acts)
    assert float(table["fvu"]) < 0.12
    assert float(table["fvu_low"]) < float(table["fvu"]) < float(table["fvu_high"])
    assert float(table["fvu_null_low"]) > 0.4
    assert float(table["fvu_p"]) == pytest.approx(1 / 40)
    assert float(table["fvu_pca"]) > 0.5  # 3 of 32 directions of about equal variance
    assert float(table["dead_share"]) < 0.05
    assert float(table["l0"]) == pytest.approx(3, abs=0.1)


def test_latents_and_reconstruction_are_the_formulas(learned: tuple) -> None:
    _, acts, model, _ = learned
    acts = acts.isel(example=slice(0, 200)).assign_coords(label=("example", np.arange(200) % 2))
    latents, copy = by_hand(model, acts.values)
    found = dictionary.encode(model, acts)
    assert found.dims == ("example", "latent")
    np.testing.assert_array_equal(found["label"], acts["label"])
    np.testing.assert_allclose(found, latents, atol=1e-5)
    x = acts.values
    table = dictionary.evaluate_sae(model, acts, draws=2)
    assert float(table["fvu"]) == pytest.approx(((x - copy) ** 2).sum() / ((x - x.mean(0)) ** 2).sum(), rel=1e-4)
    np.testing.assert_allclose(table["density"], (latents > 0).mean(0))


def test_a_dictionary_of_all_directions_and_their_opposites_keeps_everything() -> None:
    acts = named(np.random.default_rng(0).normal(size=(100, 4)))
    model = TopKSAE(4, 8, 4)
    with torch.no_grad():
        model.W_dec.copy_(torch.cat([torch.eye(4), -torch.eye(4)]))
        model.W_enc.copy_(model.W_dec.T)
    table = dictionary.evaluate_sae(model, acts, draws=2)
    assert float(table["fvu"]) < 1e-12
    assert float(table["l0"]) == 4


def test_the_reconstruction_of_the_mean_leaves_all_variance() -> None:
    acts = named(np.random.default_rng(0).normal(size=(100, 4)))
    model = TopKSAE(4, 8, 2)
    with torch.no_grad():
        model.b_dec.copy_(torch.from_numpy(acts.values.mean(0)))
    table = dictionary.evaluate_sae(model, acts, draws=2)
    assert float(table["fvu"]) == pytest.approx(1)
    assert float(table["dead_share"]) == 1
    share = np.sort(np.linalg.eigvalsh(np.cov(acts.values.T)))[::-1]
    assert float(table["fvu_pca"]) == pytest.approx(share[2:].sum() / share.sum())


def test_decoder_rows_have_unit_length_and_nothing_needs_a_gradient(learned: tuple) -> None:
    model = learned[2]
    torch.testing.assert_close(model.W_dec.norm(dim=1), torch.ones(64))
    assert not any(p.requires_grad for p in model.parameters())


def test_the_same_seed_gives_the_same_bits_and_leaves_the_callers_random_numbers_alone() -> None:
    _, acts = planted(3, 8, 12, 2, 300)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again = (dictionary.train_sae(acts, 12, 2, seed=7, steps=40) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.W_dec, dictionary.train_sae(acts, 12, 2, seed=8, steps=40).W_dec)


def test_scale_and_origin_of_the_activations_do_not_matter() -> None:
    _, acts = planted(3, 8, 12, 2, 500)
    one = dictionary.train_sae(acts, 12, 2, steps=60)
    large = dictionary.train_sae(256 * acts, 12, 2, steps=60)  # a power of two: rounding is the same
    assert torch.equal(one.W_dec, large.W_dec)
    np.testing.assert_allclose(
        dictionary.encode(large, 256 * acts), 256 * dictionary.encode(one, acts), rtol=1e-4, atol=1e-3
    )


def test_the_state_dict_is_all_there_is_to_save(learned: tuple) -> None:
    _, acts, model, _ = learned
    fresh = TopKSAE(32, 64, 1)
    fresh.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(dictionary.encode(fresh, acts), dictionary.encode(model, acts))


@pytest.fixture(scope="module")
def network() -> tuple[nm.MLP, nm.data.ImageSet, xr.DataArray]:
    digits = nm.data.load("digits")
    model = nm.MLP(nm.MLPConfig(image_shape=digits.image_shape, hidden=(32, 16)), seed=0)
    nm.train(model, digits, nm.TrainConfig(epochs=6, batch_size=50, learning_rate=0.005))
    images = digits.test
    return model, images, nm.activations(model, images, "layers.0.hook_post")["layers.0.hook_post"]


def test_latents_that_died_of_a_high_learning_rate_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _, acts = planted(1, examples=2000)
    dead = {}
    for weight in (0.0, sae.AUXILIARY):
        monkeypatch.setattr(sae, "AUXILIARY", weight)
        model = dictionary.train_sae(acts, 64, 3, steps=300, learning_rate=0.02)
        dead[weight] = float(dictionary.evaluate_sae(model, acts, draws=1)["dead_share"])
    assert dead[0.0] > 0.08
    assert dead[sae.AUXILIARY] < 0.5 * dead[0.0]


def test_the_cross_entropies_are_those_of_a_network_cut_in_two(network: tuple) -> None:
    """The layer's output is changed by hand and the rest of the network computed from it."""
    model, images, acts = network
    learned = dictionary.train_sae(acts, 48, 4, steps=300)
    table = dictionary.evaluate_sae(learned, acts, model, images, "layers.0.hook_post", draws=3)
    x = torch.from_numpy(acts.values)
    state = model.state_dict()
    weights = [v for name, v in state.items() if name.endswith("weight")]
    biases = [v for name, v in state.items() if name.endswith("bias")]

    def loss(layer: torch.Tensor) -> float:
        hidden = torch.relu(layer @ weights[1].T + biases[1])
        logits = (hidden @ weights[2].T + biases[2]).double()
        return float(torch.nn.functional.cross_entropy(logits, images.label_tensor()))

    changed = {"clean": x, "sae": learned(x), "zero": 0 * x, "mean": x.mean(0).expand_as(x)}
    expected = {name: loss(layer) for name, layer in changed.items()}
    assert table["patched"].values.tolist() == list(expected)
    np.testing.assert_allclose(table["cross_entropy"], list(expected.values()), rtol=1e-5)
    for floor in ("zero", "mean"):
        recovered = (expected[floor] - expected["sae"]) / (expected[floor] - expected["clean"])
        assert float(table["recovered"].sel(floor=floor)) == pytest.approx(recovered, rel=1e-4)
    ends = table["recovered_low"] < table["recovered"]
    assert ends.all()
    assert (table["recovered"] < table["recovered_high"]).all()
    assert (table["recovered"] > table["recovered_null_high"]).all()


def test_a_perfect_copy_recovers_all_and_the_mean_nothing(network: tuple) -> None:
    model, images, acts = network
    copy, mean = TopKSAE(32, 32, 32), TopKSAE(32, 32, 32)
    with torch.no_grad():
        copy.W_enc.copy_(torch.eye(32))
        copy.W_dec.copy_(torch.eye(32))
        mean.b_dec.copy_(torch.from_numpy(acts.values.mean(0)))
    whole = dictionary.evaluate_sae(copy, acts, model, images, "layers.0.hook_post", draws=1)
    nothing = dictionary.evaluate_sae(mean, acts, model, images, "layers.0.hook_post", draws=1)
    np.testing.assert_allclose(whole["recovered"], 1, atol=1e-6)
    assert float(nothing["recovered"].sel(floor="mean")) == pytest.approx(0, abs=1e-5)


def test_foreign_modules_and_whole_maps_are_patched_position_by_position() -> None:
    images = nm.data.load("digits").test.subset(slice(0, 60))
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6 * 36, 10)
    )
    acts = nm.activations(net, images, "1.hook_out")["1.hook_out"]
    learned = dictionary.train_sae(acts, 12, 3, steps=60)
    latents = dictionary.encode(learned, acts)
    assert latents.dims == ("example", "latent", "row", "col")
    one, _ = by_hand(learned, acts.values[:, :, 2, 4])
    np.testing.assert_allclose(latents.values[:, :, 2, 4], one, atol=1e-5)
    table = dictionary.evaluate_sae(learned, acts, net, images, "1.hook_out", draws=2)
    _, copy = by_hand(learned, np.moveaxis(acts.values, 1, -1).reshape(-1, 6))
    maps = torch.from_numpy(np.moveaxis(copy.reshape(60, 6, 6, 6), -1, 1).astype(np.float32))
    expected = torch.nn.functional.cross_entropy(net[2:](maps).detach(), images.label_tensor())
    assert float(table["cross_entropy"].sel(patched="sae")) == pytest.approx(float(expected), rel=1e-4)
    assert dictionary.purity(learned, acts, draws=9, resamples=9)["auc"].dims == ("basis",)


def test_stability_finds_a_permuted_dictionary_and_not_a_random_one() -> None:
    acts = named(np.random.default_rng(0).normal(size=(50, 16)))
    first, other = (dictionary.random_sae(acts, 24, 3, seed=seed) for seed in (0, 1))
    order = np.random.default_rng(2).permutation(24)
    same = TopKSAE(16, 24, 3)
    same.load_state_dict(first.state_dict())
    with torch.no_grad():
        same.W_dec.copy_(3 * first.W_dec[torch.from_numpy(order)])
    table = dictionary.stability(first, same)
    np.testing.assert_allclose(table["cosine"], 1, atol=1e-6)
    np.testing.assert_array_equal(order[table["match"].values], np.arange(24))
    assert (table["cosine_q"] < 0.05).all()
    assert float(table["mean_cosine_p"]) == pytest.approx(1 / 200)
    empty = dictionary.stability(first, other)
    assert float(empty["mean_cosine_null_low"]) < float(empty["mean_cosine"]) < float(empty["mean_cosine_null_high"])
    assert (empty["cosine_q"] > 0.05).all()


def test_two_seeds_find_one_planted_dictionary(learned: tuple) -> None:
    *_, acts, first, second = learned
    table = dictionary.stability(first, second, acts)
    assert float(table["mean_cosine"]) > 0.97
    assert float(table["mean_cosine_null_high"]) < 0.6


def test_directions_that_merely_share_large_components_do_not_pass_for_stable() -> None:
    """Two dictionaries drawn apart from one stretched Gaussian: beyond the sphere's null, within the covariance's."""
    rng = np.random.default_rng(0)
    acts = named(rng.normal(size=(4000, 12)) * np.r_[5.0, 3.0, np.full(10, 0.2)])
    pair = []
    for seed in (0, 1):
        model = dictionary.random_sae(acts, 30, 3, seed=seed)
        drawn = random_directions(30, 12, seed + 10) @ np.diag(acts.values.std(0))
        with torch.no_grad():
            model.W_dec.copy_(torch.from_numpy(drawn))
        pair.append(model)
    assert float(dictionary.stability(*pair)["mean_cosine_p"]) < 0.05
    assert float(dictionary.stability(*pair, acts)["mean_cosine_p"]) > 0.05


def test_a_direction_of_no_length_has_no_match() -> None:
    acts = named(np.random.default_rng(0).normal(size=(50, 6)))
    first, second = (dictionary.random_sae(acts, 5, 2, seed=seed) for seed in (0, 1))
    with torch.no_grad():
        first.W_dec[3] = 0
        second.W_dec[1] = 0
    table = dictionary.stability(first, second)
    assert np.isnan(table["cosine"][3])
    assert int(table["match"][3]) == -1
    assert np.isfinite(table["mean_cosine"])


LABELS = np.arange(400) % 4


def with_latents(values: np.ndarray) -> TopKSAE:
    """A dictionary whose latents are the units themselves, at most all of them."""
    model = TopKSAE(values.shape[1], values.shape[1], values.shape[1])
    with torch.no_grad():
        model.W_enc.copy_(torch.eye(values.shape[1]))
        model.W_dec.copy_(torch.eye(values.shape[1]))
    return model


def test_purity_is_scikit_learns_auc_of_the_class_chosen_on_the_other_half() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 4)) + 0.8 * np.eye(4)[LABELS]).clip(0).round(1)  # many ties
    table = dictionary.purity(with_latents(x), named(x, LABELS), draws=9, resamples=9)
    choose, judge = halves(LABELS, key=x)
    again = named(x, LABELS).isel(example=rng.permutation(400))
    other = dictionary.purity(with_latents(x), again, draws=9, resamples=9)
    np.testing.assert_allclose(other["auc"][:3], table["auc"][:3])  # whatever the order of the images
    aucs, shares = [], []
    for unit in range(4):
        chosen = max(range(4), key=lambda c: roc_auc_score(LABELS[choose] == c, x[choose, unit]))
        own = LABELS[judge] == chosen
        aucs.append(roc_auc_score(own, x[judge, unit]))
        shares.append(x[judge][own, unit].sum() / x[judge, unit].sum())
    for basis in ("units", "latents"):
        assert float(table["auc"].sel(basis=basis)) == pytest.approx(np.mean(aucs))
        assert float(table["share"].sel(basis=basis)) == pytest.approx(np.mean(shares))
    assert table["elements"].values.tolist() == [4, 8, 4, 4]


def test_weighted_ranks_give_scikit_learns_weighted_auc() -> None:
    rng = np.random.default_rng(1)
    values, weights, own = rng.integers(0, 6, (80, 3)).astype(float), rng.integers(0, 4, 80), rng.random(80) < 0.4
    ranks = weighted_ranks(values.astype(int), weights)
    size, total = weights[own].sum(), weights.sum()
    for element in range(3):
        auc = ((weights * own) @ ranks[:, element] - size**2 / 2) / (size * (total - size))
        assert auc == pytest.approx(roc_auc_score(own, values[:, element], sample_weight=weights))


def test_pure_latents_of_mixed_units_beat_units_components_and_a_random_dictionary() -> None:
    """Each latent responds to one class; each unit is a mixture of all latents."""
    rng = np.random.default_rng(0)
    amounts = np.eye(4)[LABELS] * rng.uniform(0.5, 1.5, (400, 1))
    directions = random_directions(4, 6, 1)
    acts = named(amounts @ directions + rng.normal(size=(400, 6)) * 0.02, LABELS)
    model = TopKSAE(6, 4, 1)
    with torch.no_grad():
        model.W_dec.copy_(torch.from_numpy(directions))
        model.W_enc.copy_(torch.from_numpy(np.linalg.pinv(directions)))
    table = dictionary.purity(model, acts)
    assert float(table["auc"].sel(basis="latents")) == 1
    assert float(table["share"].sel(basis="latents")) > 0.99
    for other in ("units", "components", "random"):
        assert float(table["auc"].sel(basis=other)) < 0.97
    assert float(table["auc_over_random_low"].sel(basis="latents")) > 0
    assert float(table["auc_over_random"].sel(basis="random")) == 0
    assert (table["auc_p"] == 0.01).all()


def test_a_layer_without_classes_lies_within_its_null() -> None:
    alarms = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        acts = named(rng.normal(size=(120, 5)), np.arange(120) % 3)
        table = dictionary.purity(dictionary.random_sae(acts, 8, 2, seed=seed), acts, draws=39, resamples=2, seed=seed)
        alarms.append(table["auc_p"].values < 0.05)
    assert np.mean(alarms) <= 0.1


def test_dead_elements_are_left_out_and_none_alive_is_nan() -> None:
    x = np.random.default_rng(0).normal(size=(400, 4)).clip(0)
    x[:, 1] = 0
    table = dictionary.purity(TopKSAE(4, 6, 2), named(x, LABELS), draws=9, resamples=9)
    assert table["alive"].values.tolist()[:3] == [3, 6, 0]
    assert np.isnan(table["auc"].sel(basis="latents"))
    assert np.isnan(table["share_p"].sel(basis="latents"))


def test_decoder_pictures_are_the_pixels_that_drive_a_direction() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 3, 4))
    acts = named(np.random.default_rng(0).normal(size=(50, 6)))
    model = dictionary.random_sae(acts, 5, 2)
    x = torch.zeros(12, requires_grad=True)
    hidden = torch.from_numpy(weights.reshape(6, 12)).float() @ x
    (hidden @ model.W_dec[2].detach()).backward()
    np.testing.assert_allclose(dictionary.decoder_pictures(model, weights)[2], x.grad.reshape(3, 4), atol=1e-6)


def test_input_that_fits_no_dictionary_is_refused_in_words(network: tuple) -> None:
    model, images, acts = network
    with pytest.raises(DataError, match="k is 9; with 8 latents"):
        TopKSAE(4, 8, 9)
    with pytest.raises(DataError, match=r"layers.0.hook_post: all examples are equal"):
        dictionary.train_sae(named(np.full((20, 4), 0.1)), 8, 2)
    with pytest.raises(DataError, match="not all values are finite"):
        dictionary.train_sae(named(np.full((20, 4), np.nan)), 8, 2)
    small = dictionary.random_sae(named(np.random.default_rng(0).normal(size=(20, 4))), 8, 2)
    with pytest.raises(DataError, match="32 units; the dictionary is for 4"):
        dictionary.encode(small, acts)
    with pytest.raises(DataError, match="must belong to one layer"):
        dictionary.stability(small, dictionary.random_sae(acts, 8, 2))
    with pytest.raises(DataError, match="images and the hook point"):
        dictionary.evaluate_sae(dictionary.random_sae(acts, 8, 2), acts, model)
    with pytest.raises(UnknownName, match="hook_post"):
        dictionary.evaluate_sae(dictionary.random_sae(acts, 8, 2), acts, model, images, "layers.0.hook_pos")
    with pytest.raises(DataError, match="dictionary is for 32"):
        dictionary.evaluate_sae(dictionary.random_sae(acts, 8, 2), acts, model, images, "layers.1.hook_post")
    with pytest.raises(DataError, match="label"):
        dictionary.purity(small, named(np.random.default_rng(0).normal(size=(20, 4))))
    with pytest.raises(DataError, match="weights have 3 units"):
        dictionary.decoder_pictures(small, np.zeros((3, 2, 2)))


def test_constant_activations_have_no_variance_to_explain() -> None:
    table = dictionary.evaluate_sae(TopKSAE(4, 8, 2), named(np.full((20, 4), 0.1)), draws=3)
    assert np.isnan(table["fvu"])
    assert np.isnan(table["fvu_pca"])
    assert np.isnan(table["fvu_p"])
