"""Networks trained together are those that the plain loop makes one after the other, up to rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.errors import DataError, RunError, UnknownName
from neural_microscope.models import build
from neural_microscope.run import RunWriter
from neural_microscope.training import Observer, Training
from neural_microscope.training.mapped import mapped
from neural_microscope.training.population import way
from neural_microscope.training.stacked import stacked
from neural_microscope.training.together import GROUP, Batch, Stack, Step, train_together

DATA = small_runs.data()
CONFIG = nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7, 5))


def worst(a: nn.Module, b: nn.Module) -> float:
    return max(float((p - q).detach().abs().max()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("step_of", [stacked, mapped])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("hidden", [(), (6,), (7, 5)])
def test_gradients_are_those_of_autograd(
    step_of: Callable[[Stack], Step], activation: str, bias: bool, hidden: tuple[int, ...]
) -> None:
    config = nm.MLPConfig(
        image_shape=(4, 4), classes=3, hidden=hidden, activation=activation, bias=bias, pixel_mean=0.2, pixel_std=0.5
    )
    compare(config, step_of)


@pytest.mark.parametrize(
    "config",
    [
        nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7, 5), norm="layer"),
        nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,)),
        nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), pool="average", norm="layer", head=()),
    ],
)
def test_gradients_of_the_general_way_are_those_of_autograd(config: nm.MLPConfig | nm.CNNConfig) -> None:
    compare(config, mapped)


def compare(config: nm.MLPConfig | nm.CNNConfig, step_of: Callable[[Stack], Step]) -> None:
    generator = torch.Generator().manual_seed(0)
    shared, own = (torch.rand(*n, 11, 1, 4, 4, dtype=torch.float64, generator=generator) for n in ((), (3,)))
    labels = torch.arange(11) % 3
    others = torch.stack([(labels + number) % 3 for number in range(3)])
    weights = torch.rand(3, 11, dtype=torch.float64, generator=generator).round(decimals=1)
    for batch in (
        Batch(shared, labels),
        Batch(own, others, None, own=True),
        Batch(own, others, weights, own=True),
        Batch(shared, others, weights),
    ):
        together = [build(config, seed).double() for seed in (0, 1, 2)]
        losses, rights = step_of(Stack(together))(batch)
        for number, model in enumerate(together):
            alone = build(config, number).double()
            logits = alone(batch.images[number] if batch.own else batch.images)
            of = batch.labels[number] if batch.labels.ndim == 2 else batch.labels
            given = torch.ones(3, 11, dtype=torch.float64) if batch.weights is None else batch.weights
            part = given[number] / given[number].sum()
            loss = (nn.functional.cross_entropy(logits, of, reduction="none") * part).sum()
            loss.backward()
            assert float(losses[number]) == pytest.approx(float(loss.detach()), rel=1e-12)
            hits = float(((logits.argmax(1) == of) * part).sum())
            assert float(rights[number]) == pytest.approx(hits, rel=1e-6)
            for found, expected in zip(model.parameters(), alone.parameters(), strict=True):
                torch.testing.assert_close(found.grad, expected.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_steps": 2},
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        {"optimizer": "adam", "label_noise": 0.5},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_each_network_is_the_one_that_the_plain_loop_makes(norm: Any, settings: dict[str, Any]) -> None:
    training, config = nm.TrainConfig(epochs=3, batch_size=16, seed=5, **settings), replace(CONFIG, norm=norm)
    assert way(config, training) == {"none": stacked, "layer": mapped}[norm]
    population = nm.train_population(config, DATA, training, seeds=[4, 7, 9], order="shared")
    assert list(population) == [4, 7, 9]
    for seed, (model, told) in population.items():
        alone = nm.MLP(config, seed=seed)
        told_alone = nm.train(alone, DATA, training)
        assert worst(model, alone) < 1e-4
        np.testing.assert_allclose(told.loss, told_alone.loss, rtol=1e-4)
        np.testing.assert_allclose(told.accuracy, told_alone.accuracy, atol=1e-6)
        np.testing.assert_array_equal(told.learning_rate, told_alone.learning_rate)
        assert told.status == "finished"
        assert all(parameter.is_contiguous() for parameter in model.parameters())


def test_more_than_a_group_are_trained_in_groups() -> None:
    seeds = list(range(GROUP + 2))
    population = nm.train_population(CONFIG, DATA, nm.TrainConfig(epochs=1, batch_size=32), seeds=seeds, order="shared")
    assert list(population) == seeds
    alone = nm.MLP(CONFIG, seed=GROUP + 1)
    nm.train(alone, DATA, nm.TrainConfig(epochs=1, batch_size=32))
    assert worst(population[GROUP + 1][0], alone) < 1e-4


@pytest.mark.parametrize(
    "config",
    [
        nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), dropout=0.3),
        nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), norm="batch"),
        nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), head=()),
    ],
)
def test_what_can_not_be_trained_together_is_trained_by_the_plain_loop(config: nm.MLPConfig | nm.CNNConfig) -> None:
    training = nm.TrainConfig(epochs=1, batch_size=16, seed=3)
    assert way(config, training) is None
    assert way(CONFIG, replace(training, precision="bfloat16")) is None
    for seed, (model, _) in nm.train_population(config, DATA, training, seeds=[0, 1], order="shared").items():
        alone = nm.CNN(config, seed=seed) if isinstance(config, nm.CNNConfig) else nm.MLP(config, seed=seed)
        nm.train(alone, DATA, training)
        assert worst(model, alone) == 0


def test_cnns_are_trained_together_where_that_pays() -> None:
    config = nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,))
    assert way(config, nm.TrainConfig(device="cuda")) == mapped  # and here on the CPU, to compare
    training = nm.TrainConfig(epochs=2, batch_size=16, seed=5)
    models = [build(config, seed) for seed in (0, 1)]
    train_together(models, DATA, training, [[], []], mapped)
    for seed, model in enumerate(models):
        alone = build(config, seed)
        nm.train(alone, DATA, training)
        assert worst(model, alone) < 1e-4


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(UnknownName, match="no order 'same'; there are: own, shared"):
        nm.train_population(CONFIG, DATA, seeds=[0], order="same")  # type: ignore[arg-type]


def recorded(folder: Path, training: nm.TrainConfig, seeds: list[int]) -> list[nm.Run]:
    nm.train_population(
        CONFIG, DATA, training, seeds=seeds, order="shared", observers=lambda seed: [nm.Recorder(folder / str(seed))]
    )
    return [nm.Run.open(folder / str(seed)) for seed in seeds]


def test_it_is_recorded_as_ordinary_runs(tmp_path: Path) -> None:
    training = nm.TrainConfig(epochs=2, batch_size=16, seed=5)
    for run, seed in zip(recorded(tmp_path, training, [1, 2]), (1, 2), strict=True):
        nm.train(nm.MLP(CONFIG, seed=seed), DATA, training, observers=[nm.Recorder(tmp_path / f"alone{seed}")])
        alone = nm.Run.open(tmp_path / f"alone{seed}")
        assert run.status == "finished"
        assert run.verify() == []
        assert run.steps == alone.steps
        assert run.description["model"]["seed"] == seed
        assert run.train_config == alone.train_config
        for name in ("layers.1.hook_post", "logits"):
            np.testing.assert_allclose(run.activations(name), alone.activations(name), atol=1e-4)
        np.testing.assert_allclose(run.gradients["grad_norm"], alone.gradients["grad_norm"], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(run.gradients["update_ratio"], alone.gradients["update_ratio"], rtol=1e-2, atol=1e-6)
        assert worst(run.model(), alone.model()) < 1e-4


class Stopping(Observer):
    def __init__(self, at: int) -> None:
        self.at, self.heard = at, []

    def stepped(self, training: Training) -> None:
        if training.step == self.at:
            raise KeyboardInterrupt

    def stopped(self, training: Training, status: str) -> None:
        self.heard.append(status)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_an_interrupted_population_resumes_network_by_network_to_the_same_bits(
    tmp_path: Path, norm: Any, optimizer: Any
) -> None:
    network = replace(CONFIG, norm=norm)
    training = nm.TrainConfig(epochs=2, batch_size=16, seed=5, optimizer=optimizer, learning_rate=0.02)
    seeds, at = [3, 1, 2], {"whole": 10**9, "stopped": 7}

    def watching(name: str, seed: int) -> list[Observer]:
        return [nm.Recorder(tmp_path / f"{name} {seed}"), Stopping(at[name] if seed == 1 else 10**9)]

    nm.train_population(network, DATA, training, seeds=seeds, order="shared", observers=partial(watching, "whole"))
    with pytest.raises(KeyboardInterrupt):
        nm.train_population(
            network, DATA, training, seeds=seeds, order="shared", observers=partial(watching, "stopped")
        )
    for number, seed in enumerate(seeds):
        folder = tmp_path / f"stopped {seed}"
        run = nm.Run.open(folder)
        assert run.status.startswith("interrupted at step")
        assert run.description["together"] == {"number": number, "of": 3}
        history = nm.resume(folder, data=DATA)
        assert history.step[0] == run.steps[-1] + 1
        assert nm.Run.open(folder).verify() == []
        assert small_runs.contents(folder) == small_runs.contents(tmp_path / f"whole {seed}")


def test_one_of_a_population_that_was_killed_before_its_first_snapshot_starts_over_in_its_place(tmp_path: Path) -> None:
    training = nm.TrainConfig(epochs=1, batch_size=16, seed=5)
    recorded(tmp_path / "whole", training, [1, 2])
    with mock.patch.object(RunWriter, "snapshot", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        recorded(tmp_path / "stopped", training, [1, 2])
    nm.resume(tmp_path / "stopped" / "1", data=DATA)
    assert small_runs.contents(tmp_path / "stopped" / "1") == small_runs.contents(tmp_path / "whole" / "1")


@pytest.mark.parametrize("order", ["own", "shared"])
def test_what_can_not_be_written_is_found_before_the_first_network_is_trained(tmp_path: Path, order: Any) -> None:
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "thesis.txt").write_text("mine")
    places = {"occupied": str, "a file": lambda seed: "1" if seed == 1 else "2/thesis.txt", "twice": lambda _: "same"}
    for named in places.values():
        with pytest.raises((RunError, DataError), match=r"thesis\.txt|recorded into"):
            nm.train_population(
                CONFIG, DATA, nm.TrainConfig(epochs=1), seeds=[1, 2], order=order,
                observers=lambda seed, named=named: [nm.Recorder(tmp_path / named(seed)), Stopping(1)],
            )  # fmt: skip
    assert not list(tmp_path.rglob("run.json"))


class Poison(Observer):
    """Makes one network's loss infinite from its third step on."""

    def stepped(self, training: Training) -> None:
        if training.step == 2:
            with torch.no_grad():
                training.model.output.weight[0, 0] = float("nan")


def test_a_network_that_diverges_stops_alone() -> None:
    training, stopping = nm.TrainConfig(epochs=1, batch_size=16), Stopping(10**9)
    with pytest.warns(UserWarning, match="training of seed 1 diverged at step 3"):
        population = nm.train_population(
            CONFIG, DATA, training, seeds=[0, 1, 2], order="shared",
            observers=lambda seed: [Poison(), stopping] if seed == 1 else [],
        )  # fmt: skip
    assert population[1][1].status == "diverged at step 3"
    assert stopping.heard == ["diverged at step 3"]
    assert len(population[1][1].loss) == 3
    for seed in (0, 2):
        alone = nm.MLP(CONFIG, seed=seed)
        nm.train(alone, DATA, training)
        assert population[seed][1].status == "finished"
        assert worst(population[seed][0], alone) < 1e-4


def test_observers_may_use_autograd() -> None:
    class Curious(Observer):
        def stepped(self, training: Training) -> None:
            assert torch.is_grad_enabled()
            assert training.model(DATA.test.tensor()).requires_grad

    nm.train_population(
        CONFIG, DATA, nm.TrainConfig(epochs=1), seeds=[0, 1], order="shared", observers=lambda seed: [Curious()]
    )
