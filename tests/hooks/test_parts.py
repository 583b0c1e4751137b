"""Parts of outputs that are tuples, dicts and dataclasses, and inputs of modules: read, changed, recorded, by name."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.errors import HookError, UnknownName

X = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
Pair = namedtuple("Pair", "first second")


@dataclass
class Answer:
    logits: Tensor
    extra: Any = None


class Kinds(nn.Module):
    """Gives its input in a container, and what a container of its input says."""

    def __init__(self, make: Any, take: Any) -> None:
        super().__init__()
        self.make, self.take, self.inner = make, take, Inner(make)

    def forward(self, x: Tensor) -> Tensor:
        return self.take(self.inner(x))


class Inner(nn.Module):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor, *rest: Tensor) -> Any:
        return self.make(x)


CONTAINERS = {
    "tuple": (lambda x: (x, 2 * x), lambda out: out[0] + out[1], "1"),
    "list": (lambda x: [x, 2 * x], lambda out: out[0] + out[1], "1"),
    "named": (lambda x: Pair(x, 2 * x), lambda out: out.first + out.second, "second"),
    "dict": (lambda x: {"a": x, "b.c": 2 * x, "n": 3}, lambda out: out["a"] + out["b.c"], "b.c"),
    "dataclass": (lambda x: Answer(x, Answer(2 * x)), lambda out: out.logits + out.extra.logits, "extra.logits"),
    "nested": (lambda x: (x, [{"a": (2 * x,)}], None), lambda out: out[0] + out[1][0]["a"][0], "1.0.a.0"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_part_is_read_and_changed(kind: str) -> None:
    make, take, part = CONTAINERS[kind]
    lens = nm.hooked(Kinds(make, take))
    name = f"inner.hook_out.{part}"
    output, cache = lens.run_with_cache(X)
    assert cache[name].equal(2 * X)
    assert lens.run_with_cache(X, names_filter=name)[1][name].equal(2 * X)
    assert lens.run_with_hooks(X, stop_at=name).equal(2 * X)
    seen = []

    def double(tensor: Tensor, hook: Any) -> Tensor:
        seen.append(hook.name)
        return 2 * tensor

    assert lens.run_with_hooks(X, fwd_hooks=[(name, double)]).equal(X + 4 * X)
    assert seen == [name]
    assert lens(X).equal(output)


def test_gradients_of_a_part() -> None:
    make, take, _ = CONTAINERS["tuple"]
    lens = nm.hooked(Kinds(make, take))
    loss = lambda out: (out**2).sum()  # noqa: E731
    _, cache = lens.run_with_cache(X, names_filter="inner.hook_out.1", incl_bwd=True, loss=loss)
    assert cache["inner.hook_out.1_grad"].allclose(6 * X)


def test_a_recurrent_layer() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 3, batch_first=True)
    lens = nm.hooked(lstm)
    (output, (hidden, cell)), cache = lens.run_with_cache(X)
    assert list(cache) == ["hook_out.0", "hook_out.1.0", "hook_out.1.1"]
    assert [tensor.equal(cache[name]) for name, tensor in zip(cache, (output, hidden, cell), strict=True)] == [True] * 3
    assert nm.activations(lstm, X, "hook_out.0")["hook_out.0"].shape == (6, 5, 3)


def test_attention_weights() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, average_attn_weights=False)[0].mean(1)

    lens = nm.hooked(Mean())
    _, cache = lens.run_with_cache(X)
    assert cache["attention.hook_out.1"].equal(attention(X, X, X, average_attn_weights=False)[1])
    assert cache["attention.hook_out.1"].sum(-1).allclose(torch.ones(6, 2, 5))


def test_inputs_have_names() -> None:
    inner = nn.Linear(4, 4)

    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.both = inner, Inner(lambda x: x)

        def forward(self, x: Tensor) -> Tensor:
            return self.both(self.inner(x + 1), x)

    lens = nm.hooked(Shifted())
    names = ["inner.hook_in", "both.hook_in.1", "both.hook_in"]
    cache = lens.run_with_cache(X, names_filter=names)[1]
    assert cache["inner.hook_in"].equal(X + 1)
    assert cache["both.hook_in.1"].equal(X)
    assert cache["both.hook_in"].equal(inner(X + 1))
    tripled = lens.run_with_hooks(X, fwd_hooks=[("inner.hook_in", lambda tensor, hook: 3 * tensor)])
    assert tripled.equal(inner(3 * (X + 1)))
    assert lens(X).equal(inner(X + 1))
    assert not inner._forward_pre_hooks


def test_a_layer_that_runs_several_times() -> None:
    shared = nn.LSTM(4, 4, batch_first=True)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = shared

        def forward(self, x: Tensor) -> Tensor:
            return self.shared(self.shared(x)[0])[0]

    lens = nm.hooked(Twice())
    cache = lens.run_with_cache(X)[1]
    assert cache["shared.hook_out.0@1"].equal(lens(X))
    assert lens.run_with_cache(X, names_filter="shared.hook_out.0@1")[1]["shared.hook_out.0@1"].equal(lens(X))


def test_parts_that_are_not_there_say_which_are() -> None:
    lens = nm.hooked(Kinds(*CONTAINERS["dict"][:2]))
    with pytest.raises(HookError, match=r"'inner\.hook_out\.d'.*it holds a, b\.c"):
        lens.run_with_cache(X, names_filter="inner.hook_out.d")
    with pytest.raises(HookError, match=r"saw a dict, not a tensor: name a part of it: inner\.hook_out\.a"):
        lens.run_with_cache(X, names_filter="inner.hook_out")
    for wrong in ("iner.hook_out.a", "iner.hook_in", "inner.hook_ot"):
        with pytest.raises(UnknownName):
            lens.run_with_cache(X, names_filter=wrong)


def test_parts_are_recorded(tmp_path: Path) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(8, 5, batch_first=True), nn.Linear(5, 10)

        def forward(self, images: Tensor) -> Tensor:
            return self.out(self.lstm(images.squeeze(1))[0][:, -1])

    digits, model = nm.data.load("digits"), Reader()
    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, probe_size=200))
    nm.train(model, digits, nm.TrainConfig(epochs=1), observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    parts = ["lstm.hook_out.0", "lstm.hook_out.1.0", "lstm.hook_out.1.1"]
    assert run.hook_points == [*parts, "out.hook_out", "hook_out"]
    with torch.no_grad():
        states, (hidden, cell) = model.lstm(run.probe.tensor().squeeze(1))
    for name, right in zip(parts, (states.mean(1), hidden[0], cell[0]), strict=True):
        assert torch.from_numpy(run.activations(name)[-1].values).allclose(right, atol=1e-6)
