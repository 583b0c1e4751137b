"""Influence of training images: estimates against formulas in float64, retraining against plain training, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.config import ConfigError
from neural_microscope.data import Dataset, ImageSet
from neural_microscope.errors import DataError, RunError, UnknownName
from neural_microscope.influence import Activation, Confusion, Prediction
from neural_microscope.influence.targets import prediction_of

DATA = small_runs.data()
LABELS = DATA.train.label_tensor()
SGD = nm.TrainConfig(epochs=2, batch_size=10, learning_rate=0.1, optimizer="sgd", seed=3)
TARGETS = (Prediction((0, 4)), Prediction(2, "loss"), Confusion(0, 1), Activation("layers.0", 2))


def recorded(
    folder: Path, data: Dataset = DATA, config: nm.TrainConfig = SGD, seed: int = 5, **settings: Any
) -> nm.Run:
    model = small_runs.mlp(seed, **settings)
    nm.train(model, data, config, observers=[nm.Recorder(folder, small_runs.RECORD)])
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    return recorded(tmp_path_factory.mktemp("influence") / "run")


def gradient(model: nn.Module, number: torch.Tensor) -> np.ndarray:
    found = torch.autograd.grad(number, [*model.parameters()], allow_unused=True)
    each = [torch.zeros_like(p) if g is None else g for g, p in zip(found, model.parameters(), strict=True)]
    return torch.cat([one.flatten() for one in each]).double().numpy()


def of_targets(model: Any) -> np.ndarray:
    """The gradients of TARGETS, one after the other, [target, weight]."""
    images, labels = DATA.test.tensor(), DATA.test.label_tensor()

    def margin(number: int) -> torch.Tensor:
        p = torch.softmax(model(images[[number]]), 1)[0, labels[number]]
        return torch.log(p / (1 - p))

    first = model.layers[0].linear
    numbers = [
        margin(0),
        margin(4),
        nn.functional.cross_entropy(model(images[[2]]), labels[[2]]),
        (model(images)[:, 0] - model(images)[:, 1])[labels == 0].mean(),
        torch.relu(images.flatten(1) @ first.weight.T + first.bias)[:, 2].mean(),
    ]
    return np.stack([gradient(model, number) for number in numbers])


def of_losses(model: nn.Module) -> np.ndarray:
    losses = [
        nn.functional.cross_entropy(model(image[None]), label[None])
        for image, label in zip(DATA.train.tensor(), LABELS, strict=True)
    ]
    return np.stack([gradient(model, loss) for loss in losses])


def test_tracin_is_the_sum_over_snapshots_of_rate_times_product(run: nm.Run) -> None:
    expected, last = np.zeros((2, 5, len(DATA.train)))
    for step, following in zip(run.steps, [*run.steps[1:], run.steps[-1]], strict=True):
        model = run.model(step)
        products = of_targets(model) @ of_losses(model).T / len(DATA.train)
        expected -= 0.1 * (following - step) * products
        last = -0.1 * run.steps[-1] * products
    found = nm.influence.estimate(run, TARGETS, method="tracin", data=DATA)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        nm.influence.estimate(run, TARGETS, method="last", data=DATA), last, rtol=1e-4, atol=1e-6
    )
    assert found["target"].values.tolist() == [
        *("margin of image 0", "margin of image 4", "loss of image 2", "0 over 1", "layers.0 unit 2")
    ]
    np.testing.assert_array_equal(found["label"], DATA.train.labels)


def test_a_name_tells_the_image_and_whether_a_rise_helps() -> None:
    names = [name for target in (*TARGETS, Activation("layers.0", 1, images=8)) for name in target.names(DATA.test)]
    assert [prediction_of(name) for name in names] == [(0, 1), (4, 1), (2, -1), (None, 1), (None, 0), (None, 0)]


def test_one_step_of_gradient_descent_on_an_image_is_what_tracin_says(run: nm.Run) -> None:
    """Against the change of the target itself, for a small rate."""
    model = run.model(0)
    rate, image = 1e-3, 7
    loss = nn.functional.cross_entropy(model(DATA.train.tensor()[[image]]), LABELS[[image]])
    gradients = torch.autograd.grad(loss, [*model.parameters()])
    was = margin_of(model)
    with torch.no_grad():
        for parameter, slope in zip(model.parameters(), gradients, strict=True):
            parameter -= rate * slope
    estimated = nm.influence.estimate(run, Prediction(0), method="tracin", data=DATA, step=0)
    change = (margin_of(model) - was) / rate
    assert float(estimated[0, image]) * len(DATA.train) / SGD.learning_rate == pytest.approx(change, rel=0.02)


def margin_of(model: nn.Module) -> float:
    p = torch.softmax(model(DATA.test.tensor()[:1]).double(), 1)[0, DATA.test.labels[0]]
    return float(torch.log(p / (1 - p)).detach())


def test_the_kernel_is_its_formula_with_gradients_that_were_formed(run: nm.Run) -> None:
    model = run.model()
    logits = model(DATA.train.tensor())
    p = torch.softmax(logits, 1).gather(1, LABELS[:, None])[:, 0]
    phi = np.stack([gradient(model, torch.log(one / (1 - one))) for one in chances(model)])
    kernel = phi @ phi.T
    kernel += 0.1 * np.diag(kernel).mean() * np.eye(len(kernel))
    expected = of_targets(model) @ phi.T @ np.linalg.inv(kernel) * (1 - p.detach().double().numpy())
    found = nm.influence.estimate(run, TARGETS, data=DATA)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())


def chances(model: nn.Module) -> list[torch.Tensor]:
    images = DATA.train.tensor()
    return [torch.softmax(model(images[i][None]), 1)[0, LABELS[i]] for i in range(len(images))]


def test_pixels_are_signed_cosines(run: nm.Run) -> None:
    x, y = (part.tensor().flatten(1).double().numpy() for part in (DATA.train, DATA.test))
    found = nm.influence.estimate(run, (Prediction(4), Confusion(0, 1)), method="pixels", data=DATA)
    cosine = (y @ x.T) / np.linalg.norm(y, axis=1)[:, None] / np.linalg.norm(x, axis=1)
    same = DATA.train.labels == DATA.test.labels[4]
    np.testing.assert_allclose(found[0], cosine[4] * np.where(same, 1, -1))
    signs = np.array([1, -1, 0])[DATA.train.labels]
    np.testing.assert_allclose(found[1], cosine[DATA.test.labels == 0].mean(0) * signs)


def test_several_runs_give_the_mean_and_others_are_refused(run: nm.Run, tmp_path: Path) -> None:
    other = recorded(tmp_path / "other", config=replace(SGD, seed=4), seed=6)
    both = nm.influence.estimate([run, other], Prediction(0), data=DATA)
    each = [nm.influence.estimate(one, Prediction(0), data=DATA) for one in (run, other)]
    np.testing.assert_allclose(both, (each[0] + each[1]) / 2)
    longer = recorded(tmp_path / "longer", config=replace(SGD, learning_rate=0.2))
    with pytest.raises(DataError, match="differ in more than their seeds"):
        nm.influence.estimate([run, longer], Prediction(0), data=DATA)


def test_label_noise_is_what_the_network_was_trained_on(tmp_path: Path) -> None:
    noisy = recorded(tmp_path / "noisy", config=replace(SGD, label_noise=0.5))
    labels = nm.training.noisy_labels(DATA.train, noisy.train_config).numpy()
    assert (labels != DATA.train.labels).any()
    np.testing.assert_array_equal(nm.influence.estimate(noisy, Prediction(0), data=DATA)["label"], labels)


@pytest.mark.parametrize("vary", ["both", "weights", "order"])
def test_a_retrained_network_is_the_one_that_plain_training_without_the_images_gives(run: nm.Run, vary: Any) -> None:
    sets = [np.arange(20), np.array([3, 50])]
    truth = nm.influence.retrain(run, sets, Prediction((0, 4)), seeds=[8, 9], data=DATA, vary=vary)
    for number, left_out in enumerate(sets):
        for place, seed in enumerate((8, 9)):
            order = SGD.seed if vary == "weights" else seed

            def batches(epoch: int, order: int = order, left_out: np.ndarray = left_out) -> list[torch.Tensor]:
                whole = nm.data.batches(len(DATA.train), 10, seed=order, epoch=epoch)
                return [batch[~torch.isin(batch, torch.from_numpy(left_out))] for batch in whole]

            model = small_runs.mlp(5 if vary == "order" else seed)
            nm.train(model, DATA, SGD, sampler=batches)
            found = truth["value"].values[number, place]
            logits = model(DATA.test.tensor()).detach().double()
            p = torch.softmax(logits, 1).gather(1, DATA.test.label_tensor()[:, None])[:, 0]
            np.testing.assert_allclose(found, torch.log(p / (1 - p))[[0, 4]], rtol=1e-3, atol=1e-5)
    assert truth["size"].values.tolist() == [20, 2]
    assert (truth["reordered"] != truth["whole"]).all()


def test_a_batch_without_images_changes_nothing(run: nm.Run) -> None:
    """All but two images are left out, so that most batches are empty: nothing is trained in them, and nothing fails."""
    truth = nm.influence.retrain(run, [np.arange(2, 90)], Prediction(0), seeds=[8], data=DATA)
    order = [nm.data.batches(90, 10, seed=8, epoch=epoch) for epoch in range(2)]
    kept = [batch[batch < 2] for epoch in order for batch in epoch]
    model = small_runs.mlp(8)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in kept:
        if len(batch):
            sgd.zero_grad()
            nn.functional.cross_entropy(model(DATA.train.tensor()[batch]), LABELS[batch]).backward()
            sgd.step()
    assert float(truth["value"][0, 0, 0]) == pytest.approx(margin_of(model), rel=1e-4)


def mislabeled(seed: int) -> tuple[Dataset, np.ndarray]:
    """Test images whose duplicates are among the training images with another label, and the duplicates' places."""
    test, train = small_runs.images(9, seed + 1), small_runs.images(81, seed)
    labels = np.concatenate([train.labels, (test.labels + 1) % 3])
    pictures = np.concatenate([train.images, test.images])
    return Dataset("duplicates", ImageSet(pictures, labels, 3, "duplicates"), test), np.arange(81, 90)


