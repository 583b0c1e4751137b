"""Training against plain torch, scikit-learn and itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, recall_score
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.config import ConfigError
from neural_microscope.data import Dataset, ImageSet, batches
from neural_microscope.errors import DataError
from neural_microscope.training import Observer, Training, learning_rate, noisy_labels
from neural_microscope.training.scores import right

DATA = small_runs.data()


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def trained(network: dict[str, Any], training: dict[str, Any]) -> tuple[nn.Module, Any]:
    model = small_runs.mlp(**network)
    config = nm.TrainConfig(**{"epochs": 2, "batch_size": 16, "seed": 5, **training})
    return model, nm.train(model, DATA, config)


# --- the same bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "training"),
    [
        ({}, {}),
        ({"dropout": 0.5}, {}),
        ({"norm": "batch"}, {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}),
        ({"norm": "layer", "dropout": 0.1}, {"schedule": "cosine", "warmup_steps": 3, "label_noise": 0.3}),
        ({}, {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "step"}),
        ({"norm": "layer", "dropout": 0.5}, {"precision": "bfloat16"}),
    ],
)
def test_the_same_seed_gives_the_same_bits(network: dict[str, Any], training: dict[str, Any]) -> None:
    first, told = trained(network, training)
    torch.manual_seed(12345)  # a caller in another mood
    again, told_again = trained(network, training)
    assert bits(first) == bits(again)
    assert told.loss.tobytes() == told_again.loss.tobytes()
    assert told.test.logits.numpy().tobytes() == told_again.test.logits.numpy().tobytes()


def test_another_seed_gives_other_bits() -> None:
    assert bits(trained({}, {})[0]) != bits(trained({}, {"seed": 6})[0])


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_random_state_and_threads_are_untouched(fails: bool) -> None:
    class Failing(Observer):
        def stepped(self, training: Training) -> None:
            if fails:
                raise RuntimeError("on purpose")

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        state = torch.get_rng_state()
        try:
            nm.train(small_runs.mlp(dropout=0.5), DATA, nm.TrainConfig(epochs=1, seed=9), observers=[Failing()])
        except RuntimeError:
            assert fails
        assert torch.equal(state, torch.get_rng_state())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_threads_asked_for_are_those_trained_with() -> None:
    seen = []

    class Looking(Observer):
        def stepped(self, training: Training) -> None:
            seen.append(torch.get_num_threads())

    nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=1, threads=2), observers=[Looking()])
    assert set(seen) == {2}


# --- against plain torch ----------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.05)),
    "momentum": ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    "sgd with decay": (
        {"optimizer": "sgd", "weight_decay": 0.02},
        lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.02),
    ),
    "adam": ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.05)),
    "adam with decay": (
        {"optimizer": "adam", "weight_decay": 0.02},
        lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.02),
    ),
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
}


def plain_loop(
    model: nn.Module, optimizer: torch.optim.Optimizer, orders: Iterator[Any], labels: Any = None
) -> list[float]:
    """The loop as written by hand."""
    images = torch.from_numpy(DATA.train.images).float()[:, None] / 255
    labels = torch.from_numpy(DATA.train.labels) if labels is None else labels
    losses = []
    for indices in orders:
        loss = nn.functional.cross_entropy(model(images[indices]), labels[indices])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def default_order(epochs: int, batch_size: int, seed: int) -> Iterator[Any]:
    for epoch in range(epochs):
        yield from batches(len(DATA.train), batch_size, seed=seed, epoch=epoch)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_agrees_with_a_plain_torch_loop(name: str) -> None:
    # Ours is the fused optimizer, torch's default goes tensor by tensor: 24 steps leave them 4e-7 apart at most, while the weights
    # move by 1e-1 and more.
    settings, make = OPTIMIZERS[name]
    ours, theirs = small_runs.mlp(), small_runs.mlp()
    config = nm.TrainConfig(epochs=4, batch_size=16, learning_rate=0.05, seed=2, **settings)
    told = nm.train(ours, DATA, config)
    optimizer = make(theirs.parameters())
    losses = plain_loop(theirs, optimizer, default_order(4, 16, 2))
    np.testing.assert_allclose(told.loss, losses, rtol=0, atol=1e-6)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=0, atol=1e-6)


def test_dropout_is_drawn_from_the_configs_seed() -> None:
    ours, theirs = small_runs.mlp(dropout=0.5), small_runs.mlp(dropout=0.5)
    nm.train(ours, DATA, nm.TrainConfig(epochs=2, batch_size=16, optimizer="sgd", learning_rate=0.05, seed=2))
    torch.manual_seed(2)
    plain_loop(theirs, torch.optim.SGD(theirs.parameters(), lr=0.05), default_order(2, 16, 2))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=0, atol=1e-6)


def test_a_samplers_batches_are_those_trained_on() -> None:
    def sampler(epoch: int) -> list[Any]:
        return [[epoch, 3, 3], np.array([7, 8, 9, 10 + epoch]), torch.tensor([1])]

    ours, theirs = small_runs.mlp(), small_runs.mlp()
    told = nm.train(
        ours, DATA, nm.TrainConfig(epochs=3, optimizer="sgd", learning_rate=0.05, batch_size=1000), sampler=sampler
    )
    orders = iter([batch for epoch in range(3) for batch in sampler(epoch)])
    losses = plain_loop(theirs, torch.optim.SGD(theirs.parameters(), lr=0.05), orders)
    np.testing.assert_allclose(told.loss, losses, rtol=0, atol=1e-6)
    assert told.step.tolist() == list(range(1, 10))


def test_a_sampler_that_draws_as_it_goes_is_asked_once_for_each_epoch() -> None:
    asked = []

    def sampler(epoch: int) -> list[Any]:
        asked.append(epoch)
        return [[epoch]]

    nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=3), sampler=sampler)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize(
    ("sampler", "text"),
    [
        (lambda epoch: [], "no batches in epoch 0"),
        (lambda epoch: [[0]] * (epoch + 1), "2 batches in epoch 1, 1 in epoch 0"),
        (lambda epoch: [[0, 90]], r"index 90; training images are 0\.\.89"),
        (lambda epoch: [[-1]], r"index -1; training images are 0\.\.89"),
        (lambda epoch: [[]], r"float32 \[0\]"),
        (lambda epoch: [[0.5]], r"float32 \[1\]"),
        (lambda epoch: [3], r"int64 \[\]"),
        (lambda epoch: [[True] * 90], r"bool \[90\]"),
    ],
)
def test_a_sampler_that_gives_nonsense_is_an_error_that_says_what_came(sampler: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=2), sampler=sampler)


# --- bfloat16 ---------------------------------------------------------------------------------------------------------------


def test_bfloat16_is_what_torch_does_under_autocast() -> None:
    model, alone = small_runs.mlp(), small_runs.mlp()
    told = nm.train(model, DATA, nm.TrainConfig(epochs=1, batch_size=90, optimizer="sgd", precision="bfloat16"))
    (chosen,) = batches(len(DATA.train), 90, seed=0, epoch=0)
    with torch.autocast("cpu", torch.bfloat16):
        logits = alone(DATA.train.tensor()[chosen])
    assert logits.dtype == torch.bfloat16
    loss = nn.functional.cross_entropy(logits.float(), DATA.train.label_tensor()[chosen])
    loss.backward()
    with torch.no_grad():
        for parameter in alone.parameters():
            assert parameter.grad is not None
            parameter -= 1e-3 * parameter.grad
    assert told.loss[0] == pytest.approx(float(loss.detach()), rel=1e-6)
    for found, expected in zip(model.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert bits(model) != bits(trained({}, {"epochs": 1, "batch_size": 90, "optimizer": "sgd", "seed": 0})[0])


def test_with_bfloat16_what_is_kept_and_recorded_is_float32(tmp_path: Path) -> None:
    seen = set()
    model = small_runs.mlp(hidden=(6,))
    hook = ("layers.0.hook_post", lambda tensor, hook: seen.add((model.training, tensor.dtype)))
    with model.hooks([hook]):
        config = nm.TrainConfig(epochs=1, batch_size=16, precision="bfloat16")
        nm.train(model, DATA, config, observers=[nm.Recorder(tmp_path / "run")])
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    run = nm.Run.open(tmp_path / "run")
    with torch.no_grad():
        _, cache = run.model().run_with_cache(run.probe.tensor())
    recorded = run.activations("layers.0.hook_post")[-1].values
    np.testing.assert_allclose(recorded, cache["layers.0.hook_post"], rtol=1e-6, atol=1e-7)


# --- what train returns -----------------------------------------------------------------------------------------------------


def test_history_holds_a_row_for_every_step_before_its_update() -> None:
    model = small_runs.mlp()
    first = next(iter(batches(len(DATA.train), 16, seed=5, epoch=0)))
    with torch.no_grad():
        logits = model(DATA.train.tensor()[first])
    labels = DATA.train.label_tensor()[first]
    told = nm.train(model, DATA, nm.TrainConfig(epochs=2, batch_size=16, seed=5, schedule="cosine"))
    assert told.status == "finished"
    assert told.step.tolist() == list(range(1, 13))  # 90 images in 5 batches of 16 and one of 10
    assert {told.loss.shape, told.accuracy.shape, told.learning_rate.shape} == {(12,)}
    assert told.loss[0] == pytest.approx(log_loss(labels, torch.softmax(logits.double(), 1)), abs=1e-6)
    assert told.accuracy[0] == accuracy_score(labels, logits.argmax(1))
    assert (told.accuracy[5] * 10) % 1 == pytest.approx(0, abs=1e-9)
    assert told.learning_rate[0] == 1e-3
    assert told.test.loss == nm.evaluate(model, DATA.test).loss


def test_training_for_no_epochs_changes_nothing() -> None:
    model = small_runs.mlp()
    before = bits(model)
    told = nm.train(model, DATA, nm.TrainConfig(epochs=0))
    assert bits(model) == before
    assert told.status == "finished"
    assert len(told.step) == 0


def test_a_population_is_the_same_as_one_training_after_the_other() -> None:
    config = nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), dropout=0.3)
    training = nm.TrainConfig(epochs=1, batch_size=16, seed=99)
    population = nm.train_population(config, DATA, training, seeds=[4, 7])
    assert list(population) == [4, 7]
    for seed, (model, told) in population.items():
        alone = nm.MLP(config, seed=seed)
        told_alone = nm.train(alone, DATA, nm.TrainConfig(epochs=1, batch_size=16, seed=seed))
        assert bits(model) == bits(alone)
        assert told.loss.tobytes() == told_alone.loss.tobytes()


def test_a_populations_seeds_differ() -> None:
    with pytest.raises(DataError, match=r"seeds repeat: \[1, 2, 1\]"):
        nm.train_population(nm.MLPConfig(image_shape=(4, 4), classes=3), DATA, seeds=[1, 2, 1])


# --- observers --------------------------------------------------------------------------------------------------------------


class Telling(Observer):
    """Writes down what it is told."""

    def __init__(self, name: str, log: list[str], fails: str = "") -> None:
        self.name, self.log, self.fails = name, log, fails

    def note(self, event: str) -> None:
        self.log.append(f"{self.name} {event}")
        if event.startswith(self.fails or "nothing"):
            raise OSError("full")

    def started(self, training: Training) -> None:
        self.note("started")

    def before_update(self, training: Training) -> None:
        self.note(f"before {training.step}")

    def stepped(self, training: Training) -> None:
        self.note(f"after {training.step}")

    def stopped(self, training: Training, status: str) -> None:
        self.note(f"stopped: {status}")


ONE_STEP = {"epochs": 1, "batch_size": 1000}


def test_observers_are_told_in_order() -> None:
    log: list[str] = []
    observers = [Telling("a", log), Telling("b", log)]
    nm.train(small_runs.mlp(), DATA, nm.TrainConfig(**ONE_STEP), observers=observers)
    events = ["started", "before 0", "after 1", "stopped: finished"]
    assert log == [f"{name} {event}" for event in events for name in "ab"]


@pytest.mark.parametrize("fails", ["started", "before", "after", "stopped"])
def test_every_observer_hears_of_the_end_once_also_when_one_fails(fails: str) -> None:
    log: list[str] = []
    observers = [Telling("a", log, fails), Telling("b", log)]
    with pytest.raises(OSError, match="full"):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(**ONE_STEP), observers=observers)
    at = {"started": 0, "before": 0, "after": 1}.get(fails)
    status = "finished" if at is None else f"failed at step {at}: OSError: full"
    assert log[-2:] == [f"a stopped: {status}", f"b stopped: {status}"]
    assert sum("stopped" in line for line in log) == 2


def test_a_long_error_becomes_a_short_line() -> None:
    log: list[str] = []

    class Failing(Observer):
        def stepped(self, training: Training) -> None:
            raise ValueError("first line\nsecond line " + "and so on " * 100)

    with pytest.raises(ValueError, match="first line"):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(**ONE_STEP), observers=[Telling("a", log), Failing()])
    assert log[-1].startswith("a stopped: failed at step 1: ValueError: first line second line and so on")
    assert len(log[-1]) < 250


def test_an_interrupt_is_told_and_passed_on() -> None:
    log: list[str] = []

    class Interrupting(Observer):
        def stepped(self, training: Training) -> None:
            if training.step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(), observers=[Telling("a", log), Interrupting()])
    assert log[-1] == "a stopped: interrupted at step 2"


# --- divergence -------------------------------------------------------------------------------------------------------------


class Poisoned(nn.Module):
    """From the fourth forward pass in training on, something is added to its logits."""

    def __init__(self, poison: list[float]) -> None:
        super().__init__()
        self.inner, self.poison, self.passes = small_runs.mlp(), torch.tensor(poison), 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes += self.training
        logits = self.inner(images)
        return logits + self.poison if self.passes >= 4 else logits


@pytest.mark.parametrize(("poison", "loss"), [([0, math.nan, 0], "nan"), ([0, -math.inf, 0], "inf")])
def test_a_loss_that_is_not_finite_stops_the_training(poison: list[float], loss: str) -> None:
    with pytest.warns(UserWarning, match="diverged at step 4: the loss is not finite"):
        told = nm.train(Poisoned(poison), DATA, nm.TrainConfig(epochs=2, batch_size=16))
    assert told.status == "diverged at step 4"
    assert told.step.tolist() == [1, 2, 3, 4]
    assert np.isfinite(told.loss[:3]).all()
    assert str(told.loss[3]) == loss
    if loss == "nan":
        assert told.accuracy[3] == 0  # to argmax a NaN is the highest logit; it is no prediction


def test_a_learning_rate_that_is_too_high_diverges() -> None:
    with pytest.warns(UserWarning, match="A lower learning rate often helps"):
        told = nm.train(small_runs.mlp(), DATA, nm.TrainConfig(optimizer="sgd", learning_rate=1e30, batch_size=16))
    assert told.status.startswith("diverged at step")


# --- learning rate ----------------------------------------------------------------------------------------------------------


def torch_rates(make: Any, steps: int, rate: float = 0.4) -> list[float]:
    """The learning rates of torch's own scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def our_rates(steps: int, **settings: Any) -> list[float]:
    config = nm.TrainConfig(learning_rate=0.4, **settings)
    return [learning_rate(config, step, steps) for step in range(steps)]


