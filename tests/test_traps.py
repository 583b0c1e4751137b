"""A silent trap in a network raises one warning when training starts, and only then."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
import small_runs

DATA = small_runs.data()


class Then(nn.Module):
    """A small network after which a function, or a module, is called."""

    def __init__(self, last: Callable[[Tensor], Tensor], hidden: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.first, self.out = nn.Linear(16, 6), nn.Linear(6, 3)
        self.hidden, self.last = hidden, last

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.out(self.hidden(self.first(images.flatten(1)))))


class Stuck(nn.Dropout):
    """Stays in training mode."""

    def train(self, mode: bool = True) -> Any:
        return super().train(True)


def same(x: Tensor) -> Tensor:
    return x


def dropped(x: Tensor) -> Tensor:
    return nn.functional.dropout(x, 0.5)


def of_the_batch(x: Tensor) -> Tensor:
    return nn.functional.batch_norm(x, None, None, training=True)


TRAPS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a softmax module": (lambda: Then(nn.Softmax(1)), r"module 'last' \(Softmax\) gives probabilities"),
    "a functional softmax": (lambda: Then(lambda x: x.softmax(1)), r"the forward pass of Then gives probabilities"),
    "a log-softmax": (lambda: Then(nn.LogSoftmax(1)), r"module 'last' \(LogSoftmax\) gives log-probabilities"),
    "functional dropout": (lambda: Then(same, dropped), r"module 'out' \(Linear\) gives different outputs each time"),
    "a stuck dropout": (lambda: Then(same, Stuck()), r"module 'hidden' \(Stuck\) gives different outputs each time"),
    "batch norm without averages": (
        lambda: Then(same, nn.BatchNorm1d(6, track_running_stats=False)),
        r"module 'hidden' \(BatchNorm1d\) gives an image different outputs in",
    ),
    "functional batch norm": (
        lambda: Then(same, of_the_batch),
        r"module 'out' \(Linear\) gives an image different outputs in",
    ),
}
SOUND: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: Then(same),
    "dropout": lambda: Then(same, nn.Dropout(0.5)),
    "batch norm": lambda: Then(same, nn.BatchNorm1d(6)),
    "layer norm": lambda: Then(nn.LayerNorm(3)),
    "softmax inside": lambda: Then(same, nn.Softmax(1)),
    "sigmoid": lambda: Then(nn.Sigmoid()),
    "double": lambda: Then(same, nn.Dropout(0.5)).double(),
    "bfloat16": lambda: Then(same, nn.BatchNorm1d(6)).bfloat16(),
    "ours": lambda: small_runs.mlp(norm="batch", dropout=0.3),
}


def said(model: nn.Module, folder: Path) -> list[str]:
    """The warnings about a recorded training, at the caller's own line."""
    recorder = nm.Recorder(folder / "run", small_runs.RECORD)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        nm.train(model, DATA, nm.TrainConfig(epochs=1, batch_size=45), observers=[recorder])
    assert {Path(one.filename).name for one in told} <= {Path(__file__).name}
    return [str(one.message) for one in told]


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_said_once_by_the_name_of_its_module(name: str, tmp_path: Path) -> None:
    make, words = TRAPS[name]
    torch.manual_seed(0)
    (line,) = said(make(), tmp_path)
    assert re.match(words, line)


@pytest.mark.parametrize("name", SOUND)
def test_of_a_sound_network_nothing_is_said(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert said(SOUND[name](), tmp_path) == []


@pytest.mark.parametrize("name", ["plain", "batch norm", "dropout"])
def test_looking_for_traps_changes_nothing_that_is_learned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = SOUND[name]()
        nm.train(model, DATA, nm.TrainConfig(epochs=1, batch_size=30))
        return model.state_dict()

    looked = trained()
    monkeypatch.setattr(nm.training.loop, "traps", lambda *_, **__: [])
    for key, tensor in trained().items():
        assert torch.equal(looked[key], tensor)


def test_what_writes_its_buffers_in_evaluation_mode_keeps_them() -> None:
    class Counting(Then):
        def __init__(self) -> None:
            super().__init__(same)
            self.register_buffer("count", torch.zeros(()))

        def forward(self, images: Tensor) -> Tensor:
            self.count += 1
            return super().forward(images)

    model = Counting()
    assert nm.training.traps.traps(model, DATA.test.tensor()[:8]) == []
    assert model.count == 0


def test_a_network_that_fails_fails_where_it_did() -> None:
    model = Then(lambda x: x @ torch.ones(7, 7))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        nm.train(model, DATA, nm.TrainConfig(epochs=1))
