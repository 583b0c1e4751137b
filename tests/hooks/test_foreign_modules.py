"""hooked(module) on foreign modules."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from nets import InPlace, Odd, Residual, Twice, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import HookedModel, hooked
from neural_microscope.errors import HookError, UnknownName


@pytest.fixture
def images() -> Tensor:
    return small_images()


def square(output: Tensor) -> Tensor:
    return output.square().sum()


@pytest.mark.parametrize("kind", [InPlace, Residual])
@pytest.mark.parametrize("wants", [False, True])
def test_in_place_modules_cache_what_their_out_of_place_twin_computes(kind: type, wants: bool, images: Tensor) -> None:
    net = kind(inplace=True).eval()
    twin = kind(inplace=False).eval()
    twin.load_state_dict(net.state_dict())
    images.requires_grad_(wants)
    plain = net(images)
    kept: dict[str, Tensor] = {}
    for name, module in twin.named_modules():
        module.register_forward_hook(lambda m, a, out, name=name: kept.update({f"{name}.hook_out".lstrip("."): out}))
    expected = torch.autograd.grad(square(twin(images)), list(kept.values()))
    output, cache = hooked(net).run_with_cache(images, incl_bwd=True, loss=square)
    assert torch.equal(output, plain)
    assert set(cache) == {*kept, *(f"{name}_grad" for name in kept)}
    for (name, tensor), gradient in zip(kept.items(), expected, strict=True):
        assert torch.equal(cache[name], tensor.detach()), name
        torch.testing.assert_close(cache[f"{name}_grad"], gradient)
    with torch.no_grad():
        _, cache = hooked(net).run_with_cache(images)
    assert all(torch.equal(cache[name], tensor.detach()) for name, tensor in kept.items())
    assert (kept["first.hook_out" if kind is InPlace else "norm.hook_out"] < 0).any()  # else this shows nothing


def test_a_backward_hook_before_an_in_place_relu_sees_the_gradient(images: Tensor) -> None:
    net = InPlace()
    pre = net.first(images.flatten(1)).detach().requires_grad_(True)
    [expected] = torch.autograd.grad(square(net.last(pre.clamp(min=0))), pre)
    seen = []
    lens = hooked(net)
    with lens.hooks(bwd_hooks=[("first.hook_out", lambda gradient, hook: seen.append(gradient))]):
        square(lens(images)).backward()
    torch.testing.assert_close(seen[0], expected)


def test_what_a_hook_returns_survives_an_in_place_operation_after_it(images: Tensor) -> None:
    lens = hooked(InPlace())
    _, clean = lens.run_with_cache(images)
    stored, before = clean["first.hook_out"], clean["first.hook_out"].clone()
    kept: list[Tensor] = []
    hooks = [("first.hook_out", lambda t, hook: stored), ("first.hook_out", lambda t, hook: kept.append(t))]
    assert torch.equal(lens.run_with_hooks(images, fwd_hooks=hooks), lens(images))
    assert torch.equal(stored, before)
    assert torch.equal(kept[0], before)
    assert (before < 0).any()


def test_a_module_used_twice_is_kept_call_by_call(images: Tensor) -> None:
    net = Twice()
    lens = hooked(net)
    first = net.first(images.flatten(1)).clamp(min=0)
    second = net.second(first).clamp(min=0)
    _, cache = lens.run_with_cache(images, incl_bwd=True, loss=square)
    assert torch.equal(cache["relu.hook_out@0"], first.detach())
    assert torch.equal(cache["relu.hook_out@1"], second.detach())
    assert "first.hook_out" in cache
    assert "relu.hook_out" not in cache
    gradients = torch.autograd.grad(square(net.last(second)), [first, second])
    for call, gradient in enumerate(gradients):
        torch.testing.assert_close(cache[f"relu.hook_out@{call}_grad"], gradient)
    with pytest.raises(
        UnknownName, match=r"cached for several calls; choose one of: relu\.hook_out@0, relu\.hook_out@1"
    ):
        cache["relu.hook_out"]
    with pytest.raises(UnknownName, match=r"choose one of: relu\.hook_out@0_grad, relu\.hook_out@1_grad"):
        cache["relu.hook_out_grad"]
    _, one = lens.run_with_cache(images, names_filter="relu.hook_out@1")
    assert list(one) == ["relu.hook_out@1"]
    assert torch.equal(one["relu.hook_out@1"], second.detach())


def test_a_hook_on_one_call_changes_only_that_call(images: Tensor) -> None:
    net = Twice()
    lens = hooked(net)
    first = net.first(images.flatten(1)).clamp(min=0)
    second = net.second(first).clamp(min=0)
    with lens.hooks([("relu.hook_out@1", lambda tensor, hook: tensor + 10 * hook.call)]):
        for _ in range(2):
            torch.testing.assert_close(lens(images), net.last(second + 10))
            torch.testing.assert_close(
                net(images), net.last(second + 10)
            )  # the module itself is the one that is hooked
    both = lens.run_with_hooks(images, fwd_hooks=[("relu.hook_out", lambda tensor, hook: tensor + 1)])
    torch.testing.assert_close(both, net.last(net.second(first + 1).clamp(min=0) + 1))
    stopped = lens.run_with_hooks(images, stop_at="relu.hook_out@1")
    assert torch.equal(stopped, second)
    with pytest.raises(HookError, match=r"never reached relu\.hook_out@2"):
        lens.run_with_cache(images, names_filter="relu.hook_out@2")


def test_a_failed_forward_pass_does_not_shift_the_calls_of_the_next(images: Tensor) -> None:
    lens = hooked(Twice())
    expected = lens(images)
    calls = []
    with lens.hooks([("relu.hook_out", lambda tensor, hook: calls.append(hook.call))]):
        handle = lens.module.second.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lens(images)
        handle.remove()
        assert torch.equal(lens(images), expected)
    assert calls == [0, 0, 1]


def test_modules_that_return_no_tensor_give_their_parts(images: Tensor) -> None:
    lens = hooked(Odd())
    expected = {"body.hook_out", "body.0.hook_out", "body.1.hook_out", "body.1.0.hook_out", "body.1.1.hook_out"}
    expected |= {"pair.hook_out.0", "pair.hook_out.1", "named.hook_out.value"}
    assert set(lens.run_with_cache(images)[1]) == {*expected, "hook_out"}
    assert set(lens.run_with_cache(images, names_filter=lambda name: True)[1]) == {*expected, "hook_out"}
    for name, what in (("pair.hook_out", "tuple"), ("named.hook_out", "dict")):
        with pytest.raises(HookError, match=f"{name!r} saw a {what}, not a tensor: name a part of it: {name}."):
            lens.run_with_cache(images, names_filter=name)
        with pytest.raises(HookError, match=f"saw a {what}"):
            lens.run_with_hooks(images, fwd_hooks=[(name, lambda tensor, hook: tensor)])
        with pytest.raises(HookError, match=f"saw a {what}"):
            lens.run_with_hooks(images, stop_at=name)


def test_a_module_that_is_never_called_is_absent_or_an_error(images: Tensor) -> None:
    lens = hooked(Odd())
    assert "unused.hook_out" in lens.hook_points
    assert "unused.hook_out" not in lens.run_with_cache(images)[1]
    for run in (
        lambda: lens.run_with_cache(images, names_filter=["hook_out", "unused.hook_out"]),
        lambda: lens.run_with_cache(images, names_filter=lambda name: name.startswith("unused")),
        lambda: lens.run_with_hooks(images, fwd_hooks=[("unused.hook_out", lambda tensor, hook: tensor)]),
    ):
        with pytest.raises(HookError, match=r"never reached unused\.hook_out"):
            run()
    with pytest.raises(HookError, match="ended without reaching"):
        lens.run_with_hooks(images, stop_at="unused.hook_out")


def test_nested_modules_are_named_by_their_path_and_agree_with_torch(images: Tensor) -> None:
    net = Odd()
    lens = hooked(net)
    assert list(lens.hook_points) == [f"{n}.hook_out".lstrip(".") for n, _ in net.named_modules()]
    kept = {}
    for name, module in net.body.named_modules(prefix="body"):
        module.register_forward_hook(lambda m, a, out, name=name: kept.update({f"{name}.hook_out": out.detach()}))
    output, cache = lens.run_with_cache(images)
    assert torch.equal(cache["hook_out"], output)
    for name, tensor in kept.items():
        assert torch.equal(cache[name], tensor)


def test_wrapping_neither_copies_nor_changes_the_module(images: Tensor) -> None:
    net = InPlace().eval()
    before, attributes = copy.deepcopy(net.state_dict()), sorted(vars(net))
    lens = hooked(net)
    lens.run_with_cache(images)
    assert lens.module is net
    assert sorted(vars(net)) == attributes
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    model = small_mlp()
    assert hooked(model) is model
    assert hooked(lens) is lens


def test_a_hooked_model_inside_another_keeps_its_own_names(images: Tensor) -> None:
    class Outer(HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small_mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    outer, names = Outer(), []
    lens = hooked(nn.Sequential(outer))
    for model, name in (
        (outer.inner, "layers.0.hook_post"),
        (outer, "inner.layers.0.hook_post"),
        (lens, "0.inner.layers.0.hook_post.hook_out"),
        (outer.inner, "layers.0.hook_post"),
    ):
        with model.hooks([(name, lambda tensor, hook: names.append(hook.name))]):
            lens(images)
        assert names.pop() == name
        with pytest.raises(HookError, match=rf"hook at '{re.escape(name)}' returned \[1, 6\]"):
            model.run_with_hooks(images, fwd_hooks=[(name, lambda tensor, hook: tensor[:1])])


def test_only_modules_can_be_hooked() -> None:
    with pytest.raises(HookError, match=r"hooked\(\) takes a torch module; got function"):
        hooked(lambda x: x)  # type: ignore[arg-type]


def test_a_layer_number_is_read_from_the_name_or_missing() -> None:
    lens = hooked(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)))
    assert lens.hook_points["1.hook_out"].layer() == 1
    with pytest.raises(HookError, match="'hook_out' does not belong to a numbered layer"):
        lens.hook_points["hook_out"].layer()