def test_mislabeled_duplicates_of_test_images_are_found_as_most_harmful(tmp_path: Path) -> None:
    data, places = mislabeled(20)
    config = replace(SGD, epochs=40)
    run = recorded(tmp_path / "run", data, config, hidden=(16,))
    targets = Prediction(tuple(range(9)))
    marked = xr.DataArray(np.arange(90) == places[:, None], dims=("target", "example"))
    for method in ("kernel", "tracin"):
        influence = nm.influence.estimate(run, targets, data=data, method=method)
        found = nm.analysis.influence.harm(influence, marked)
        assert found["harm_shown"]
        assert float(found["found"]) >= 7 / 9
    truth = nm.influence.retrain(run, [[place] for place in places], targets, seeds=3, data=data)
    effect = (truth["value"] - truth["whole"]).mean("seed").values  # [set, target]
    assert (effect.argmax(0) == np.arange(9)).mean() >= 7 / 9  # without its duplicate an image is predicted better


def test_a_class_that_was_left_out_is_found_in_the_retrained_networks(run: nm.Run) -> None:
    classes = [np.flatnonzero(DATA.train.labels == label) for label in range(3)]
    targets = [Confusion(0, 1), Confusion(1, 2), Confusion(2, 0)]
    truth = nm.influence.retrain(run, classes, targets, seeds=2, data=DATA)
    effect = (truth["value"] - truth["whole"]).mean("seed")
    np.testing.assert_array_equal(effect.argmin("set"), [0, 1, 2])


