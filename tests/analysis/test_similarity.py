"""CKA, CCA, Procrustes, RSA and their tables against closed forms, Gram matrices, scipy and their own nulls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy import linalg, spatial, stats

import neural_microscope as nm
from neural_microscope.analysis import similarity
from neural_microscope.analysis.similarity.cka import influence
from neural_microscope.errors import DataError, UnknownName

RNG = np.random.default_rng(0)
LABELS = np.arange(120) % 10


def acts(values: np.ndarray, name: str = "layers.0.hook_post") -> xr.DataArray:
    dims = ("example", "unit") if values.ndim == 2 else ("example", "channel", "row", "col")
    return xr.DataArray(values, dims=dims, coords={"label": ("example", LABELS[: len(values)])}, name=name)


def noise(n: int = 120, p: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


def orthogonal(p: int) -> np.ndarray:
    return stats.ortho_group.rvs(p, random_state=0)


def whitened(n: int, p: int) -> np.ndarray:
    """Centered, X'X = I."""
    x = noise(n, p)
    return np.linalg.qr(x - x.mean(0))[0]


X = noise() @ np.diag([3, 2, 1, 1, 0.5, 0.1]) + 2
TURNED = 0.7 * X @ orthogonal(6) + np.arange(6)


def value(table: xr.Dataset, name: str) -> float:
    return float(table[name])


# CKA


def test_cka_is_one_between_rotations_scalings_and_shifts() -> None:
    assert value(similarity.cka(acts(X), acts(TURNED), debiased=False, draws=2), "cka") == pytest.approx(1, abs=1e-14)
    assert value(similarity.cka(acts(X), acts(TURNED), draws=2), "cka") == pytest.approx(1, abs=1e-12)


def gram_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. (2012), equation 5, from whole kernel matrices and uncentered features."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    ends = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    return (np.trace(k @ m) + ends) / (n * (n - 3))


@pytest.mark.parametrize("widths", [(6, 4), (200, 6), (200, 300)])
def test_cka_from_features_is_cka_from_gram_matrices(widths: tuple[int, int]) -> None:
    x, y = noise(40, widths[0]) + 1, noise(40, widths[1], 2)
    y[:, :3] += x[:, :3]
    h = np.eye(40) - 1 / 40
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    biased = np.vdot(k, m) / np.sqrt(np.vdot(k, k) * np.vdot(m, m))
    unbiased = gram_hsic(x, y) / np.sqrt(gram_hsic(x, x) * gram_hsic(y, y))
    found = [value(similarity.cka(acts(x), acts(y), debiased=d, draws=2), "cka") for d in (False, True)]
    np.testing.assert_allclose(found, [biased, unbiased], rtol=0, atol=1e-13)


def test_biased_cka_has_its_closed_forms_on_whitened_features() -> None:
    x = whitened(80, 8)
    d = np.array([4, 3, 2, 1, 1, 0.5, 0.2, 0.1])
    first = value(similarity.cka(acts(x), acts(x[:, :3]), debiased=False, draws=2), "cka")
    scaled = value(similarity.cka(acts(x), acts(x * d), debiased=False, draws=2), "cka")
    assert first == pytest.approx(np.sqrt(3 / 8), abs=1e-14)
    assert scaled == pytest.approx((d**2).sum() / np.sqrt(8 * (d**4).sum()), abs=1e-14)


def test_only_biased_cka_is_far_from_zero_between_independent_sides() -> None:
    a, b = acts(noise(40, 200)), acts(noise(40, 300, 2))
    biased, debiased = (similarity.cka(a, b, debiased=d, draws=40) for d in (False, True))
    assert value(biased, "cka") > 0.8
    assert value(biased, "cka_null_low") > 0.8
    assert abs(value(debiased, "cka")) < 0.1
    for table in (biased, debiased):
        assert value(table, "cka_p") > 0.05


