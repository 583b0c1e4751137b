"""Backward hooks and the gradient cache, against autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import NAMES, by_hand, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import HookedModel, HookPoint, hooked
from neural_microscope.errors import HookError
from neural_microscope.models import MLP


@pytest.fixture
def model() -> MLP:
    return small_mlp()


@pytest.fixture
def images() -> Tensor:
    return small_images()


def test_a_backward_hook_sees_the_gradient_that_autograd_gives(model: MLP, images: Tensor) -> None:
    values = by_hand(model, images)
    expected = torch.autograd.grad(values["logits"].square().sum(), list(values.values()))
    seen: dict[str, Tensor] = {}

    def look(gradient: Tensor, hook: HookPoint) -> None:
        seen[hook.name] = gradient

    with model.hooks(bwd_hooks=[(None, look)]):
        model(images).square().sum().backward()
    assert list(seen) == NAMES[::-1]
    for name, gradient in zip(NAMES, expected, strict=True):
        torch.testing.assert_close(seen[name], gradient)
    for parameter in model.parameters():
        assert parameter.grad is not None


def test_a_backward_hook_replaces_the_gradient_that_flows_back(model: MLP, images: Tensor) -> None:
    values = by_hand(model, images)
    weight = model.layers[0].linear.weight
    outgoing = torch.autograd.grad(values["logits"].sum(), values[NAMES[2]], retain_graph=True)[0].clone()
    outgoing[:, 2] = 0
    expected = torch.autograd.grad(values[NAMES[2]], weight, grad_outputs=outgoing)[0]

    def cut(gradient: Tensor, hook: HookPoint) -> None:
        gradient[:, 2] = 0

    with model.hooks(bwd_hooks=[(NAMES[2], cut)]):
        model(images).sum().backward()
    torch.testing.assert_close(weight.grad, expected)
    assert (weight.grad[2] == 0).all()


def test_a_backward_hook_is_gone_after_the_block_even_for_graphs_made_inside(model: MLP) -> None:
    images, seen = small_images().requires_grad_(True), []
    with model.hooks(bwd_hooks=[("input", lambda gradient, hook: seen.append(1))]):
        loss = model(images).sum()
        loss.backward(retain_graph=True)
    loss.backward()
    assert seen == [1]
    assert not images._backward_hooks


def test_backward_outside_the_block_is_an_error_not_a_silence(model: MLP, images: Tensor) -> None:
    with (
        pytest.raises(HookError, match=r"no gradient reached layers\.0\.hook_pre: call backward inside"),
        model.hooks(bwd_hooks=[("layers.0.hook_pre", lambda gradient, hook: None)]),
    ):
        model(images)


def test_run_with_hooks_refuses_backward_hooks_and_says_where_they_work(model: MLP, images: Tensor) -> None:
    with pytest.raises(HookError, match=r"with model\.hooks\(bwd_hooks="):
        model.run_with_hooks(images, bwd_hooks=[("logits", lambda gradient, hook: None)])


@settings(deadline=None, max_examples=40)
@given(
    chosen=st.sets(st.sampled_from(NAMES), min_size=1),
    frozen=st.booleans(),
    filled=st.booleans(),
    wants=st.booleans(),
)
def test_the_gradient_cache_is_autograds_and_param_grad_stays(
    chosen: set[str], frozen: bool, filled: bool, wants: bool
) -> None:
    model, images = small_mlp(), small_images().requires_grad_(wants)
    values = by_hand(model, images)
    names = [name for name in NAMES if name in chosen]
    expected = torch.autograd.grad(values["logits"][:, 3].exp().sum(), [values[n] for n in names])
    if filled:
        model(images.detach()).sum().backward()
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.requires_grad_(not frozen)
    logits, cache = model.run_with_cache(
        images, names_filter=names, incl_bwd=True, loss=lambda logits: logits[:, 3].exp().sum()
    )
    assert list(cache) == [*names, *(f"{name}_grad" for name in names)]
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(cache[f"{name}_grad"], gradient)
        torch.testing.assert_close(cache[name], values[name].detach())
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert parameter.grad is None if old is None else torch.equal(parameter.grad, old)
    assert images.grad is None
    assert images.requires_grad is wants
    assert not logits.requires_grad


def test_the_gradient_of_a_single_number_needs_no_loss_and_stops_anywhere(model: MLP) -> None:
    class Scalar(HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.point = HookPoint()

        def forward(self, x: Tensor) -> Tensor:
            return self.point(x).square().sum()

    x = torch.tensor([1.0, -3.0])
    _, cache = Scalar().run_with_cache(x, incl_bwd=True)
    assert torch.equal(cache["point_grad"], 2 * x)
    images = small_images()
    _, cache = model.run_with_cache(images, incl_bwd=True, stop_at=NAMES[1], loss=lambda pre: pre[:, 1].sum())
    expected = model.layers[0].linear.weight[1].reshape(1, 1, 3, 3).expand(7, 1, 3, 3)
    torch.testing.assert_close(cache["input_grad"], expected.detach())


def test_a_point_that_the_loss_does_not_use_has_gradient_zero(images: Tensor) -> None:
    class Side(HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused, self.map = HookPoint(), HookPoint(), nn.Linear(9, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            self.unused(x * 2)
            return self.map(self.used(x))

    _, cache = Side().run_with_cache(images, incl_bwd=True, loss=lambda out: out.sum())
    assert torch.equal(cache["unused_grad"], torch.zeros(7, 9))
    assert cache["used_grad"].abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"incl_bwd": True}, r"shape \[7, 4\] came: give loss="),
        ({"incl_bwd": True, "loss": lambda logits: logits.sum().item()}, "a float came"),
        ({"incl_bwd": True, "loss": lambda logits: logits.sum().detach()}, "depends on no hook point"),
        ({"loss": lambda logits: logits.sum()}, "needs incl_bwd=True"),
    ],
)
def test_a_gradient_cache_says_what_its_loss_lacks(model: MLP, images: Tensor, settings: dict, said: str) -> None:
    with pytest.raises(HookError, match=said):
        model.run_with_cache(images, **settings)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_under_no_grad_are_refused(model: MLP, images: Tensor, context: Callable) -> None:
    with context(), pytest.raises(HookError, match=r"gradients are off .* 'input': call it outside no_grad"):
        model.run_with_cache(images, incl_bwd=True, loss=lambda logits: logits.sum())
    hook = ("logits", lambda gradient, hook: None)
    with context(), pytest.raises(HookError, match="gradients are off"), model.hooks(bwd_hooks=[hook]):
        model(images)


class Skip(nn.Module):
    """A residual connection through an Identity, which gives back the tensor that the other branch takes too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.skip, self.branch = nn.Linear(9, 6), nn.Identity(), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        return self.branch(x) + self.skip(x)


def test_the_gradient_at_an_identity_is_that_of_its_own_branch(images: Tensor) -> None:
    model = Skip()
    slope, seen = torch.rand(6), []
    _, cache = hooked(model).run_with_cache(images, incl_bwd=True, loss=lambda out: (out * slope).sum())
    torch.testing.assert_close(cache["skip.hook_out_grad"], slope.expand(len(images), 6))
    torch.testing.assert_close(
        cache["first.hook_out_grad"], (slope + slope @ model.branch.weight).expand(len(images), 6)
    )
    with hooked(model).hooks(bwd_hooks=[("skip.hook_out", lambda gradient, hook: seen.append(gradient))]):
        (model(images) * slope).sum().backward()
    torch.testing.assert_close(seen[0], slope.expand(len(images), 6))