def test_verify_shows_what_is_there_and_its_ceiling(run: nm.Run) -> None:
    sets = nm.influence.halves(DATA.train, n=24)
    found = nm.influence.verify(run, sets, data=DATA, seeds=4, draws=199)
    assert found["verdict"].sel(estimate="kernel") == "shown"
    assert float(found["agreement"].sel(estimate="kernel")) > 0.2
    assert found.attrs["reason"] == ""
    assert float(found["ceiling"]) == pytest.approx(np.sqrt(float(found["reliability"])))
    assert found.attrs["n_sets"] == 18
    assert found.attrs["n_tuning_sets"] == 6
    np.testing.assert_array_equal([np.flatnonzero(one) for one in found["left_out"]], sets[6:])
    assert found["effect"].sizes == {"set": 18, "seed": 4, "target": 30}
    assert float(found["effect_sd"]) > 0 < float(found["order_sd"])
    made = nm.influence.claims(found)
    assert [claim.network for claim in made] == ["kernel", "tracin", "last", "pixels"]
    assert made[0].shown
    assert made[0].sentence.startswith("Influence estimated by kernel agrees with retraining: rank correlation 0.")


def test_permuted_sets_agree_with_nothing(run: nm.Run) -> None:
    """The truth of other sets than those the estimate is asked about."""
    sets = nm.influence.halves(DATA.train, n=12)
    truth = nm.influence.retrain(run, sets, Prediction(tuple(range(30))), seeds=2, data=DATA)
    influence = nm.influence.estimate(run, Prediction(tuple(range(30))), data=DATA)
    other = nm.influence.halves(DATA.train, n=12, seed=1)
    estimated = [-influence.values[:, one].sum(1) for one in other]
    array = xr.DataArray(np.stack(estimated), dims=("set", "target"))
    assert not nm.analysis.influence.agreement(array, truth["value"])["agreement_shown"]