def test_cosine_is_torchs_cosine() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=50), 50)
    np.testing.assert_allclose(our_rates(50, schedule="cosine"), expected, rtol=1e-9)


def test_steps_are_torchs_milestones_at_half_and_three_quarters() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [20, 30], gamma=0.1), 40)
    np.testing.assert_allclose(our_rates(40, schedule="step"), expected, rtol=1e-9)


def test_warmup_is_torchs_linear_rise_and_then_the_schedule() -> None:
    def make(optimizer: Any) -> Any:
        rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=9)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[10])

    np.testing.assert_allclose(our_rates(50, schedule="cosine", warmup_steps=10), torch_rates(make, 50), rtol=1e-9)


def test_the_rate_of_the_history_is_the_rate_that_was_used() -> None:
    ours, theirs = small_runs.mlp(), small_runs.mlp()
    config = nm.TrainConfig(epochs=1, batch_size=16, optimizer="sgd", learning_rate=0.4, schedule="cosine")
    told = nm.train(ours, DATA, config)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    for batch, rate in zip(batches(90, 16, seed=0, epoch=0), told.learning_rate, strict=True):
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        plain_loop(theirs, optimizer, iter([batch]))
        scheduler.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=0, atol=1e-6)


@given(
    schedule=st.sampled_from(["constant", "cosine", "step"]),
    total=st.integers(1, 5000),
    warmup=st.integers(0, 6000),
    data=st.data(),
)
def test_the_rate_lies_between_zero_and_its_peak(schedule: Any, total: int, warmup: int, data: Any) -> None:
    config = nm.TrainConfig(learning_rate=0.3, schedule=schedule, warmup_steps=warmup)
    step = data.draw(st.integers(0, total - 1))
    assert 0 <= learning_rate(config, step, total) <= 0.3


