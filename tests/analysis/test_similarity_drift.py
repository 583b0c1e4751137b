"""Drift against planted rotations, scalings, shifts and changes of shape; its floor against layers that stand still."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import linalg, stats

from neural_microscope.analysis import similarity
from neural_microscope.analysis.similarity.unit_drift import _selves
from neural_microscope.errors import DataError, UnknownName

LABELS = np.arange(200) % 10
SPLIT = ("shift", "scaling", "rotation", "function")


def acts(*snapshots: np.ndarray, axis: str = "unit") -> xr.DataArray:
    values = np.stack(snapshots)
    coords = {"step": ("snapshot", 10 * np.arange(len(values))), "label": ("example", LABELS[: values.shape[1]])}
    return xr.DataArray(values, dims=("snapshot", "example", axis), coords=coords, name="layers.0.hook_post")


def layer(seed: int = 0, n: int = 200, p: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ np.diag(np.linspace(3, 0.5, p)) + rng.normal(size=p)


def centered(x: np.ndarray) -> np.ndarray:
    return x - x.mean(0)


X = layer()
TURN = stats.ortho_group.rvs(8, random_state=1)


def at(table: xr.Dataset, name: str, snapshot: int = 0) -> float:
    return float(table[name][snapshot])


def test_the_parts_of_the_movement_add_up_to_it() -> None:
    table = similarity.drift(acts(layer(1), 0.2 * X, X + 1, X @ TURN, -X, X), draws=2)
    np.testing.assert_allclose(sum(table[name] for name in SPLIT), table["movement"], atol=1e-13)
    total = (centered(X) ** 2).sum()
    expected = [((side - X) ** 2).sum() / total for side in (layer(1), 0.2 * X, X + 1, X @ TURN, -X, X)]
    np.testing.assert_allclose(table["movement"], expected, atol=1e-12)
    assert (table[list(SPLIT)].to_array() > -1e-13).all()
    assert at(table, "rotation", 4) == pytest.approx(1)  # -X: no scale of at least 0 helps, turning it round does


def test_a_planted_rotation_is_all_rotation_and_no_change_of_function() -> None:
    table = similarity.drift(acts(centered(X) @ TURN + X.mean(0), X), draws=2)
    cosine = np.vdot(centered(X) @ TURN, centered(X)) / (centered(X) ** 2).sum()
    assert at(table, "function") == pytest.approx(0, abs=1e-14)
    assert at(table, "rotation") == pytest.approx(1 - max(cosine, 0) ** 2, abs=1e-13)
    assert at(table, "shift") == pytest.approx(0, abs=1e-14)
    assert at(table, "cka") == pytest.approx(1, abs=1e-12)
    assert at(table, "cosine_distance") == pytest.approx(1 - cosine)


def test_a_planted_scaling_and_a_planted_shift_are_that_alone() -> None:
    table = similarity.drift(acts(0.25 * centered(X) + X.mean(0), X + 2, X), draws=2)
    assert at(table, "scaling") == pytest.approx(0.75**2, abs=1e-13)
    assert at(table, "shift", 1) == pytest.approx(4 * 8 * 200 / (centered(X) ** 2).sum(), abs=1e-12)
    for name in SPLIT:
        others = [s for s, kept in ((0, "scaling"), (1, "shift"), (2, "")) if name != kept]
        np.testing.assert_allclose(table[name].values[others], 0, atol=1e-13)


def test_a_planted_change_of_shape_is_all_function() -> None:
    """Half of the variance goes to directions of the examples orthogonal to the old ones: r² = 1/2, no rotation helps."""
    basis = np.linalg.qr(centered(layer(3, p=16)))[0]
    x, new = basis[:, :8], (basis[:, :8] + basis[:, 8:]) / np.sqrt(2)
    table = similarity.drift(acts(new, x), draws=2)
    assert at(table, "function") == pytest.approx(0.5, abs=1e-13)
    assert at(table, "rotation") == pytest.approx(0, abs=1e-13)


def test_function_is_what_scipys_procrustes_leaves_over() -> None:
    other = layer(1) + X
    turn, _ = linalg.orthogonal_procrustes(centered(other), centered(X))
    moved = centered(other) @ turn
    left = centered(X) - moved * np.vdot(moved, centered(X)) / (moved**2).sum()
    table = similarity.drift(acts(other, X), draws=2)
    assert at(table, "function") == pytest.approx((left**2).sum() / (centered(X) ** 2).sum(), abs=1e-13)


def test_without_its_leading_components_a_layer_is_compared_in_the_rest_alone() -> None:
    """One direction holds nearly all variance and stays; the others are new."""
    basis = np.linalg.qr(centered(layer(3, p=15)))[0]
    kept, old, new = 100 * basis[:, :1], basis[:, 1:8], basis[:, 8:]
    both = acts(np.hstack([kept, new]) @ TURN, np.hstack([kept, old]))
    whole, rest = (similarity.drift(both, components=2, without=n, draws=5) for n in (0, 1))
    assert at(whole, "function") < 0.002
    assert at(rest, "function") == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(rest["removed"], 100**2 / (100**2 + 7), rtol=1e-9)
    assert "removed" not in whole
    half = (old + new) / np.sqrt(2)
    rest = similarity.drift(acts(np.hstack([half, kept]), np.hstack([kept, old])), components=2, without=1, draws=5)
    assert at(rest, "function") == pytest.approx(0.5, abs=1e-9)


def test_without_all_components_nothing_is_left_to_compare() -> None:
    line = np.outer(np.linspace(-1, 1, 40), np.arange(1, 4))
    rest = similarity.drift(acts(line, 2 * line), components=1, without=1, draws=2)
    assert np.isnan(rest["function"]).all()
    np.testing.assert_allclose(rest["removed"], 1)
    assert "constant activations at snapshots [0, 1]" in rest.attrs["reason"]
    with pytest.raises(DataError, match="without=-1; it must be 0 or more"):
        similarity.drift(acts(line, line), components=1, without=-1)


def test_cka_and_procrustes_are_those_of_the_pair_and_chance_stands_beside_them() -> None:
    other = layer(1) + X
    table = similarity.drift(acts(other, layer(2), X), draws=40)
    first, last = acts(other, X)
    assert at(table, "cka") == pytest.approx(float(similarity.cka(first, last, draws=2)["cka"]))
    assert at(table, "procrustes") == pytest.approx(float(similarity.procrustes(first, last, draws=2)["procrustes"]))
    for name in ("cka", "procrustes", "function"):
        assert at(table, f"{name}_p") < 0.05 < at(table, f"{name}_p", 1)
        assert not at(table, f"{name}_null_low") <= at(table, name) <= at(table, f"{name}_null_high")
    assert at(table, "function_null_high", 1) < 0.99  # a rotation explains a part of pure noise


def test_a_layer_that_stands_still_lies_in_its_floor_and_one_that_turned_lies_above() -> None:
    table = similarity.drift(acts(X, X @ TURN, X), draws=2, components=3)
    for name in ("subspace_angle", "shift_across"):
        assert at(table, f"{name}_floor_low") <= at(table, name) <= at(table, f"{name}_floor_high")
        assert at(table, f"{name}_floor_p") > 0.05
    assert at(table, "subspace_angle", 1) > at(table, "subspace_angle_floor_high", 1)
    assert at(table, "subspace_angle_floor_p", 1) < 0.05
    assert table["subspace_angle"].attrs["units"] == "rad"
    for name in ("movement", *SPLIT, "cosine_distance"):
        assert at(table, name, 2) == pytest.approx(0, abs=1e-13)


def test_the_floor_is_the_angle_between_halves_of_one_snapshot() -> None:
    """Against scipy on many splits of a layer that stands still."""
    rng, angles = np.random.default_rng(0), []
    for _ in range(100):
        order = rng.permutation(200)
        sides = [np.linalg.svd(centered(X[part]))[2][:3].T for part in (order[:100], order[100:])]
        angles.append(linalg.subspace_angles(*sides).mean())
    table = similarity.drift(acts(X, X), draws=2, components=3)
    assert at(table, "subspace_angle") == pytest.approx(np.mean(angles), rel=0.25)
    assert at(table, "subspace_angle_floor_high") < 1.2 * np.max(angles)


def test_the_interval_holds_what_many_images_give() -> None:
    """Of 60 sets of 200 images the interval of each number holds that of 20,000 images at least 50 times."""
    mix = np.random.default_rng(7).normal(size=(6, 6)) / 3

    def run(n: int, seed: int) -> xr.DataArray:
        x = np.random.default_rng(seed).normal(size=(n, 6)) * [3, 2, 2, 1, 1, 1]
        sides = np.stack([np.maximum(x @ mix, 0), np.maximum(x, 0)])
        return xr.DataArray(sides, dims=("snapshot", "example", "unit"))

    truth = similarity.drift(run(20000, 0), draws=2)
    tables = [similarity.drift(run(200, seed), draws=2, seed=seed) for seed in range(1, 61)]
    for name in ("rotation", "cka", "movement", "cosine_distance"):
        inside = [at(t, f"{name}_low") <= at(truth, name) <= at(t, f"{name}_high") for t in tables]
        assert sum(inside) >= 50, (name, sum(inside))


def test_the_reference_may_be_the_first_the_last_or_the_one_before() -> None:
    run = acts(layer(1), X, X @ TURN)
    assert at(similarity.drift(run, reference=0, draws=2), "movement") == 0
    previous = similarity.drift(run, reference="previous", draws=2)
    assert np.isnan(previous["movement"][0])
    assert np.isnan(previous["cka_null_low"][0])
    pair = similarity.drift(run.isel(snapshot=[0, 1]), reference=0, draws=2)
    assert at(previous, "function", 1) == pytest.approx(at(similarity.drift(run[[1, 0]], draws=2), "function"))
    assert at(previous, "movement", 1) == pytest.approx(at(pair, "movement", 1))
    np.testing.assert_array_equal(previous["step"], [0, 10, 20])
    assert at(similarity.drift(run, reference=10, draws=2), "movement", 1) == 0
    with pytest.raises(DataError, match="previous"):
        similarity.drift(run, reference="first")  # type: ignore[arg-type]
    for wrong in (1, -4):
        with pytest.raises(UnknownName, match="there are: 0, 10, 20"):
            similarity.drift(run, reference=wrong)


def test_a_dead_snapshot_or_reference_is_nan_with_its_reason() -> None:
    dead = np.full_like(X, 0.1)
    table = similarity.drift(acts(dead, X, X), draws=2)
    for name in ("cka", "procrustes", "cosine_distance", "cka_p", "function_p", "subspace_angle", "cka_null_high"):
        assert np.isnan(at(table, name)), name
        assert np.isfinite(at(table, name, 1)), name
    assert at(table, "function") == 1
    assert "[0]" in table.attrs["reason"]
    assert np.isnan(similarity.drift(acts(X, dead), draws=2)["movement"]).all()


def test_diverged_or_too_few_examples_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="at step 10"):
        similarity.drift(acts(X, np.where(X > 5, np.inf, X), X))
    with pytest.raises(DataError, match="examples"):
        similarity.drift(acts(X[:10], X[:10]))
    with pytest.raises(DataError, match="components"):
        similarity.drift(acts(X, X), components=9)
    maps = xr.DataArray(np.zeros((2, 20, 3, 4, 4)), dims=("snapshot", "example", "channel", "row", "col"))
    with pytest.raises(DataError, match="axes"):
        similarity.drift(maps)


# unit by unit


def test_unit_drift_is_pearsons_correlation_and_the_cosine() -> None:
    other = np.maximum(layer(1) + X, 0)
    table = similarity.unit_drift(acts(other, X, axis="channel"))
    assert table["correlation"].dims == ("snapshot", "channel")
    expected = np.corrcoef(other.T, X.T)[:8, 8:]
    np.testing.assert_allclose(table["correlation"][0], np.diag(expected), atol=1e-13)
    cosine = (other * X).sum(0) / np.linalg.norm(other, axis=0) / np.linalg.norm(X, axis=0)
    np.testing.assert_allclose(table["cosine"][0], cosine, atol=1e-13)
    for unit in (0, 5):
        others = np.delete(expected[unit], unit)
        assert float(table["correlation_null_high"][0, unit]) == pytest.approx(np.percentile(others, 97.5))
        assert float(table["correlation_p"][0, unit]) == (1 + (others >= expected[unit, unit]).sum()) / 8
    np.testing.assert_allclose(table["correlation"][1], 1)


def test_units_that_stay_are_told_from_units_that_changed_places() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 60))
    moved = np.concatenate([x[:, :40] + 0.5 * rng.normal(size=(200, 40)), x[:, 41:], x[:, 40:41]], 1)
    q = similarity.unit_drift(acts(moved, x))["correlation_q"][0]
    assert (q[:40] < 0.05).all()
    assert (q[40:] > 0.05).all()


def test_dead_units_have_no_drift_and_are_counted() -> None:
    dead = X.copy()
    dead[:, 2] = 0.3
    table = similarity.unit_drift(acts(dead, X, X))
    assert np.isnan(table["correlation"][0, 2])
    assert np.isnan(table["correlation_q"][0, 2])
    assert table["n_dead"].values.tolist() == [1, 0, 0]
    assert "dead" in table.attrs["reason"]
    assert np.isnan(similarity.unit_drift(acts(X, X, dead))["correlation"][:, 2]).all()


@pytest.mark.parametrize(
    ("units", "said"),
    [
        (20, "can't be shown for 20 units: p is at least 0.05."),
        (21, "100% of the single units at initialization are shown to correlate with their final selves"),
    ],
)
def test_a_layer_of_too_few_units_is_said_to_allow_no_claim_about_single_ones(units: int, said: str) -> None:
    x = np.random.default_rng(0).normal(size=(200, units))
    (claim,) = _selves(Given(x))
    assert said in claim.sentence


class Given(dict[str, xr.Dataset]):
    """A layer with its drift of units."""

    axis = "unit"

    def __init__(self, x: np.ndarray) -> None:
        super().__init__({"similarity.unit_drift": similarity.unit_drift(acts(x, x))})