def test_one_minibatch_of_all_examples_is_cka_and_small_ones_are_not_biased() -> None:
    x, y = noise(2000, 30), noise(2000, 30, 2)
    y[:, :10] += x[:, :10]
    a, b = (xr.DataArray(side, dims=("example", "unit")) for side in (x, y))
    whole = value(similarity.cka(a, b, draws=2), "cka")
    parts = [slice(i, i + 20) for i in range(0, 2000, 20)]
    assert value(similarity.minibatch_cka([(a, b)]), "cka") == pytest.approx(whole, abs=1e-14)
    small = similarity.minibatch_cka((a[part], b[part]) for part in parts)
    assert value(small, "cka") == pytest.approx(whole, abs=0.03)
    assert small.attrs["n_batches"] == 100
    with pytest.raises(DataError, match="no batches"):
        similarity.minibatch_cka([])


def test_the_influence_of_an_example_is_cka_less_cka_without_it() -> None:
    x, y = X - X.mean(0), noise(120, 4, 3) + X[:, :4]
    y = y - y.mean(0)
    found = influence(x, y)
    whole = value(similarity.cka(acts(x), acts(y), draws=2), "cka")
    for example in (0, 7, 119):
        rest = np.delete(np.arange(120), example)
        without = gram_hsic(x[rest], y[rest]) / np.sqrt(gram_hsic(x[rest], x[rest]) * gram_hsic(y[rest], y[rest]))
        assert found[example] == pytest.approx(whole - without, abs=1e-13)


# CCA and angles


def test_cca_is_one_under_any_invertible_map_where_cka_is_not() -> None:
    mixed = X @ RNG.normal(size=(6, 6))
    table = similarity.cca(acts(X), acts(mixed), keep=1, draws=2)
    for name in ("cca", "svcca", "pwcca"):
        assert value(table, name) == pytest.approx(1, abs=1e-12)
    assert value(similarity.cka(acts(X), acts(mixed), draws=2), "cka") < 0.95


def test_canonical_correlations_solve_the_generalized_eigenproblem() -> None:
    x, y = X - X.mean(0), noise(120, 4, 3) + 0.5 * X[:, :4]
    y = y - y.mean(0)
    zero = np.zeros((6, 6)), np.zeros((4, 4))
    left = np.block([[zero[0], x.T @ y], [y.T @ x, zero[1]]])
    right = linalg.block_diag(x.T @ x, y.T @ y)
    expected = np.sort(linalg.eigh(left, right, eigvals_only=True))[::-1][:4]
    table = similarity.cca(acts(x), acts(y), draws=2)
    np.testing.assert_allclose(table["correlation"], expected, atol=1e-12)
    assert value(table, "cca") == pytest.approx(expected.mean())
    assert value(table, "cca_null_low") < value(table, "cca_null_high") < value(table, "cca")


def test_pwcca_is_morcos_weighted_mean_by_the_first_sides_directions() -> None:
    x, y = X - X.mean(0), noise(120, 4, 3) + X[:, :4]
    y = y - y.mean(0)
    # canonical variates of x by the eigenproblem, weights by the paper's formula
    first = np.linalg.solve(x.T @ x, x.T @ y) @ np.linalg.solve(y.T @ y, y.T @ x)
    squares, vectors = np.linalg.eig(first)
    order = np.argsort(-squares.real)[:4]
    variates = x @ vectors.real[:, order]
    variates /= np.linalg.norm(variates, axis=0)
    weights = np.abs(variates.T @ x).sum(1)
    expected = (weights * np.sqrt(squares.real[order])).sum() / weights.sum()
    assert value(similarity.cca(acts(x), acts(y), draws=2), "pwcca") == pytest.approx(expected, abs=1e-10)


def test_svcca_keeps_only_the_components_that_hold_the_variance() -> None:
    shared = whitened(120, 3) * [30, 20, 10]
    a, b = (np.concatenate([shared, 0.01 * noise(120, 5, s)], 1) for s in (3, 4))
    table = similarity.cca(acts(a), acts(b), draws=2)
    assert value(table, "svcca") == pytest.approx(1, abs=1e-3)
    assert value(table, "cca") < 0.7


