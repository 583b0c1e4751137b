"""The same numbers on another device: networks, caches, populations, interventions. On the CPU always, on a GPU where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope import devices

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


# --- devices by any name, weights of any width ------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [torch.device("cpu"), "CPU", "auto", "cpu:0"])
def test_a_device_is_taken_by_any_of_its_names_and_kept_as_one_that_resumes(asked: Any, tmp_path: Path) -> None:
    config = nm.TrainConfig(epochs=1, device=asked)
    assert nm.config.from_json(json.loads(json.dumps(nm.config.to_json(config)))) == config
    nm.train(network(MLP), DATA, config, observers=[nm.Recorder(tmp_path / "run", small_runs.RECORD)])
    there = {"auto": devices.here()[0], "cpu:0": "cpu:0"}.get(str(asked), "cpu")
    assert nm.Run.open(tmp_path / "run").train_config.device == there
    nm.train_population(MLP, DATA, config, seeds=[0, 1], order="shared")


@pytest.mark.parametrize("asked", ["cuda", "cuda:99", "mps", "gpu", "xpu", torch.device("cuda", 99)])
def test_a_device_that_is_not_here_is_one_error_that_lists_what_is(asked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(devices, "here", lambda: ["cpu"])
    config = nm.TrainConfig(epochs=1, device=asked)
    for start in (
        lambda: nm.train(network(MLP), DATA, config),
        lambda: nm.train_population(MLP, DATA, config, seeds=[0, 1], order="shared"),
    ):
        with pytest.raises(nm.config.ConfigError, match=r"but PyTorch has only cpu here; 'auto' selects cpu"):
            start()


@pytest.mark.parametrize("asked", ["tpu", "cuda:x", "", None, 0, torch.device("meta")])
def test_what_is_no_device_is_an_error_of_the_config(asked: Any) -> None:
    with pytest.raises(nm.config.ConfigError, match="it must be auto, gpu, cpu, cuda, mps or xpu"):
        nm.TrainConfig(device=asked)


def test_auto_and_gpu_take_the_fastest_that_is_there(monkeypatch: Any) -> None:
    monkeypatch.setattr(devices, "here", lambda: ["cuda", "cuda:1", "cpu"])
    assert [devices.placed(name) for name in ("auto", "gpu", "cuda:1", "cuda:0", "cpu")] == [
        "cuda",
        "cuda",
        "cuda:1",
        "cuda:0",
        "cpu",
    ]


WIDTHS = [torch.float64, torch.bfloat16]


@pytest.mark.parametrize("config", [MLP, CNN])
@pytest.mark.parametrize("width", WIDTHS)
def test_weights_of_other_widths_are_trained_recorded_and_read(config: Any, width: torch.dtype, tmp_path: Path) -> None:
    model = network(config).to(width)
    recorder = nm.Recorder(tmp_path / "run", small_runs.RECORD)
    nm.train(model, DATA, nm.TrainConfig(**TRAINING), observers=[recorder])
    assert {p.dtype for p in model.parameters()} == {width}
    run, seen = nm.Run.open(tmp_path / "run"), nm.activations(model, DATA.test)
    assert run.weights()["output.weight"].dtype == width
    wide = {torch.float64: "float64", torch.bfloat16: "float32"}[width]
    assert {seen["logits"].dtype, run.activations("logits").dtype} == {np.dtype(wide)}


def test_a_half_network_is_read_and_scored_but_not_trained() -> None:
    model = network(MLP).half()
    assert nm.activations(model, DATA.test)["logits"].dtype == np.float16
    whole = network(MLP)
    assert nm.evaluate(model, DATA.test).loss == pytest.approx(nm.evaluate(whole, DATA.test).loss, rel=1e-2)
    with pytest.raises(
        nm.errors.DataError, match=r"MLP are float16, in which steps of training vanish: train model.float"
    ):
        nm.train(model, DATA)


@pytest.mark.parametrize("order", ["own", "shared"])
def test_torchs_default_width_is_the_callers(order: Any) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        both = nm.train_population(MLP, DATA, nm.TrainConfig(epochs=1), seeds=[0, 1], order=order)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for model, _ in both.values() for p in model.parameters()} == {torch.float64}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_inside_a_mode_without_gradients_learns_the_same(mode: Any) -> None:
    plain, inside = network(MLP), network(MLP)
    nm.train(plain, DATA, nm.TrainConfig(epochs=1))
    with mode():
        nm.train(inside, DATA, nm.TrainConfig(epochs=1))
        assert not torch.is_grad_enabled()
    close(inside, plain, 0)


def test_what_can_not_learn_is_said() -> None:
    with torch.inference_mode():
        made_inside = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    frozen = network(MLP).requires_grad_(False)
    for model, words in ((made_inside, "created in torch.inference_mode"), (frozen, "none has requires_grad")):
        with pytest.raises(nm.errors.DataError, match=words):
            nm.train(model, DATA)
