"""Sequences: their tokens are an axis, of which measures and hooks take one, or all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
import small_runs
from neural_microscope.errors import DataError, HookError, UnknownName

IMAGES = small_runs.images(6, 0, side=8)
X, LABELS = IMAGES.tensor(), IMAGES.label_tensor()


class Recurrent(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.lstm, self.out = nn.LSTM(8, 5, batch_first=batch_first), nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.squeeze(1)
        states = self.lstm(rows if self.batch_first else rows.transpose(0, 1))[0]
        return self.out((states if self.batch_first else states.transpose(0, 1)).sum(1))


class Transformer(nn.Module):
    """A transformer encoder over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 6)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 7, 0.0, batch_first=True), 2)
        self.middle, self.out = nn.Identity(), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.middle(self.encoder(self.embed(images.squeeze(1)))).mean(1))


def made(kind: Callable[..., Any], *options: Any) -> Any:
    torch.manual_seed(0)
    return kind(*options).eval()


POINTS = [
    (Recurrent, (), "lstm.hook_out.0"),
    (Recurrent, (False,), "lstm.hook_out.0"),
    (Transformer, (), "embed.hook_out"),
    (Transformer, (), "encoder.layers.0.hook_out"),
    (Transformer, (), "encoder.hook_out"),
    (Transformer, (), "middle.hook_out"),
    (Transformer, (), "out.hook_in"),
]


def plain(
    model: nn.Module, name: str, change: Callable[[Tensor], Tensor] = lambda value: value
) -> tuple[Tensor, Tensor]:
    """(the value at a hook point, the model's output), by torch's own hooks; ``change`` is given [example, token, unit]."""
    seen: list[Tensor] = []
    path = name.partition(".hook")[0]
    steps_first = isinstance(model, Recurrent) and not model.batch_first

    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        value = output[0] if isinstance(output, tuple) else output
        value = value.transpose(0, 1) if steps_first else value
        seen.append(value.detach().clone())
        changed = change(value)
        changed = changed.transpose(0, 1) if steps_first else changed
        return (changed, output[1]) if isinstance(output, tuple) else changed

    handle = model.get_submodule(path).register_forward_hook(hook)
    with torch.no_grad():
        output = model(X)
    handle.remove()
    return seen[0], output


@pytest.mark.parametrize(("kind", "options", "name"), POINTS[:-1])
def test_tokens_are_an_axis(kind: Any, options: Any, name: str) -> None:
    model = made(kind, *options)
    value, _ = plain(model, name)
    found = nm.activations(model, IMAGES, name)[name]
    assert found.dims == ("example", "token", "unit")
    np.testing.assert_array_equal(found.values, value)
    for token, right in ((0, value[:, 0]), (-1, value[:, -1]), ("mean", value.mean(1)), ("max", value.amax(1))):
        one = nm.activations(model, IMAGES, name, token=token)[name]
        assert one.dims == ("example", "unit")
        np.testing.assert_array_equal(one.values, right)
    every = nm.activations(model, IMAGES, name, token="all")[name]
    np.testing.assert_array_equal(every.values, value.flatten(0, 1))
    assert every["label"].values.tolist() == np.repeat(IMAGES.labels, 8).tolist()
    selected = nm.activations(model, IMAGES, f"{name}[2]")[f"{name}[2]"]
    assert selected.dims == ("example", "unit")
    np.testing.assert_array_equal(selected.values, value[:, 2])


@pytest.mark.parametrize(("kind", "options", "name"), POINTS[:-1])
@pytest.mark.parametrize("token", [None, 2, -1])
def test_ablation_equals_a_loop_over_forward_passes(kind: Any, options: Any, name: str, token: int | None) -> None:
    model = made(kind, *options)
    point = name if token is None else f"{name}[{token}]"
    effects = nm.analysis.causal.ablate_all(model, IMAGES, point)
    assert effects["loss_change"].dims == ("unit", "example")
    loss = lambda logits: nn.functional.cross_entropy(logits, LABELS, reduction="none")  # noqa: E731
    before = loss(plain(model, name)[1])
    for unit in range(effects.sizes["unit"]):

        def cut(value: Tensor, unit: int = unit) -> Tensor:
            kept = value.clone()
            kept[:, slice(None) if token is None else token, unit] = 0
            return kept

        output = plain(model, name, cut)[1]
        np.testing.assert_allclose(effects["loss_change"][unit], loss(output) - before, atol=1e-5)
        zero = nm.interventions.zero(unit=unit, token=token)
        with torch.no_grad():
            assert nm.hooked(model).run_with_hooks(X, fwd_hooks=[(name, zero)]).allclose(output, atol=1e-6)