def test_dead_units_and_copies_change_no_canonical_correlation() -> None:
    y = noise(120, 4, 3) + X[:, :4]
    padded = np.concatenate([X, np.zeros((120, 2)), X[:, :1], np.full((120, 1), 3.3)], 1)
    plain, more = (similarity.cca(acts(side), acts(y), draws=2) for side in (X, padded))
    np.testing.assert_allclose(more["correlation"], plain["correlation"], atol=1e-12)
    assert more.attrs["rank"] == 6


def test_principal_angles_are_scipys() -> None:
    other = X + 0.3 * noise(120, 6, 5)
    centered = [side - side.mean(0) for side in (X, other)]
    for of, sides in (("examples", centered), ("units", [side.T for side in centered])):
        bases = [np.linalg.svd(side, full_matrices=False)[0][:, :3] for side in sides]
        found = similarity.principal_angles(acts(X), acts(other), k=3, of=of, draws=20)  # type: ignore[arg-type]
        np.testing.assert_allclose(found["angle"], np.sort(linalg.subspace_angles(*bases)), atol=1e-12)
        assert found["angle"].attrs["units"] == "rad"
        assert (found["angle_p"].values < 0.05).all()


def test_small_angles_are_not_lost_to_rounding() -> None:
    tilt = 1e-9
    x = whitened(50, 4) * [4, 3, 2, 1]
    y = x @ np.array([[1, 0, tilt, 0], [0, 1, 0, 0], [-tilt, 0, 1, 0], [0, 0, 0, 1.0]])
    found = similarity.principal_angles(acts(x), acts(y), k=2, of="units", draws=2)["angle"].values
    assert found[1] == pytest.approx(tilt, rel=0.01)


def test_spaces_drawn_at_random_are_no_closer_than_chance() -> None:
    for of in ("examples", "units"):
        found = similarity.principal_angles(acts(noise(120, 20)), acts(noise(120, 20, 9)), k=3, of=of)  # type: ignore[arg-type]
        assert (found["angle_p"].values > 0.05).any()


# Procrustes


def test_procrustes_is_zero_under_rotation_scaling_and_shift_and_returns_the_rotation() -> None:
    table = similarity.procrustes(acts(TURNED), acts(X), draws=2)
    assert value(table, "procrustes") ** 2 == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(table["rotation"], orthogonal(6), atol=1e-10)
    assert value(table, "scale") == pytest.approx(0.7)
    assert table["rotation"].dims == ("unit_b", "unit")


def test_procrustes_is_scipys() -> None:
    y = noise(120, 6, 2) + X
    disparity = spatial.procrustes(X, y)[2]  # 1 - (nuclear norm)^2
    squared = value(similarity.procrustes(acts(X), acts(y), draws=2), "procrustes") ** 2
    assert 1 - (1 - squared / 2) ** 2 == pytest.approx(disparity, abs=1e-13)
    first, second = (side - side.mean(0) for side in (X, y))
    expected = linalg.orthogonal_procrustes(second, first)[0]
    np.testing.assert_allclose(similarity.procrustes(acts(X), acts(y), draws=2)["rotation"], expected, atol=1e-12)


def test_procrustes_is_a_metric_also_between_widths() -> None:
    sides = [noise(60, p, p) for p in (3, 5, 5, 9)]
    sides[1][:, :3] += sides[0]

    def apart(i: int, j: int) -> float:
        return value(similarity.procrustes(acts(sides[i]), acts(sides[j]), draws=2), "procrustes")

    for i, j, k in [(0, 1, 2), (1, 2, 3), (0, 3, 1), (3, 2, 0)]:
        assert apart(i, j) == pytest.approx(apart(j, i), abs=1e-14)
        assert apart(i, k) <= apart(i, j) + apart(j, k) + 1e-12


# RSA


@pytest.mark.parametrize("metric", ["correlation", "euclidean", "cosine"])
def test_rsa_is_the_spearman_correlation_of_the_distances(metric: str) -> None:
    y = noise(120, 4, 3) + X[:, :4]
    expected = stats.spearmanr(*(spatial.distance.pdist(side, metric) for side in (X, y))).statistic
    table = similarity.rsa(acts(X), acts(y), metric=metric, draws=20)
    assert value(table, "rsa") == pytest.approx(expected, abs=1e-12)
    assert value(table, "rsa_null_high") < value(table, "rsa")


