"""Neural collapse against closed forms and the definitions written out with whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError

LABELS = np.arange(200) % 5
ETF = np.eye(5) - 0.2


def acts(values: np.ndarray, labels: np.ndarray = LABELS) -> xr.DataArray:
    dims = ("snapshot", "example", "unit")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords={"label": ("example", labels)}, name="layers.1.hook_post")


def weights(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("snapshot", "class", "unit")[-values.ndim :])


def biases(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("snapshot", "class")[-values.ndim :])


def table(values: np.ndarray, labels: np.ndarray = LABELS, **given: xr.DataArray) -> dict[str, float]:
    found = geometry.neural_collapse(acts(values, labels), draws=0, **given)
    return {str(name): float(found[name][0]) for name in found}


def test_a_simplex_with_its_mirror_as_output_has_collapsed() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 5)))[0].T
    x = (ETF @ turn)[LABELS] + 2
    found = table(x, weights=weights(3 * ETF @ turn), bias=biases(-3 * ETF @ turn @ np.full(8, 2.0)))
    for name in ("nc1", "nc1_trace", "nc2_norms", "nc2_angles", "nc3", "nc4"):
        assert found[name] == pytest.approx(0, abs=1e-14)
    assert found["sb_condition"] == pytest.approx(1)


def test_one_hot_features_have_nc1_and_nc4_of_zero_exactly() -> None:
    found = table(np.eye(5)[LABELS], weights=weights(np.eye(5)), bias=biases(np.zeros(5)))
    assert (found["nc1"], found["nc1_trace"], found["nc4"]) == (0, 0, 0)
    assert found["nc2_norms"] < 1e-15


def test_an_output_that_points_the_other_way_has_nc3_of_four() -> None:
    assert table(ETF[LABELS], weights=weights(-ETF))["nc3"] == pytest.approx(4)


def test_known_spread_within_classes_gives_nc1_in_closed_form() -> None:
    """Each image lies at its class's corner ± s along one axis of its own: tr(Sw) and Sb are known."""
    s = 0.3
    x = np.zeros((200, 6))
    x[:, :5] = ETF[LABELS]
    x[:, 5] = np.where(np.arange(200) // 5 % 2, s, -s)  # outside the span of Sb
    found = table(x)
    assert found["nc1"] == pytest.approx(0, abs=1e-14)
    assert found["nc1_trace"] == pytest.approx(s**2 / (np.trace(ETF @ ETF) / 5))
    inside = ETF[LABELS] + np.where(np.arange(200) // 5 % 2, s, -s)[:, None] * np.array([1, -1, 0, 0, 0])
    # Sb = ETF² / 5 = ETF / 5, so pinv(Sb) = 5 ETF; Sw = s² d d' with d in its span, d'd = 2
    assert table(inside)["nc1"] == pytest.approx(5 * 2 * s**2 / 5)


@pytest.mark.parametrize("even", [True, False])
def test_the_measures_are_the_definitions_written_out(even: bool) -> None:
    rng = np.random.default_rng(0)
    labels = LABELS if even else np.repeat(np.arange(5), (20, 30, 40, 50, 60))
    x = rng.normal(size=(200, 12)) + rng.normal(size=(5, 12))[labels]
    w, b = rng.normal(size=(5, 12)), rng.normal(size=5)
    means = np.stack([x[labels == c].mean(0) for c in range(5)])
    m = means - means.mean(0)
    within = np.mean([np.cov(x[labels == c].T, ddof=0) for c in range(5)], axis=0)
    between = m.T @ m / 5
    cosines = m @ m.T / np.outer(np.linalg.norm(m, axis=1), np.linalg.norm(m, axis=1))
    spectrum = np.linalg.eigvalsh(between)[-4:]
    distances = np.linalg.norm(x[:, None] - means, axis=2)
    expected = {
        "nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 5,
        "nc1_trace": np.trace(within) / np.trace(between),
        "sb_condition": spectrum[-1] / spectrum[0],
        "nc2_norms": np.linalg.norm(m, axis=1).std() / np.linalg.norm(m, axis=1).mean(),
        "nc2_angles": np.abs(cosines[np.triu_indices(5, 1)] + 1 / 4).mean(),
        "nc3": np.linalg.norm(w / np.linalg.norm(w) - m / np.linalg.norm(m)) ** 2,
        "nc4": (distances.argmin(1) != (x @ w.T + b).argmax(1)).mean(),
    }
    found = table(x, labels, weights=weights(w), bias=biases(b))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_logits_say_the_same_as_weights_and_bias() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 200, 6)), rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 5))
    logits = xr.DataArray(
        x @ np.swapaxes(w, 1, 2) + b[:, None],
        dims=("snapshot", "example", "class"),
        coords={"label": ("example", LABELS)},
    )
    by_weights = geometry.neural_collapse(acts(x), weights(w), biases(b), draws=0)
    xr.testing.assert_allclose(by_weights["nc4"], geometry.neural_collapse(acts(x), logits=logits, draws=0)["nc4"])


def test_what_was_not_given_is_nan_with_a_reason() -> None:
    found = geometry.neural_collapse(acts(ETF[LABELS]), draws=2)
    assert np.isnan(found["nc3"]).all()
    assert np.isnan(found["nc4_p"]).all()
    assert "nc3: no weights" in found.attrs["missing"]
    assert "nc4" in found.attrs["missing"]


def test_coinciding_means_or_a_single_class_have_not_collapsed_nor_failed_to() -> None:
    for values, labels in ((np.ones((200, 3)), LABELS), (np.eye(200), np.zeros(200, int))):
        found = table(values, labels, weights=weights(np.ones((5, values.shape[1]))))
        assert all(np.isnan(value) for name, value in found.items() if not name.endswith("_shown"))
        assert not any(value for name, value in found.items() if name.endswith("_shown"))


def test_a_class_without_images_is_left_out() -> None:
    few = LABELS[np.isin(LABELS, (0, 2, 4))]
    x = np.random.default_rng(0).normal(size=(len(few), 4)) + 3 * np.eye(5)[few][:, :4]
    renamed = few // 2
    a, b = table(x, few), table(x, renamed)
    assert a["nc1"] == b["nc1"]
    w = np.random.default_rng(1).normal(size=(5, 4))
    assert table(x, few, weights=weights(w))["nc3"] == table(x, renamed, weights=weights(w[[0, 2, 4]]))["nc3"]


def test_classes_far_apart_beat_shuffled_labels_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 10))
    x = np.stack([noise, noise + 4 * np.eye(5, 10)[LABELS]])
    found = geometry.neural_collapse(acts(x), weights(np.stack([rng.normal(size=(5, 10)), np.eye(5, 10)])), draws=40)
    for name in ("nc1", "nc1_trace", "nc3"):
        assert float(found[f"{name}_p"][0]) > 0.05
        assert float(found[f"{name}_p"][1]) < 0.05
        assert float(found[name][1]) < float(found[f"{name}_null_low"][1])


def test_outputs_that_do_not_fit_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(2, 200, 6))
    with pytest.raises(DataError, match="1 snapshots, the activations 2"):
        geometry.neural_collapse(acts(x), weights(np.ones((5, 6))))
    with pytest.raises(DataError, match="have 4 units, the activations have 6"):
        geometry.neural_collapse(acts(x), weights(np.ones((2, 5, 4))))
    with pytest.raises(DataError, match="have 4 classes; the labels go up to 4"):
        geometry.neural_collapse(acts(x), weights(np.ones((2, 4, 6))))
    with pytest.raises(DataError, match="label"):
        geometry.neural_collapse(acts(x).drop_vars("label"))