def test_a_selected_token_is_read_changed_and_has_a_gradient() -> None:
    model = made(Transformer)
    lens = nm.hooked(model)
    name = "encoder.hook_out[1]"
    whole, doubled = plain(model, "encoder.hook_out", lambda value: value * (1 + torch.eye(8)[1])[:, None])
    with torch.no_grad():  # as in the plain pass, whose arithmetic differs where gradients are on
        assert lens.run_with_cache(X, names_filter=name)[1][name].equal(whole[:, 1])
    assert lens.run_with_hooks(X, fwd_hooks=[(name, lambda value, hook: 2 * value)]).allclose(doubled, atol=1e-6)
    axes = []
    lens.run_with_hooks(X, fwd_hooks=[(name, lambda value, hook: axes.append(hook.axes))])
    assert axes == [("example", "unit")]
    loss = lambda logits: logits.sum()  # noqa: E731
    grads = lens.run_with_cache(X, names_filter=["encoder.hook_out", name], incl_bwd=True, loss=loss)[1]
    assert grads["encoder.hook_out_grad"].count_nonzero()
    alone = lens.run_with_cache(X, names_filter=name, incl_bwd=True, loss=loss)[1][f"{name}_grad"]
    assert alone.equal(
        lens.run_with_cache(X, names_filter="encoder.hook_out", incl_bwd=True, loss=loss)[1]["encoder.hook_out_grad"][
            :, 1
        ]
    )


def test_the_last_state_of_a_recurrent_layer() -> None:
    model = made(Recurrent)
    state = nm.activations(model, IMAGES, "lstm.hook_out.1.0[-1]")["lstm.hook_out.1.0[-1]"]
    np.testing.assert_array_equal(state.values, plain(model, "lstm.hook_out.0")[0][:, -1])


class Mixed(nn.Module):
    """As many tokens as units, in either order."""

    def __init__(self) -> None:
        super().__init__()
        self.across, self.along, self.sum, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Identity(), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = self.across(images.squeeze(1).transpose(1, 2)).transpose(1, 2)
        return self.out(self.sum(rows + self.along(rows)).mean(1))


def test_two_readings_are_asked_for_once() -> None:
    model = made(Mixed)
    with pytest.raises(HookError, match=r"'sum.hook_out' holds \[6, 8, 8\], .*name its axes once, nm.hooked"):
        nm.analysis.causal.ablate_all(model, IMAGES, "sum.hook_out")
    with pytest.raises(HookError, match="name its axes once"):
        nm.activations(model, IMAGES, "sum.hook_out", token=0)
    with pytest.raises(HookError, match="name its axes once"):
        nm.activations(model, IMAGES, "sum.hook_out[0]")
    lens = nm.hooked(model, axes={"sum.hook_out": ("example", "token", "unit")})
    effects = nm.analysis.causal.ablate_all(lens, IMAGES, "sum.hook_out[0]")
    other = nm.hooked(model, axes={"sum.hook_out": ("example", "unit", "token")})
    turned = nm.analysis.causal.ablate_all(other, IMAGES, "sum.hook_out[0]")
    assert not np.allclose(effects["loss_change"], turned["loss_change"])
    np.testing.assert_array_equal(
        nm.activations(other, IMAGES, "sum.hook_out", token=3)["sum.hook_out"].values,
        plain(model, "sum.hook_out")[0][:, :, 3],
    )


class StepsFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps, self.out = nn.Identity(), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.steps(images.squeeze(1).transpose(0, 1)).mean(0))


@pytest.mark.parametrize("count", [6, 8])
def test_examples_on_another_axis_are_named(count: int) -> None:
    model, images = made(StepsFirst), torch.cat([X, X])[:count]
    lens = nm.hooked(model, axes={"steps.hook_out": ("token", "example", "unit")})
    found = nm.activations(lens, images, "steps.hook_out")["steps.hook_out"]
    assert found.dims == ("example", "token", "unit")
    np.testing.assert_array_equal(found.values, images.squeeze(1))
    with pytest.raises(HookError, match=r'nm.hooked\(model, axes=\{"steps.hook_out": \("token", "example", "unit"\)\}'):
        nm.activations(model, images, "steps.hook_out")


def test_what_cannot_be_is_said() -> None:
    model = made(Transformer)
    for axes in ("token", ("example", "example"), ("token", "unit"), ("example", "banana")):
        with pytest.raises(HookError, match="it must name each axis once"):
            nm.hooked(model, axes={"encoder.hook_out": axes})
    with pytest.raises(UnknownName):
        nm.hooked(model, axes={"encodr.hook_out": ("example", "token", "unit")})
    with pytest.raises(HookError, match=r"axes of 'encoder.hook_out' is .*; it holds \[6, 8, 6\]: name each axis"):
        nm.activations(nm.hooked(model, axes={"encoder.hook_out": ("example", "unit")}), IMAGES, "encoder.hook_out")
    with pytest.raises(HookError, match="the axes of a MLP are known"):
        nm.hooked(nm.MLP(nm.MLPConfig()), axes={"logits": ("example", "class")})
    with pytest.raises(HookError, match="has tokens 0 to 7"):
        nm.activations(model, IMAGES, "encoder.hook_out[8]")
    with pytest.raises(DataError, match="token is 8; the sequence has tokens 0 to 7"):
        nm.activations(model, IMAGES, "encoder.hook_out", token=8)
    with pytest.raises(HookError, match=r"holds \[example, unit\], of which none counts tokens"):
        nm.activations(model, IMAGES, "out.hook_out", token=0)
    with pytest.raises(HookError, match="of which none counts tokens"):
        nm.activations(model, IMAGES, "out.hook_out[0]")
    with pytest.raises(UnknownName, match="mean"):
        nm.activations(model, IMAGES, "encoder.hook_out", token="men")
    with pytest.raises(DataError, match="token="):
        nm.analysis.selectivity.class_selectivity(nm.activations(model, IMAGES, "encoder.hook_out")["encoder.hook_out"])
