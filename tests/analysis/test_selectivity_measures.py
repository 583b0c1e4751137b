"""Mutual information, precision, gates, tuning curves and ranks against scikit-learn, scipy, plain loops and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.metrics import mutual_info_score

import neural_microscope as nm
from neural_microscope.analysis import selectivity
from neural_microscope.analysis.selectivity import judging
from neural_microscope.errors import DataError
from neural_microscope.statistics import canonical_order, halves, shuffles, spearman

LABELS = np.arange(400) % 10
CLASS_ENTROPY = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))


def acts(values: np.ndarray, labels: np.ndarray = LABELS, axis: str = "unit") -> xr.DataArray:
    dims = ("snapshot", "example", axis)[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords={"label": ("example", labels)}, name="layers.0.hook_post")


def noise(units: int, seed: int = 0, examples: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (examples, units))


@pytest.fixture(scope="module")
def digits() -> xr.DataArray:
    """An untrained network on 8 x 8 digits: classes differ, no unit prefers a single one."""
    images = nm.data.load("digits").test
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(24,)), seed=0)
    return nm.activations(model, images, "layers.0.hook_post")["layers.0.hook_post"]


def test_a_unit_that_fires_for_one_class_only_has_all_its_measures_in_closed_form() -> None:
    table = selectivity.class_selectivity(acts(np.stack([LABELS == 7, LABELS < 5], 1).astype(float)), draws=40)
    unit = table.isel(unit=0)
    assert int(unit["preferred"]) == 7
    assert float(unit["selectivity"]) == pytest.approx(1 / (1 + selectivity.EPSILON))
    for name in ("auc", "precision", "monosemanticity"):
        assert float(unit[name]) == pytest.approx(1)
    bits = unit["mutual_information"] + unit["mutual_information_bias"]
    assert float(bits) == pytest.approx(CLASS_ENTROPY)
    assert float(unit["mutual_information"]) == pytest.approx(CLASS_ENTROPY, abs=0.03)
    half = table.isel(unit=1)
    assert float(half["mutual_information"] + half["mutual_information_bias"]) == pytest.approx(1)
    assert float(half["monosemanticity"]) == pytest.approx(1 - np.log(5) / np.log(10))


def test_mutual_information_is_scikit_learns_on_the_same_bins(digits: xr.DataArray) -> None:
    table = selectivity.class_selectivity(digits, draws=30)
    labels, n = digits["label"].values, digits.sizes["example"]
    order = canonical_order(labels, digits.values)
    labels = labels[order]
    fakes = list(shuffles(labels, 30, 0))
    for unit in np.flatnonzero(~table["gated"].values)[:6]:
        ranks = stats.rankdata(digits.values[order, unit])
        binned = np.floor((ranks - 0.5) / n * 30).astype(int)
        raw, *chance = (mutual_info_score(binned, order) / np.log(2) for order in [labels, *fakes])
        assert float(table["mutual_information_bias"][unit]) == pytest.approx(np.mean(chance))
        assert float(table["mutual_information"][unit]) == pytest.approx(raw - np.mean(chance))
        low, high = np.percentile(np.array(chance) - np.mean(chance), (2.5, 97.5))
        assert float(table["mutual_information_null_low"][unit]) == pytest.approx(low)
        assert float(table["mutual_information_null_high"][unit]) == pytest.approx(high)


def test_the_bias_of_counting_is_millers_for_untied_noise() -> None:
    labels = np.arange(3000) % 10
    table = selectivity.class_selectivity(acts(noise(6, examples=3000), labels), draws=40)
    miller = 29 * 9 / (2 * 3000 * np.log(2))
    np.testing.assert_allclose(table["mutual_information_bias"], miller, rtol=0.08)
    assert float(np.abs(table["mutual_information"]).max()) < 0.02


def test_shuffles_in_blocks_are_the_plain_loop(digits: xr.DataArray) -> None:
    table = selectivity.class_selectivity(digits, draws=40, seed=3)
    order = canonical_order(digits["label"].values, digits.values)
    x, labels = digits.values[order].astype(float), digits["label"].values[order]
    unit = int(np.flatnonzero(~table["gated"].values)[2])

    def index(fake: np.ndarray) -> float:
        best, rest = [], []
        first, second = halves(labels, 3)
        for choose, judge in ((first, second), (second, first)):
            chosen = np.argmax([x[choose, unit][fake[choose] == c].mean() for c in range(10)])
            means = [x[judge, unit][fake[judge] == c].mean() for c in range(10)]
            best.append(means[chosen])
            rest.append(np.delete(means, chosen).mean())
        best, rest = np.mean(best), np.mean(rest)
        return float((best - rest) / (best + rest + 1e-3))

    null = np.array([index(fake) for fake in shuffles(labels, 40, 3)])
    assert float(table["selectivity"][unit]) == pytest.approx(index(labels))
    assert float(table["selectivity_null_low"][unit]) == pytest.approx(np.percentile(null, 2.5))
    assert float(table["selectivity_null_high"][unit]) == pytest.approx(np.percentile(null, 97.5))
    assert float(table["selectivity_p"][unit]) == pytest.approx((1 + (null >= index(labels)).sum()) / 41)


def test_precision_is_the_share_among_the_strongest_of_each_half() -> None:
    x = noise(5) + 2.0 * (LABELS[:, None] == np.arange(5))
    table = selectivity.class_selectivity(acts(x), draws=20)
    first, second = halves(LABELS, key=x)
    k = table.attrs["n_top"]
    assert k == 20  # as many as a class has in a half
    for unit in range(5):
        found = []
        for choose, judge in ((first, second), (second, first)):
            modal = np.bincount(LABELS[choose][np.argsort(-x[choose, unit])[:k]]).argmax()
            found.append((LABELS[judge][np.argsort(-x[judge, unit])[:k]] == modal).mean())
        assert int(table["preferred"][unit]) == modal == unit
        assert float(table["precision"][unit]) == pytest.approx(np.mean(found))


def test_images_that_tie_for_the_last_places_share_them() -> None:
    x = (LABELS < 4).astype(float)[:, None]  # 80 of 200 judging images tie at the top for 20 places
    table = selectivity.class_selectivity(acts(x), draws=20)
    assert float(table["precision"][0]) == pytest.approx(1 / 4)


def test_units_that_fire_too_rarely_are_gated_and_not_judged() -> None:
    x = noise(5)
    x[:, 1] = 0
    x[:, 2] = 3
    x[:, 3] = 0
    x[np.flatnonzero(LABELS == 3)[:9], 3] = 5  # nine images, all of one class: its index would be 1
    x[:, 4] = 0
    x[np.flatnonzero(LABELS == 3)[:30], 4] = 5
    table = selectivity.class_selectivity(acts(x), draws=200)
    assert table["gated"].values.tolist() == [False, True, True, True, False]
    gone = table.isel(unit=[1, 2, 3])
    for name in ("selectivity", "auc", "precision", "mutual_information", "monosemanticity"):
        for ending in ("", "_null_low", "_null_high", "_p", "_q"):
            assert np.isnan(gone[name + ending]).all()
    assert np.isnan(gone["auc_low"]).all()
    assert (gone["preferred"] == -1).all()
    np.testing.assert_allclose(table["density"], [1, 0, 1, 9 / 400, 30 / 400])
    assert float(table["auc_q"][4]) < 0.05


def test_signed_layers_are_gated_only_where_nothing_changes() -> None:
    x = np.random.default_rng(0).normal(size=(400, 3)) - [0, 20, 0]
    x[:, 2] = -1
    table = selectivity.class_selectivity(acts(x), draws=20)
    assert table["gated"].values.tolist() == [False, False, True]
    assert np.isfinite(table["auc"].values[:2]).all()
    assert np.isfinite(table["mutual_information"].values[:2]).all()
    assert np.isnan(table["monosemanticity"].values[1])


@pytest.mark.parametrize("name", ["auc", "selectivity"])
def test_intervals_hold_what_other_images_show(name: str) -> None:
    rng = np.random.default_rng(1)
    means = np.where(np.arange(10) == 4, 1.5, 0.5)
    held = []
    for seed in range(60):
        x = rng.exponential(means[LABELS][:, None], (400, 1))
        table = selectivity.class_selectivity(acts(x), draws=1, seed=seed)
        if int(table["preferred"][0]) == 4:
            truth = {"auc": 1.5 / 2, "selectivity": 1 / (2 + selectivity.EPSILON)}[name]
            held.append(float(table[f"{name}_low"][0]) <= truth <= float(table[f"{name}_high"][0]))
    assert len(held) > 50
    assert np.mean(held) > 0.85  # 95% declared; 20 images of the class


def test_no_measure_of_an_empty_layer_is_beyond_chance_more_often_than_declared() -> None:
    names = ("selectivity", "auc", "precision", "mutual_information", "monosemanticity")
    alarms = {name: 0 for name in names}
    for seed in range(60):
        table = selectivity.class_selectivity(acts(noise(4, seed, 120), LABELS[:120]), draws=99, seed=seed)
        for name in names:
            alarms[name] += bool((table[f"{name}_q"] < 0.05).any())
    assert max(alarms.values()) <= 9  # 5% of 60 are 3; more than 9 come by chance in 1 of 1,000


def test_channels_count_as_units_and_whole_maps_are_refused() -> None:
    x = acts(noise(3), axis="channel")
    assert selectivity.class_selectivity(x, draws=5)["auc"].dims == ("channel",)
    assert selectivity.tuning(x, draws=5)["mean"].dims == ("class", "channel")
    maps = x.expand_dims(row=2, col=2)
    for measure in (selectivity.class_selectivity, selectivity.tuning, selectivity.quantile_examples):
        with pytest.raises(DataError, match="maps"):
            measure(maps)


@pytest.mark.parametrize(
    "measure",
    [
        selectivity.class_selectivity,
        selectivity.tuning,
        selectivity.quantile_examples,
        selectivity.top_examples,
        selectivity.class_means,
        selectivity.basis_comparison,
    ],
)
def test_diverged_activations_are_refused_by_name(measure: object) -> None:
    x = noise(3)
    x[5, 1] = np.nan
    with pytest.raises(DataError, match=r"layers\.0\.hook_post.*diverged"):
        measure(acts(x))  # type: ignore[operator]


def test_a_class_without_examples_and_a_single_class_give_nan_and_no_warning() -> None:
    gap = np.where(LABELS == 5, 6, LABELS)
    table = selectivity.class_selectivity(acts(noise(2) - 3, gap), draws=10)  # its mean would be 0, the highest
    assert not (table["preferred"] == 5).any()
    curves = selectivity.tuning(acts(noise(2), gap), draws=10)
    assert np.isnan(curves["mean"].sel({"class": 5})).all()
    one = acts(noise(2), np.zeros(400, int))
    table = selectivity.class_selectivity(one, draws=10)
    for name in ("selectivity", "auc", "monosemanticity"):
        assert np.isnan(table[name]).all()
    assert np.isnan(selectivity.selectivity_by_class(one)).all()


def test_the_ranks_of_measures_agree_as_scipys_spearman_says(digits: xr.DataArray) -> None:
    table = selectivity.class_selectivity(digits, draws=20)
    found = selectivity.agreement(table)
    pair = found.sel(measure="auc", measure_b="mutual_information")
    a, b = (table[name].values[~table["gated"].values] for name in ("auc", "mutual_information"))
    expected = stats.spearmanr(a, b)
    assert float(pair["agreement"]) == pytest.approx(expected.statistic)
    assert float(pair["agreement_p"]) == pytest.approx(expected.pvalue, abs=0.03)
    assert int(pair["n"]) == len(a)
    np.testing.assert_allclose(found["agreement"], found["agreement"].values.T)
    np.testing.assert_allclose(np.diag(found["agreement"]), 1)
    spread = float(pair["agreement_null_high"] - pair["agreement_null_low"]) / (2 * 1.96)
    assert spread == pytest.approx(1 / np.sqrt(len(a) - 1), rel=0.2)


def test_the_interval_of_an_agreement_is_near_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    names = ("selectivity", "auc", "mutual_information", "precision")
    table = xr.Dataset({name: ("unit", x + k * rng.normal(size=200)) for k, name in enumerate(names)})
    found = selectivity.agreement(table, draws=20)
    for a, b in ((0, 1), (0, 3), (1, 2)):
        _, low, high = spearman(table[names[a]].values, table[names[b]].values, 400)
        assert float(found["agreement_low"][a, b]) == pytest.approx(low, abs=0.04)
        assert float(found["agreement_high"][a, b]) == pytest.approx(high, abs=0.04)


def test_measures_that_do_not_exist_agree_with_nothing() -> None:
    table = selectivity.class_selectivity(acts(noise(12) - 5), draws=10)  # no index below 0
    found = selectivity.agreement(table)
    assert np.isnan(found["agreement"].sel(measure="selectivity")).all()
    assert found["n"].sel(measure="selectivity", measure_b="auc") == 0
    assert np.isfinite(found["agreement"].sel(measure="auc", measure_b="precision"))
    with pytest.raises(DataError, match="class_selectivity"):
        selectivity.agreement(table.drop_vars("auc"))


def test_tuning_curves_are_means_and_quantiles_with_intervals_that_hold_them() -> None:
    x = noise(3) + (LABELS[:, None] == 2) * [3.0, 0, 0]
    curves = selectivity.tuning(acts(x))
    there = x[LABELS == 2]
    np.testing.assert_allclose(curves["mean"].sel({"class": 2}), there.mean(0))
    np.testing.assert_allclose(curves["spread"].sel({"class": 2}), np.quantile(there, (0.1, 0.5, 0.9), axis=0))
    half = (curves["mean_high"] - curves["mean_low"]).sel({"class": 2}) / (2 * 1.96)
    np.testing.assert_allclose(half, there.std(0, ddof=1) / np.sqrt(40), rtol=0.25)
    sd = x.std(0, ddof=1) * np.sqrt(1 / 40 - 1 / 400)
    band = (curves["mean_null_high"] - curves["mean_null_low"]).mean("class") / (2 * 1.96)
    np.testing.assert_allclose(band, sd, rtol=0.1)


def test_the_share_of_variance_explained_is_that_of_the_f_test() -> None:
    x = noise(5) + (LABELS[:, None] == 2) * [3.0, 0, 0, 0, 0]
    curves = selectivity.tuning(acts(x), draws=999)
    for unit in range(5):
        f = stats.f_oneway(*(x[c == LABELS, unit] for c in range(10)))
        ratio = f.statistic * 9 / 390
        assert float(curves["explained"][unit]) == pytest.approx(ratio / (1 + ratio))
        assert float(curves["explained_p"][unit]) == pytest.approx(f.pvalue, abs=0.06)
    assert (curves["explained_q"] < 0.05).values.tolist() == [True, False, False, False, False]


def test_top_units_rank_classes_means_and_leave_nan_out() -> None:
    means = selectivity.class_means(acts(np.eye(4)[np.arange(8) % 4] * [1, 2, 3, 4], np.arange(8) % 4))
    assert selectivity.top_units(means, n=1).values.ravel().tolist() == [0, 1, 2, 3]
    assert selectivity.top_units(means.where(means > 0), n=2).values.tolist() == [[0, -1], [1, -1], [2, -1], [3, -1]]


def test_mean_gradients_by_class_are_class_means_of_the_gradient() -> None:
    """The original notebook's three rankings of units for each class, and activation x gradient beside them."""
    import torch

    images = nm.data.load("digits").test
    labels = images.label_tensor()
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)), seed=0)
    where = {"dims": ("example", "unit"), "coords": {"label": ("example", images.labels)}}

    def true_logit(logits: torch.Tensor) -> torch.Tensor:
        return logits.gather(1, labels[:, None]).sum()

    _, cache = model.run_with_cache(images.tensor(), names_filter="layers.0.hook_post", incl_bwd=True, loss=true_logit)
    gradient = xr.DataArray(cache["post_grad", 0].numpy(), **where)
    value = xr.DataArray(cache["post", 0].detach().numpy(), **where)
    means = selectivity.class_means(gradient)
    np.testing.assert_allclose(means, model.output.weight.detach().numpy(), rtol=1e-5)
    effect = selectivity.class_means((value * gradient).assign_coords(label=value["label"]))
    np.testing.assert_allclose(effect, means * selectivity.class_means(value), rtol=1e-4, atol=1e-6)
    assert selectivity.top_units(effect, n=3).shape == (10, 3)


@pytest.mark.parametrize("ties", [False, True])
def test_values_sorted_once_give_the_ranks_among_any_of_them(ties: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 7))
    if ties:
        x = np.maximum(x, 0).round(1)
    found, part = judging.Sorted(x), rng.permutation(60)[:23]
    assert np.array_equal(found.ranks(), stats.rankdata(x, axis=0))
    assert np.array_equal(found.ranks(part), stats.rankdata(x[part], axis=0))
