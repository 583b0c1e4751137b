"""Dynamics against counts made by hand, closed forms, scipy and the dense Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from torch import nn

import neural_microscope as nm
from neural_microscope.analysis import dynamics
from neural_microscope.data import ImageSet
from neural_microscope.errors import DataError, UnknownName
from small_runs import images, mlp


def test_activity_knows_the_dead_the_rare_and_the_always_on() -> None:
    x = np.zeros((200, 4))
    x[0, 1] = 3.0
    x[:, 2] = 1.0
    x[:100, 3] = 2.0
    table = dynamics.activity(xr.DataArray(x, dims=("example", "unit")))
    assert table["density"].values.tolist() == [0, 1 / 200, 1, 0.5]
    assert table["dead"].values.tolist() == [True, False, False, False]
    assert table["low"].values.tolist() == [False, True, False, False]
    assert table["always_on"].values.tolist() == [False, False, True, False]
    assert table["mean"].values.tolist() == [0, 0.015, 1, 1]
    assert table["highest"].values.tolist() == [0, 3, 1, 2]


def test_histograms_share_bins_and_account_for_every_value() -> None:
    x = np.random.default_rng(0).normal(size=(3, 100, 5)) * np.array([1, 2, 4])[:, None, None]
    acts = xr.DataArray(x, dims=("snapshot", "example", "unit"), coords={"step": ("snapshot", [0, 1, 2])})
    table = dynamics.histograms(acts, bins=20, limits=(-3, 3))
    np.testing.assert_allclose(table["share"].sum("bin") + table["outside"], 1)
    np.testing.assert_allclose(table["share"][0], np.histogram(x[0], 20, (-3, 3))[0] / 500)
    np.testing.assert_allclose(table["spread"], x.std((1, 2)))
    assert (dynamics.histograms(acts.where(acts > 0, 0))["zero"] > 0.4).all()


def test_histograms_of_equal_values_have_a_bin() -> None:
    table = dynamics.histograms(xr.DataArray(np.zeros((4, 2)), dims=("example", "unit")))
    assert float(table["share"].sum()) == 1
    assert float(table["zero"][0]) == 1


def test_a_learning_curve_averages_log_spaced_stretches() -> None:
    steps = np.arange(1, 9)
    training = xr.Dataset({"loss": ("step", 1.0 / steps), "accuracy": ("step", steps / 10)}, coords={"step": steps})
    log = xr.Dataset(
        {"test_loss": ("snapshot", [2.0]), "test_accuracy": ("snapshot", [0.25])}, coords={"step": ("snapshot", [0])}
    )
    curve = dynamics.learning_curve(training, log, per_octave=1)
    stretches = [[1], [2, 3], [4, 5, 6, 7], [8]]
    np.testing.assert_allclose(curve["train_loss"], [np.mean([1 / s for s in stretch]) for stretch in stretches])
    np.testing.assert_allclose(curve["at"], [np.exp(np.mean(np.log(stretch))) for stretch in stretches])
    assert curve["test_error"].values.tolist() == [0.75]


def over_time(values: np.ndarray, steps: list[int], axis: str = "unit") -> xr.DataArray:
    """[snapshot, example, unit] at the given steps."""
    coords = {"step": ("snapshot", steps)}
    return xr.DataArray(values, dims=("snapshot", "example", axis), coords=coords, name="layers.0.hook_post")


def test_saturation_is_the_share_beyond_0_99_on_either_side() -> None:
    x = np.array([[1.0, -1.0], [0.5, 0.995], [-0.98, -0.995], [0.0, 0.999]])
    assert dynamics.activity(xr.DataArray(x, dims=("example", "unit")))["saturated"].values.tolist() == [0.25, 1]


def test_lives_tell_births_deaths_and_revivals() -> None:
    alive = np.array(
        [
            [1, 1, 1, 1, 1],  # never dies
            [0, 0, 1, 1, 1],  # is born
            [1, 1, 0, 0, 0],  # dies
            [1, 0, 1, 0, 0],  # dies, comes back, dies for good
            [0, 0, 0, 0, 0],  # never lives
            [0, 1, 0, 1, 1],  # is born, dies, comes back
        ]
    ).T
    x = np.zeros((5, 7, 6))
    x[:, 3] = alive  # on one example only
    for axis in ("unit", "channel"):
        table = dynamics.lives(over_time(x, [0, 1, 4, 16, 64], axis))
        assert table["alive"].dims == ("snapshot", axis)
        np.testing.assert_array_equal(table["born_at"], [0, 4, 0, 0, np.nan, 1])
        np.testing.assert_array_equal(table["died_at"], [np.nan, np.nan, 4, 16, np.nan, np.nan])
        assert table["deaths"].values.tolist() == [0, 0, 1, 2, 0, 1]
        assert table["revivals"].values.tolist() == [0, 0, 0, 1, 0, 1]


def test_silence_on_n_examples_bounds_the_share_that_fires_as_clopper_and_pearson_do() -> None:
    table = dynamics.lives(over_time(np.zeros((2, 50, 1)), [0, 1]))
    upper = stats.binomtest(0, 50).proportion_ci(0.90, "exact").high  # 95% one-sided
    assert table.attrs["silent_below"] == pytest.approx(upper)


def test_a_life_needs_snapshots_with_steps() -> None:
    with pytest.raises(DataError, match="step"):
        dynamics.lives(xr.DataArray(np.zeros((4, 2)), dims=("example", "unit")))


def test_gradient_flow_is_the_median_and_the_percentiles_of_each_stretch() -> None:
    steps, rng = np.arange(1, 200), np.random.default_rng(0)
    values = rng.lognormal(size=(199, 3))
    values[:, 2] = np.nan  # a parameter that gets no gradient
    coords = {"step": steps, "parameter": ["a", "b", "c"]}
    recorded = {
        name: (("step", "parameter"), factor * values) for name, factor in (("grad_norm", 1), ("update_ratio", 2))
    }
    table = dynamics.gradient_flow(xr.Dataset(recorded, coords=coords), per_octave=1)
    assert table["steps"].values.tolist() == [1, 2, 4, 8, 16, 32, 64, 72]
    stretch = values[(steps >= 32) & (steps < 64), :2]
    np.testing.assert_allclose(table["grad_norm"][5, :2], np.median(stretch, 0))
    np.testing.assert_allclose(table["update_ratio_low"][5, :2], 2 * np.percentile(stretch, 2.5, axis=0))
    np.testing.assert_allclose(table["grad_norm_high"][5, :2], np.percentile(stretch, 97.5, axis=0))
    assert np.isnan(table["grad_norm"][:, 2]).all()
    with pytest.raises(DataError, match="norms_every"):
        dynamics.gradient_flow(xr.Dataset(recorded, coords=coords).isel(step=slice(0)))


def class_log(accuracy: np.ndarray) -> xr.Dataset:
    steps = 4 ** np.arange(len(accuracy)) // 4
    return xr.Dataset(
        {"test_accuracy_by_class": (("snapshot", "class"), accuracy)}, coords={"step": ("snapshot", steps)}
    )


def test_a_class_is_reached_at_the_step_from_which_it_stays_good() -> None:
    accuracy = np.array([[0.95, 0.1, 0.1], [0.2, 0.92, 0.5], [0.9, 0.95, 0.8], [0.99, 0.9, 0.89]])
    table = dynamics.learning_by_class(class_log(accuracy))
    np.testing.assert_array_equal(table["reached_at"], [4, 1, np.nan])
    np.testing.assert_array_equal(
        dynamics.learning_by_class(class_log(accuracy), threshold=0.05)["reached_at"], [0, 0, 0]
    )
    assert "accuracy_low" not in table


def test_class_intervals_are_wilsons_and_the_null_is_binomial() -> None:
    counts, right = np.array([20, 50, 0]), np.array([[10, 49, 0], [20, 50, 0]])
    with np.errstate(invalid="ignore"):
        table = dynamics.learning_by_class(class_log(right / counts), counts=counts)
    overall = right.sum(1) / counts.sum()
    for i, c in np.ndindex(2, 2):
        interval = stats.binomtest(int(right[i, c]), int(counts[c])).proportion_ci(0.95, "wilson")
        assert float(table["accuracy_low"][i, c]) == pytest.approx(interval.low)
        assert float(table["accuracy_high"][i, c]) == pytest.approx(interval.high)
        tail = min(
            stats.binomtest(int(right[i, c]), int(counts[c]), overall[i], side).pvalue for side in ("less", "greater")
        )
        assert float(table["accuracy_p"][i, c]) == pytest.approx(min(2 * tail, 1))
    assert float(table["accuracy_null_low"][0, 1]) == stats.binom.ppf(0.025, 50, 59 / 70) / 50
    assert np.isnan(table["accuracy_low"][:, 2]).all()
    assert table["accuracy_shown"].values.tolist() == [[True, True, False], [False, False, False]]
    with pytest.raises(DataError, match="classes"):
        dynamics.learning_by_class(class_log(right / np.maximum(counts, 1)), counts=counts[:2])


def test_a_class_that_no_image_is_of_is_never_reached() -> None:
    assert np.isnan(dynamics.learning_by_class(class_log(np.full((3, 2), np.nan)))["reached_at"]).all()


def test_spectra_are_those_of_the_matrices_with_kernels_flattened() -> None:
    model = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(3, 4), head=(5,)))
    states = [model.state_dict(), {name: 2 * value for name, value in model.state_dict().items()}]
    table = dynamics.weight_spectra(states, [0, 7], draws=5)
    kernel = model.layers[1].conv.weight.detach().double().numpy().reshape(4, -1)
    expected = np.sqrt(np.linalg.eigvalsh(kernel @ kernel.T)[::-1])
    found = table.sel(parameter="layers.1.conv.weight")
    np.testing.assert_allclose(found["singular_value"][1, :4], 2 * expected, rtol=1e-6)
    assert np.isnan(found["singular_value"][:, 4:]).all()
    np.testing.assert_allclose(found["stable_rank"], (expected**2).sum() / expected[0] ** 2)
    assert set(table["parameter"].values) == {name for name in states[0] if name.endswith("weight")}


def test_a_planted_direction_stands_out_of_the_shuffled_entries_and_noise_does_not() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(40, 90))
    u, v = (rng.normal(size=k) for k in (40, 90))
    spike = 40.0 * np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v)
    table = dynamics.weight_spectra([{"w": noise}, {"w": noise + spike}], [0, 1])
    assert table["top_p"].values.ravel().tolist() == [pytest.approx(float(table["top_p"][0, 0])), 1 / 40]
    assert float(table["top_p"][0, 0]) > 0.05
    assert table["outliers"].values.ravel().tolist() == [0, 1]
    # a spike in noise is seen at sqrt((s² + out) (s² + in)) / s (Benaych-Georges & Nadakuditi 2012)
    assert float(table["top"][1, 0]) == pytest.approx(np.sqrt((1600 + 40) * (1600 + 90)) / 40, rel=0.03)
    assert float(table["edge"][0, 0]) == pytest.approx(np.sqrt(40) + np.sqrt(90), rel=0.02)
    assert float(table["top_null_high"][0, 0]) == pytest.approx(float(table["edge"][0, 0]), rel=0.06)
    assert (table["stable_rank_null_low"] <= table["stable_rank_null_high"]).all()


def test_the_order_in_which_a_file_holds_its_weights_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    state = {f"layers.{i}.weight": rng.normal(size=(5, 6)) for i in range(12)}
    table = dynamics.weight_spectra([state, dict(reversed(state.items()))], [0, 1], draws=3)
    assert table["parameter"].values.tolist() == list(state)
    np.testing.assert_array_equal(table["top"][0], table["top"][1])


def test_a_matrix_of_zeros_has_no_stable_rank_and_equal_entries_are_no_finding() -> None:
    table = dynamics.weight_spectra([{"zero": np.zeros((3, 4)), "equal": np.full((3, 4), 0.1)}], [0])
    assert np.isnan(float(table["stable_rank"].sel(parameter="zero")[0]))
    assert float(table["stable_rank"].sel(parameter="equal")[0]) == pytest.approx(1)
    assert table["top_p"].values.tolist() == [[1, 1]]


def test_states_that_do_not_belong_together_or_diverged_are_refused() -> None:
    good = {"w": np.eye(3)}
    with pytest.raises(DataError, match="w at step 5"):
        dynamics.weight_spectra([good, {"w": np.full((3, 3), np.nan)}], [0, 5])
    with pytest.raises(DataError, match="there are 1 states for 2 steps"):
        dynamics.weight_spectra([good], [0, 5])
    with pytest.raises(DataError, match="not the same"):
        dynamics.weight_spectra([good, {"w": np.eye(4)}], [0, 5])
    with pytest.raises(DataError, match="no matrix"):
        dynamics.weight_spectra([{"b": np.ones(3)}], [0])


def dense_hessian(model: nn.Module, data: ImageSet, loss: str) -> np.ndarray:
    names = [name for name, _ in model.named_parameters()]
    sizes = [p.numel() for p in model.parameters()]
    shapes = [p.shape for p in model.parameters()]
    pixels, labels = data.tensor().double(), data.label_tensor()

    def value(flat: torch.Tensor) -> torch.Tensor:
        parts = {n: v.reshape(s) for n, v, s in zip(names, flat.split(sizes), shapes, strict=True)}
        logits = torch.func.functional_call(model, parts, (pixels,))
        if loss == "mse":
            return 0.5 * (logits - torch.eye(logits.shape[1])[labels]).square().sum(1).mean()
        return nn.functional.cross_entropy(logits, labels)

    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    return torch.autograd.functional.hessian(value, flat).numpy()


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize("kind", ["mlp", "cnn", "foreign"])
def test_sharpness_is_the_top_eigenvalue_of_the_dense_hessian(kind: str, loss: str) -> None:
    model: nn.Module = {
        "mlp": lambda: mlp(activation="tanh"),
        "cnn": lambda: nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), head=(3,), activation="gelu")),
        "foreign": lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Sigmoid(), nn.Linear(4, 3)),
    }[kind]()
    model, data = model.double(), images(23, 0)
    eigenvalues = np.linalg.eigvalsh(dense_hessian(model, data, loss))
    table = dynamics.sharpness(model, data, loss=loss, batch_size=10, iterations=200)
    assert float(table["sharpness"]) == pytest.approx(eigenvalues[-1], rel=1e-6)
    assert float(table["residual"]) <= 1e-3 * eigenvalues[-1]
    assert bool(table["converged"])


def test_sharpness_of_a_linear_map_is_the_top_second_moment_of_its_inputs() -> None:
    data = images(40, 1)
    x = np.column_stack([data.tensor().flatten(1).numpy().astype(np.float64), np.ones(40)])
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=())).double()
    table = dynamics.sharpness(model, data, loss="mse")
    assert float(table["sharpness"]) == pytest.approx(np.linalg.eigvalsh(x.T @ x / 40)[-1], rel=1e-9)


def test_sharpness_of_a_loss_without_curvature_is_exactly_0() -> None:
    black = ImageSet(np.zeros((6, 4, 4), np.uint8), np.arange(6) % 3, 3)
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(), bias=False))
    table = dynamics.sharpness(model, black)
    assert (float(table["sharpness"]), float(table["residual"])) == (0, 0)


def test_sharpness_leaves_the_model_as_it_was_and_looks_in_evaluation_mode() -> None:
    model = mlp(dropout=0.5).train()
    first = dynamics.sharpness(model, images(20, 0), n=15)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    xr.testing.assert_identical(first, dynamics.sharpness(model, images(20, 0), n=15))
    assert first.attrs["n_examples"] == 15
    with torch.no_grad():
        assert float(dynamics.sharpness(model, images(20, 0))["sharpness"]) > 0


def test_sharpness_refuses_what_has_no_answer() -> None:
    model = mlp()
    with pytest.raises(UnknownName, match="cross-entropy"):
        dynamics.sharpness(model, images(5, 0), loss="cross_entropy")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="n is 9"):
        dynamics.sharpness(model, images(5, 0), n=9)
    with pytest.raises(DataError, match="class for each label"):
        dynamics.sharpness(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), images(5, 0))
    with torch.no_grad():
        model.output.weight[0, 0] = np.inf
    with pytest.raises(DataError, match="diverged"):
        dynamics.sharpness(model, images(5, 0))
    with pytest.raises(DataError, match="parameter"):
        dynamics.sharpness(mlp().requires_grad_(False), images(5, 0))