def test_rsa_leaves_out_patterns_without_a_correlation_and_says_so() -> None:
    y = noise(120, 4, 3) + X[:, :4]
    y[:5] = 0
    table = similarity.rsa(acts(X), acts(y), draws=2)
    assert table.attrs["n_left_out"] == 5
    assert value(table, "rsa") == pytest.approx(value(similarity.rsa(acts(X[5:]), acts(y[5:]), draws=2), "rsa"))
    assert similarity.rsa(acts(X), acts(y), most=50, draws=2).attrs["n_examples"] <= 50
    assert np.isnan(similarity.rsa(acts(X), acts(0 * y), draws=2)["rsa"])


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="correlation"):
        similarity.rsa(acts(X), acts(X), metric="corelation")
    with pytest.raises(DataError, match="euclidean"):
        similarity.rsa(acts(X[:, :1]), acts(X))


# all together


def test_compare_gives_every_measure_as_its_own_function_does() -> None:
    y = noise(120, 4, 3) + X[:, :4]
    table = similarity.compare(acts(X), acts(y), draws=20, seed=3)
    singles = {
        "cka": similarity.cka,
        "procrustes": similarity.procrustes,
        "pwcca": similarity.cca,
        "rsa": similarity.rsa,
    }
    for name, function in singles.items():
        one = function(acts(X), acts(y), draws=20, seed=3)
        for end in ("", "_null_low", "_null_high", "_p", "_low", "_high"):
            assert value(table, name + end) == pytest.approx(value(one, name + end), abs=1e-12), name + end


def test_the_displacements_squares_are_what_procrustes_leaves_over() -> None:
    y = noise(120, 4, 3) + X[:, :4]
    table = similarity.compare(acts(X), acts(y), draws=2)
    x = X - X.mean(0)
    scale = np.linalg.norm(x, axis=1).mean() / np.linalg.norm(x)
    nuclear = 1 - value(table, "procrustes") ** 2 / 2
    assert ((table["displacement"] * scale) ** 2).sum() == pytest.approx(1 - nuclear**2, abs=1e-12)
    again = similarity.compare(acts(y), acts(X), draws=2)  # the wider side second
    scale = np.linalg.norm(y - y.mean(0), axis=1).mean() / np.linalg.norm(y - y.mean(0))
    assert ((again["displacement"] * scale) ** 2).sum() == pytest.approx(1 - nuclear**2, abs=1e-12)


def test_one_image_that_makes_cka_is_found_and_left_out() -> None:
    x = noise(1000, 20)
    y = x.copy()
    y[17] += 100 * RNG.choice([-1, 1], 20)  # Davari et al. (2022): one of 1,000 moved by 100 sd
    a, b = (xr.DataArray(side, dims=("example", "unit")) for side in (x, y))
    table = similarity.compare(a, b, draws=2)
    assert value(table, "cka") < 0.7
    assert value(table, "cka_without_top") == pytest.approx(1, abs=1e-3)
    assert table["displacement"].values.argmax() == 17
    assert np.abs(table["influence"].values).argmax() == 17


def test_every_pair_of_layers_stands_in_its_place() -> None:
    y = noise(120, 4, 3) + X[:, :4]
    maps = noise(120, 2 * 3 * 3, 4).reshape(120, 2, 3, 3)
    table = similarity.matrix({"x": acts(X), "y": acts(y)}, {"y": acts(y), "maps": acts(maps), "x": acts(X)})
    assert table.sizes == {"layer": 2, "layer_b": 3}
    assert float(table["cka"].sel(layer="x", layer_b="x")) == pytest.approx(1)
    assert float(table["procrustes"].sel(layer="y", layer_b="y")) == pytest.approx(0, abs=1e-6)
    pair = table.sel(layer="x", layer_b="y")
    assert value(pair, "cka") == pytest.approx(value(similarity.cka(acts(X), acts(y), draws=2), "cka"))
    assert value(pair, "svcca") == pytest.approx(value(similarity.cca(acts(X), acts(y), draws=2), "svcca"))
    assert value(pair, "cka_p") < 0.05
    unrelated = table.sel(layer="x", layer_b="maps")
    assert value(unrelated, "cka_null_low") <= value(unrelated, "cka") <= value(unrelated, "cka_null_high")
    alone = similarity.matrix({"x": acts(X), "y": acts(y)}, draws=2)
    np.testing.assert_allclose(alone["cka"], alone["cka"].T)