# --- label noise ------------------------------------------------------------------------------------------------------------


def test_label_noise_replaces_its_share_uniformly() -> None:
    n, classes, share = 20_000, 5, 0.4
    images = ImageSet(np.zeros((n, 1, 1), np.uint8), np.zeros(n, np.int64), classes)
    labels = noisy_labels(images, nm.TrainConfig(label_noise=share, seed=1)).numpy()
    counts = np.bincount(labels, minlength=classes)
    expected = np.array([1 - share + share / classes, *[share / classes] * (classes - 1)])
    errors = (counts / n - expected) / np.sqrt(expected * (1 - expected) / n)
    assert np.abs(errors).max() < 4  # standard errors


def test_label_noise_of_zero_and_one() -> None:
    images = small_runs.images(600, 0)
    assert noisy_labels(images, nm.TrainConfig(label_noise=0)).tolist() == images.labels.tolist()
    all_new = noisy_labels(images, nm.TrainConfig(label_noise=1)).numpy()
    assert 0.25 < (all_new == images.labels).mean() < 0.42  # one in three by chance


def test_label_noise_is_the_seeds_and_holds_for_the_whole_run() -> None:
    images = DATA.train
    once = noisy_labels(images, nm.TrainConfig(label_noise=0.5, seed=1))
    assert torch.equal(once, noisy_labels(images, nm.TrainConfig(label_noise=0.5, seed=1)))
    assert not torch.equal(once, noisy_labels(images, nm.TrainConfig(label_noise=0.5, seed=2)))
    ours, theirs = small_runs.mlp(), small_runs.mlp()
    config = nm.TrainConfig(epochs=3, batch_size=16, optimizer="sgd", learning_rate=0.05, label_noise=0.5, seed=1)
    nm.train(ours, DATA, config)
    plain_loop(theirs, torch.optim.SGD(theirs.parameters(), lr=0.05), default_order(3, 16, 1), labels=once)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=0, atol=1e-6)


