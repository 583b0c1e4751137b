"""Selectivity against planted units, scikit-learn and its own null."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score

from neural_microscope.analysis import selectivity
from neural_microscope.errors import DataError
from neural_microscope.statistics import halves

LABELS = np.arange(400) % 10


def acts(values: np.ndarray, labels: np.ndarray = LABELS) -> xr.DataArray:
    return xr.DataArray(
        values, dims=("example", "unit"), coords={"label": ("example", labels)}, name="layers.0.hook_post"
    )


@pytest.fixture
def planted() -> xr.DataArray:
    """Unit 0 answers to class 7 only, 1 to all alike, 2 is dead, 3 is noise, 4 prefers class 2 a little."""
    rng = np.random.default_rng(0)
    only7 = (LABELS == 7).astype(float)
    a_little = rng.uniform(0, 1, 400) + 0.5 * (LABELS == 2)
    return acts(np.stack([only7, np.ones(400), np.zeros(400), rng.uniform(0, 1, 400), a_little], 1))


def test_planted_units_are_found_and_empty_ones_are_not(planted: xr.DataArray) -> None:
    table = selectivity.class_selectivity(planted)
    assert table["preferred"].values[[0, 4]].tolist() == [7, 2]
    assert float(table["selectivity"][0]) == pytest.approx(1 / (1 + selectivity.EPSILON))
    assert float(table["auc"][0]) == 1
    assert (table["selectivity_q"].values[[0, 4]] < 0.05).all()
    assert float(table["selectivity_q"][3]) > 0.05
    low, value, high = (float(table[f"selectivity{end}"][3]) for end in ("_null_low", "", "_null_high"))
    assert low <= value <= high


def test_dead_and_constant_units_have_no_selectivity(planted: xr.DataArray) -> None:
    table = selectivity.class_selectivity(planted)
    for name in ("selectivity", "auc", "selectivity_q", "auc_q"):
        assert np.isnan(table[name].values[[1, 2]]).all()
    assert table["preferred"].values[[1, 2]].tolist() == [-1, -1]
    assert table["density"].values[[1, 2]].tolist() == [1, 0]


def test_empty_layers_raise_no_more_alarms_than_declared() -> None:
    rng = np.random.default_rng(2)
    alarms = [
        (
            selectivity.class_selectivity(acts(rng.exponential(1, (400, 20))), draws=100, seed=s)["selectivity_q"]
            < 0.05
        ).any()
        for s in range(40)
    ]
    assert np.mean(alarms) <= 0.15  # 5% declared; 6 of 40 or fewer come by chance in 99.9% of such tests


def test_the_auc_is_scikit_learns_on_each_half_for_the_class_of_the_other(planted: xr.DataArray) -> None:
    table = selectivity.class_selectivity(planted)
    first, second = halves(LABELS, key=planted.values)
    for unit in (0, 3, 4):
        x, found = planted.values[:, unit], []
        for choose, judge in ((first, second), (second, first)):
            chosen = np.argmax([x[choose][LABELS[choose] == c].mean() for c in range(10)])
            found.append(roc_auc_score(LABELS[judge] == chosen, x[judge]))
        assert float(table["auc"][unit]) == pytest.approx(np.mean(found))


def test_nothing_hangs_on_the_order_in_which_the_images_came(planted: xr.DataArray) -> None:
    again = planted.isel(example=np.random.default_rng(1).permutation(400))
    for measure in (selectivity.class_selectivity, selectivity.tuning, selectivity.basis_comparison):
        xr.testing.assert_identical(measure(planted, draws=9), measure(again, draws=9))  # type: ignore[operator]
    lives = [selectivity.over_time(xr.concat([acts, acts], "snapshot")) for acts in (planted, again)]
    xr.testing.assert_identical(*lives)


def test_one_perfect_unit_of_a_wide_layer_is_shown_with_default_settings() -> None:
    labels = np.arange(1000) % 10
    x = np.random.default_rng(0).exponential(1, (1000, 64))
    x[:, 5] = labels == 3
    table = selectivity.class_selectivity(acts(x, labels))
    for name in ("auc", "selectivity", "mutual_information", "precision", "monosemanticity"):
        assert np.flatnonzero(table[f"{name}_shown"]).tolist() == [5]
    lives = selectivity.over_time(acts(x, labels).expand_dims("snapshot")).isel(snapshot=-1)
    for name in ("preferred", "auc", "auc_p", "auc_q", "auc_shown"):
        np.testing.assert_array_equal(lives[name], table[name])


def test_intervals_are_given_from_20_active_images_and_10_of_the_class_on() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((100, 3))
    for unit, active in enumerate((19, 20, 100)):
        x[rng.permutation(100)[:active], unit] = rng.exponential(1, active)
    table = selectivity.class_selectivity(acts(x, np.arange(100) % 10), draws=9)
    assert table["few"].values.tolist() == [True, False, False]
    small = selectivity.class_selectivity(acts(x[:, 2:], np.arange(100) % 12), draws=9)  # nine images a class at most
    assert small["few"].values.tolist() == [True]
    for name in ("auc", "selectivity"):
        for end in ("low", "high"):
            assert np.isfinite(table[f"{name}_{end}"]).values.tolist() == [False, True, True]
            assert np.isnan(small[f"{name}_{end}"]).all()


def test_negative_class_means_make_the_index_nan_and_leave_the_auc() -> None:
    table = selectivity.class_selectivity(
        acts(np.where(LABELS == 3, -0.5, -2.0)[:, None] + np.linspace(0, 0.1, 400)[:, None])
    )
    assert np.isnan(table["selectivity"]).all()
    assert float(table["auc"][0]) == 1


def test_class_means_are_the_means_of_the_classes(planted: xr.DataArray) -> None:
    means = selectivity.class_means(planted)
    np.testing.assert_allclose(means.sel({"class": 4}), planted.values[LABELS == 4].mean(0))
    both = selectivity.class_means(xr.concat([planted, 2 * planted], "snapshot"))
    assert both.dims == ("snapshot", "class", "unit")
    np.testing.assert_allclose(both[1], 2 * means)


def test_selectivity_by_class_is_the_formula_written_out(planted: xr.DataArray) -> None:
    table = selectivity.selectivity_by_class(planted)
    means = np.stack([planted.values[c == LABELS].mean(0) for c in range(10)])
    rest = np.stack([np.delete(means, c, 0).mean(0) for c in range(10)])
    np.testing.assert_allclose(table, (means - rest) / (means + rest + 1e-3), atol=1e-12)


def test_top_examples_come_strongest_first_and_dead_units_have_none(planted: xr.DataArray) -> None:
    top = selectivity.top_examples(planted, n=5).values
    assert (LABELS[top[0]] == 7).all()
    np.testing.assert_array_equal(top[3], np.argsort(-planted.values[:, 3])[:5])
    assert (top[2] == -1).all()


@pytest.mark.parametrize(
    "measure", [selectivity.class_selectivity, selectivity.class_means, selectivity.selectivity_by_class]
)
def test_activations_without_labels_are_refused(measure: object) -> None:
    with pytest.raises(DataError, match="label"):
        measure(xr.DataArray(np.ones((4, 2)), dims=("example", "unit")))  # type: ignore[operator]


def test_diverged_activations_are_refused(planted: xr.DataArray) -> None:
    with pytest.raises(DataError, match="diverged"):
        selectivity.class_selectivity(planted.where(planted["unit"] != 1))