def test_the_interval_of_cka_covers_what_many_images_give() -> None:
    """Of 60 draws of 100 images the 95% interval holds the value of 20,000 images at least 50 times."""

    def pair(n: int, seed: int) -> list[xr.DataArray]:
        x = noise(n, 5, seed)
        sides = (x, np.maximum(x @ mix, 0) + 0.5 * noise(n, 5, seed + 1000))
        return [xr.DataArray(side, dims=("example", "unit")) for side in sides]

    mix = np.random.default_rng(5).normal(size=(5, 5))
    truth = value(similarity.cka(*pair(20000, 0), draws=2), "cka")
    tables = [similarity.cka(*pair(100, seed), draws=2, seed=seed) for seed in range(1, 61)]
    assert sum(value(t, "cka_low") <= truth <= value(t, "cka_high") for t in tables) >= 50
    widths = [value(t, "cka_high") - value(t, "cka_low") for t in tables]
    assert np.median(widths) < 0.5


Pairwise = Callable[..., xr.Dataset]
PAIRWISE: list[Pairwise] = [
    similarity.cka,
    similarity.cca,
    similarity.procrustes,
    similarity.rsa,
    similarity.compare,
    similarity.principal_angles,
]


@pytest.mark.parametrize("measure", PAIRWISE)
def test_a_result_says_its_null_seed_source_and_units(measure: Pairwise) -> None:
    maps = acts(noise(120, 18, 4).reshape(120, 2, 3, 3), "layers.1.hook_pool")
    table = measure(acts(X), maps, draws=5, seed=7)
    assert {"null", "source", "seed", "n_examples", "hook_point"} <= set(table.attrs)
    assert (table.attrs["hook_point"], table.attrs["hook_point_b"]) == ("layers.0.hook_post", "layers.1.hook_pool")
    assert all("units" in variable.attrs for variable in table.data_vars.values())
    xr.testing.assert_identical(table, measure(acts(X), maps, draws=5, seed=7))


@pytest.mark.parametrize("measure", PAIRWISE)
def test_a_constant_side_gives_nan_with_its_reason(measure: Pairwise) -> None:
    table = measure(acts(X), acts(np.full((120, 6), 0.1)), draws=5)
    for name in set(table.data_vars) & {"cka", "procrustes", "cca", "svcca", "pwcca", "rsa", "cka_p", "scale"}:
        assert np.isnan(table[name]).all(), name
    assert table.attrs["reason"]


@pytest.mark.parametrize("measure", PAIRWISE)
def test_other_images_and_diverged_networks_are_refused(measure: Pairwise) -> None:
    with pytest.raises(DataError, match="examples"):
        measure(acts(X), acts(X[:100]))
    with pytest.raises(DataError, match="labels"):
        measure(acts(X), acts(X).assign_coords(label=("example", LABELS[::-1].copy())))
    with pytest.raises(DataError, match="diverged"):
        measure(acts(X), acts(np.where(X > 5, np.nan, X)))
    with pytest.raises(DataError):
        measure(acts(X[:3]), acts(X[:3]))


def test_the_layers_of_a_network_on_real_digits_resemble_each_other_beyond_chance() -> None:
    images = nm.data.load("digits").test.subset(range(200))
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(32, 16)), seed=0)
    found = nm.activations(model, images, ["layers.0.hook_post", "layers.1.hook_post"])
    table = similarity.compare(found["layers.0.hook_post"], found["layers.1.hook_post"], draws=40)
    for name in ("cka", "procrustes", "svcca", "pwcca", "cca", "rsa"):
        assert value(table, f"{name}_p") < 0.05
        assert value(table, f"{name}_low") < value(table, name) < value(table, f"{name}_high")