# --- evaluate ---------------------------------------------------------------------------------------------------------------


def test_evaluate_agrees_with_scikit_learn() -> None:
    model, test = small_runs.mlp(), small_runs.images(200, 4)
    found = nm.evaluate(model, test, batch_size=33)
    with torch.no_grad():
        logits = model(test.tensor())
    np.testing.assert_allclose(found.logits, logits, atol=1e-6)
    probabilities = torch.softmax(logits.double(), 1).numpy()
    assert found.loss == pytest.approx(log_loss(test.labels, probabilities), abs=1e-6)
    assert found.accuracy == pytest.approx(accuracy_score(test.labels, probabilities.argmax(1)), abs=1e-12)
    recalls = recall_score(test.labels, probabilities.argmax(1), average=None, zero_division=0)
    np.testing.assert_allclose(found.accuracy_by_class, recalls, atol=1e-12)
    assert found.predictions.tolist() == probabilities.argmax(1).tolist()


def test_a_class_without_images_has_no_accuracy() -> None:
    test = small_runs.images(30, 0)
    some = test.subset(test.labels != 1)
    found = nm.evaluate(small_runs.mlp(), some)
    assert np.isnan(found.accuracy_by_class).tolist() == [False, True, False]


def test_an_image_whose_logits_hold_nan_counts_as_wrong() -> None:
    model = small_runs.mlp()
    with torch.no_grad():
        model.output.bias[0] = math.nan
    found = nm.evaluate(model, DATA.test)
    assert found.accuracy == 0
    assert found.accuracy_by_class.tolist() == [0, 0, 0]
    assert math.isnan(found.loss)


