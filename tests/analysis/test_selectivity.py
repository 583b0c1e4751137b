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
    assert np.mean(alarms) <= 0.15  # 5 % declared; 6 of 40 or fewer come by chance in 99.9 % of such tests


def test_the_auc_is_scikit_learns_on_the_judging_half(planted: xr.DataArray) -> None:
    table = selectivity.class_selectivity(planted)
    _, judge = halves(LABELS)
    for unit in (0, 3, 4):
        preferred = int(table["preferred"][unit])
        expected = roc_auc_score(LABELS[judge] == preferred, planted.values[judge, unit])
        assert float(table["auc"][unit]) == pytest.approx(expected)


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
