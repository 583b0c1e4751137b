"""The same numbers on another device: networks, caches, populations, interventions. On the CPU always, on a GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neural_microscope as nm
import small_runs

DATA = small_runs.data()
CNN = nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(4,), head=(5,))
MLP = nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7, 5))
TRAINING: dict[str, Any] = {"epochs": 2, "batch_size": 16}
NAME = "layers.0.hook_post"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU here")
    return request.param


def network(config: nm.MLPConfig | nm.CNNConfig, seed: int = 0) -> Any:
    return nm.CNN(config, seed) if isinstance(config, nm.CNNConfig) else nm.MLP(config, seed)


def close(a: nn.Module, b: nn.Module, tolerance: float) -> None:
    for one, other in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(one.cpu(), other.cpu(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("config", [MLP, CNN])
def test_a_run_is_recorded_stopped_and_resumed(config: Any, device: str, tmp_path: Path) -> None:
    class Stopping(nm.training.Observer):
        def stepped(self, training: nm.training.Training) -> None:
            if training.step == 7:
                raise KeyboardInterrupt

    on_cpu, here = network(config), network(config)
    nm.train(on_cpu, DATA, nm.TrainConfig(**TRAINING))
    settings = nm.TrainConfig(**TRAINING, device=device)
    with pytest.raises(KeyboardInterrupt):
        nm.train(here, DATA, settings, observers=[nm.Recorder(tmp_path / "run"), Stopping()])
    nm.resume(tmp_path / "run", data=DATA)
    run = nm.Run.open(tmp_path / "run")
    assert run.status == "finished"
    assert run.verify() == []
    close(run.model(), on_cpu, 1e-3)
    assert next(run.model().parameters()).device.type == "cpu"


@pytest.mark.parametrize("config", [MLP, nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), norm="layer"), CNN])
def test_seeds_together_are_those_of_the_plain_loop(config: Any, device: str) -> None:
    settings = nm.TrainConfig(**TRAINING, device=device)
    for seed, (model, _) in nm.train_population(config, DATA, settings, seeds=[3, 4], order="shared").items():
        assert next(model.parameters()).device.type == device
        alone = network(config, seed)
        nm.train(alone, DATA, settings)
        close(model, alone, 1e-3)


def test_bfloat16_trains(device: str) -> None:
    model = network(CNN)
    told = nm.train(model, DATA, nm.TrainConfig(epochs=10, batch_size=16, precision="bfloat16", device=device))
    assert told.loss[-1] < told.loss[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("config", [MLP, CNN])
def test_activations_and_caches_are_the_same(config: Any, device: str) -> None:
    on_cpu, here = network(config), network(config).to(device)
    for name, expected in nm.activations(on_cpu, DATA.test).items():
        np.testing.assert_allclose(nm.activations(here, DATA.test)[name], expected, rtol=1e-4, atol=1e-5)
    images = DATA.test.tensor().to(device)
    _, cache = here.run_with_cache(images)
    assert {tensor.device.type for tensor in cache.values()} == {device}
    _, cache = here.run_with_cache(images, device="cpu")
    assert {tensor.device.type for tensor in cache.values()} == {"cpu"}


@pytest.mark.parametrize("config", [MLP, CNN])
def test_measures_that_run_the_network_give_the_same(config: Any, device: str) -> None:
    on_cpu, here = network(config), network(config).to(device)
    causal, attribution = nm.analysis.causal, nm.analysis.attribution
    for measure in (
        lambda model: causal.ablate_all(model, DATA.test, NAME, draws=20)["loss_change"],
        lambda model: causal.dose_response(model, DATA.test, NAME, 0, draws=2)["logits"],
        lambda model: causal.cumulative_ablation(
            model, DATA.test, [NAME], {"first": np.arange(network(config).layers[0].weights.weight.shape[0])}, draws=2
        )["random_accuracy"],
        lambda model: attribution.integrated_gradients(model, DATA.test, steps=8)["attribution"],
        lambda model: attribution.occlusion(model, DATA.test, patch=2)["attribution"],
    ):
        np.testing.assert_allclose(measure(here), measure(on_cpu), rtol=1e-3, atol=1e-5)