@pytest.mark.parametrize("shape", [(200, 5), (6, 5, 40)])
def test_of_equal_logits_the_first_class_is_the_prediction_and_nan_is_none(shape: tuple[int, ...]) -> None:
    """Against NumPy's argmax, on logits with many ties, for one network and for several."""
    rng = np.random.default_rng(0)
    logits = rng.integers(-1, 2, shape).astype(np.float32)
    logits[rng.random(shape) < 0.03] = np.nan
    labels = rng.integers(5, size=(shape[0], *shape[2:]))
    expected = (np.nan_to_num(logits, nan=-9).argmax(1) == labels) & ~np.isnan(logits).any(1)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(right(torch.from_numpy(logits), torch.from_numpy(labels)), expected)


def test_evaluate_leaves_modes_and_gradients_alone() -> None:
    model = small_runs.mlp(dropout=0.5, norm="batch")
    model.layers[0].train()
    model.layers[0].norm.eval()
    before, modes = bits(model), [module.training for module in model.modules()]
    found = nm.evaluate(model, DATA.test)
    assert [module.training for module in model.modules()] == modes
    assert bits(model) == before
    assert not found.logits.requires_grad
    assert torch.equal(found.logits, nm.evaluate(model, DATA.test).logits)  # dropout is off


# --- mistakes ---------------------------------------------------------------------------------------------------------------


def test_a_model_that_does_not_fit_the_data_is_an_error_that_says_how_to_fit() -> None:
    with pytest.raises(DataError, match="Set classes=3"):
        nm.train(small_runs.mlp(classes=4), DATA)
    with pytest.raises(DataError, match=r"Set image_shape=\(4, 4\)"):
        nm.train(small_runs.mlp(image_shape=(5, 5)), DATA)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"optimizer": "rmsprop"}, "one of sgd, adam, adamw"),
        ({"schedule": "linear"}, "one of constant, cosine, step"),
        ({"precision": "float16"}, "one of float32, bfloat16"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": -1.0}, "learning_rate is -1"),
        ({"momentum": 0.9}, "only sgd uses momentum"),
        ({"label_noise": 1.5}, "label_noise is 1.5"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        nm.TrainConfig(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match="device is 'cuda', but PyTorch has only"):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(device="cuda"))


def test_images_and_labels_are_left_as_they_were() -> None:
    data = Dataset("copy", small_runs.images(90, 0), small_runs.images(30, 1))
    before = data.sha256
    nm.train(small_runs.mlp(), data, nm.TrainConfig(epochs=1, label_noise=0.9))
    assert data.sha256 == before
