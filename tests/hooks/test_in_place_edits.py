"""A hook function may edit its tensor in place: nothing but the pass that goes on changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import InPlace, Residual, Twice, small_images, small_mlp
from torch import Tensor

from neural_microscope import HookedModel, HookPoint, hooked


def without_return(tensor: Tensor, hook: HookPoint) -> None:
    tensor[:, :1] = 0.25


def with_return(tensor: Tensor, hook: HookPoint) -> Tensor:
    tensor[:, :1] = 0.25
    return tensor


def behind_autograd(tensor: Tensor, hook: HookPoint) -> None:
    tensor.data[:, :1] = 0.25


def through_a_view(tensor: Tensor, hook: HookPoint) -> None:
    tensor.detach()[:, :1].fill_(0.25)


def out_of_place(tensor: Tensor, hook: HookPoint) -> Tensor:
    return torch.cat([torch.full_like(tensor[:, :1], 0.25), tensor[:, 1:]], 1)


MODELS: dict[str, Callable[[], HookedModel]] = {
    "mlp": small_mlp,
    "in place": lambda: hooked(InPlace()),
    "residual": lambda: hooked(Residual().eval()),
    "twice": lambda: hooked(Twice()),
}
EDITS = [without_return, with_return, behind_autograd, through_a_view]
CONTEXTS = [torch.no_grad, torch.inference_mode, torch.enable_grad]


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(sorted(MODELS)),
    number=st.integers(0, 5),
    edit=st.sampled_from(EDITS),
    context=st.sampled_from(CONTEXTS),
)
def test_an_edit_in_place_is_an_edit_out_of_place_that_spares_everything_else(
    kind: str, number: int, edit: Callable, context: Callable
) -> None:
    lens, images = MODELS[kind](), small_images()
    names = list(lens.hook_points)
    name = names[number % len(names)]
    with context():
        expected = lens.run_with_hooks(images, fwd_hooks=[(name, out_of_place)])
        _, clean = lens.run_with_cache(images)
        before = {key: tensor.clone() for key, tensor in clean.items()}
        pixels = images.clone()
        with lens.hooks([(name, lambda tensor, hook: None)]):
            _, early = lens.run_with_cache(images)  # what was cached before the edit, in the same pass
            with lens.hooks([(name, edit)]):
                output, _ = lens.run_with_cache(images)
        assert torch.equal(output, expected)
        assert torch.equal(images, pixels)
        for key, tensor in clean.items():
            assert torch.equal(tensor, before[key])
            assert torch.equal(early[key], before[key])


def test_a_value_cached_earlier_in_the_same_pass_stays() -> None:
    model, images = small_mlp(), small_images()
    cached: list[Tensor] = []
    hooks = [("layers.0.hook_post", lambda tensor, hook: cached.append(tensor.detach())), (None, without_return)]
    model.run_with_hooks(images, fwd_hooks=hooks)
    assert torch.equal(
        cached[0],
        model.run_with_hooks(
            images,
            fwd_hooks=[("input", out_of_place), ("layers.0.hook_pre", out_of_place)],
            stop_at="layers.0.hook_post",
        ),
    )


@pytest.mark.parametrize("kind", sorted(MODELS))
@pytest.mark.parametrize("edit", [without_return, with_return])
@pytest.mark.parametrize("wants", [False, True])
def test_gradients_after_an_edit_in_place_are_those_of_the_edit_out_of_place(
    kind: str, edit: Callable, wants: bool
) -> None:
    lens, images = MODELS[kind](), small_images().requires_grad_(wants)
    for name in lens.hook_points:
        gradients = []
        for function in (edit, out_of_place):
            lens.zero_grad()
            images.grad = None
            lens.run_with_hooks(images, fwd_hooks=[(name, function)]).square().sum().backward()
            found = [p.grad for p in lens.parameters()] + ([images.grad] if wants else [])
            gradients.append([torch.zeros(1) if g is None else g for g in found])
        for got, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("wants", [False, True])
def test_a_gradient_edited_in_place_changes_no_other_gradient(wants: bool) -> None:
    model, images = small_mlp(), small_images().requires_grad_(wants)
    seen: list[Tensor] = []
    hooks = [
        ("layers.1.hook_pre", lambda gradient, hook: seen.append(gradient)),
        ("layers.1.hook_pre", without_return),
        ("logits", with_return),
    ]
    upstream = torch.ones(7, 4)
    with model.hooks(bwd_hooks=hooks):
        model(images).backward(upstream)
    assert torch.equal(upstream, torch.ones(7, 4))
    assert not (seen[0][:, 0] == 0.25).all()