def test_a_question_that_the_ceiling_does_not_carry_is_refused_with_its_number(run: nm.Run) -> None:
    sets = nm.influence.singles(DATA.train, n=12)
    found = nm.influence.verify(run, sets, data=DATA, seeds=2, methods=["tracin", "pixels"], draws=99, least=0.99)
    assert (found["verdict"] == "not asked").all()
    assert found["agreement"].isnull().all()
    assert not found["agreement_shown"].any()
    assert f"{float(found['reliability']):.2f}" in found.attrs["reason"]
    assert nm.influence.claims(found) == []


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda run: nm.influence.estimate(run, Prediction(0), method="grad", data=DATA),
            UnknownName,
            "did you mean|kernel",
        ),
        (lambda run: nm.influence.estimate(run, Prediction(30), data=DATA), ConfigError, "test images are 0 to 29"),
        (lambda run: nm.influence.estimate(run, Prediction((1, 1)), data=DATA), ConfigError, "each once"),
        (lambda run: nm.influence.estimate(run, (), data=DATA), ConfigError, "there is no target"),
        (lambda run: nm.influence.estimate(run, Prediction(0, "accuracy"), data=DATA), UnknownName, "margin"),
        (lambda run: nm.influence.estimate(run, Confusion(0, 3), data=DATA), ConfigError, "classes 0 to 2"),
        (lambda run: nm.influence.estimate(run, Confusion(1, 1), data=DATA), ConfigError, "with itself"),
        (lambda run: nm.influence.estimate(run, Activation("layers.0", 9), data=DATA), ConfigError, "units 0 to 4"),
        (lambda run: nm.influence.estimate(run, Activation("layers.7", 0), data=DATA), UnknownName, "hook point"),
        (lambda run: nm.influence.estimate(run, Prediction(0), data=DATA, damping=0.0), ConfigError, "damping"),
        (lambda run: nm.influence.estimate(run, Prediction(0), data=DATA, step=5), UnknownName, "snapshot"),
        (lambda run: nm.influence.estimate(run, Prediction(0), data=small_runs.data(60)), RunError, "checksums differ"),
        (lambda run: nm.influence.estimate(run, Prediction(0)), RunError, "Give the data"),
        (lambda run: nm.influence.estimate([], Prediction(0), data=DATA), DataError, "no run"),
        (lambda run: retrained(run, [[]]), DataError, "at least one"),
        (lambda run: retrained(run, [[90]]), DataError, "from 0 to 89"),
        (lambda run: retrained(run, [np.arange(90)]), DataError, "nothing is left"),
        (lambda run: retrained(run, [[0.5]]), DataError, "numbers of training images"),
        (lambda run: retrained(run, []), DataError, "no set"),
        (lambda run: retrained(run, [[0]], seeds=0), ConfigError, "1 or more"),
        (lambda run: retrained(run, [[0]], seeds=[1, 1]), ConfigError, "each once"),
        (lambda run: retrained(run, [[0]], vary="nothing"), UnknownName, "no vary 'nothing'; there are: both"),
        (
            lambda run: nm.influence.retrain(run, [[0]], Activation("layers.0", 1), data=DATA),
            ConfigError,
            "give vary='order'",
        ),
        (lambda run: verified(run, 5, methods=["pixels"]), DataError, "5 sets"),
        (lambda run: verified(run, 11), DataError, "11 sets"),
        (lambda run: verified(run, 8, methods=["pixels"], seeds=1), ConfigError, "one seed"),
        (lambda run: verified(run, 8, tuning=1.0), ConfigError, "tuning"),
        (
            lambda run: nm.influence.verify(
                run, [[3, 5], *([n] for n in range(8)), [5, 3]], methods=["pixels"], data=DATA
            ),
            DataError,
            "sets 0 and 9 hold the same images",
        ),
        (lambda run: nm.influence.alike(DATA.train, size=91), DataError, "90 training images"),
    ],
)
def test_what_can_not_be_asked_is_an_error_that_says_why(
    run: nm.Run, call: Callable[[nm.Run], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(run)


def retrained(run: nm.Run, sets: Any, **settings: Any) -> xr.Dataset:
    return nm.influence.retrain(run, sets, Prediction(0), data=DATA, **settings)


def verified(run: nm.Run, count: int, **settings: Any) -> xr.Dataset:
    return nm.influence.verify(run, nm.influence.singles(DATA.train, n=count), data=DATA, **settings)


def test_runs_that_can_not_be_repeated_are_refused(tmp_path: Path) -> None:
    sampler: Any = lambda epoch: [torch.arange(90)]  # noqa: E731
    nm.train(small_runs.mlp(), DATA, SGD, sampler=sampler, observers=[nm.Recorder(tmp_path / "own", small_runs.RECORD)])
    with pytest.raises(RunError, match="batches of the caller's own"):
        nm.influence.estimate(nm.Run.open(tmp_path / "own"), Prediction(0), data=DATA)
    normed = recorded(tmp_path / "normed", norm="layer")
    with pytest.raises(DataError, match="'pixels' takes any network"):
        nm.influence.estimate(normed, Prediction(0), data=DATA)
    assert nm.influence.estimate(normed, Prediction(0), data=DATA, method="pixels").shape == (1, 90)


def test_sets_are_what_they_say() -> None:
    assert [len(one) for one in nm.influence.halves(DATA.train, n=3)] == [45] * 3
    assert len({*map(int, np.concatenate(nm.influence.singles(DATA.train, n=90)))}) == 90
    x = DATA.train.images.reshape(90, -1).astype(float)
    for one in nm.influence.alike(DATA.train, size=4, n=5):
        near = [np.sort(np.argsort(((x - x[i]) ** 2).sum(1), kind="stable")[:4]).tolist() for i in one]
        assert one.tolist() in near
