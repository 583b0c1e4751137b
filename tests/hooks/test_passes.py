"""The forward pass that a hook acts on: threads, recomputation, copies made meanwhile; and what a hook may return."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from nets import Twice, census, size, small_images, small_mlp
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from neural_microscope import activations, hooked
from neural_microscope.errors import HookError

IMAGES = small_images()


class Checkpointed(nn.Module):
    """A block of which a part is computed again during backward; with ``parts`` the module is called in two such parts."""

    def __init__(self, reentrant: bool, parts: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.reentrant, self.parts = reentrant, parts
        self.a, self.b = nn.Linear(9, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        def once(z: Tensor) -> Tensor:
            return self.b(torch.tanh(z)).sin()

        def twice(z: Tensor) -> Tensor:
            return once(once(z))

        z = self.a(x.flatten(1))
        for part in [once, once] if self.parts else [twice]:
            z = checkpoint(part, z, use_reentrant=self.reentrant)
        return z


class Plain(Checkpointed):
    def __init__(self) -> None:
        super().__init__(False, False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.a(x.flatten(1))
        for _ in range(2):
            z = self.b(torch.tanh(z)).sin()
        return z


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("call", ["", "@0", "@1"])
def test_what_is_computed_again_during_backward_is_the_same_call(reentrant: bool, parts: bool, call: str) -> None:
    def gradient(net: nn.Module) -> Tensor:
        images, lens = IMAGES.clone().requires_grad_(), hooked(net)
        with lens.hooks([(f"b.hook_out{call}", lambda tensor, hook: tensor * (3 + hook.call))]):
            lens(images).square().sum().backward()
        assert images.grad is not None
        return images.grad

    assert torch.allclose(gradient(Checkpointed(reentrant, parts)), gradient(Plain()), atol=1e-6)


def scaled(factor: float) -> Callable[..., Tensor]:
    return lambda tensor, hook: tensor * factor


@pytest.mark.parametrize("net", [Twice, small_mlp])
@pytest.mark.parametrize("block", [True, False])
def test_threads_that_share_a_module_see_only_their_own_hooks(net: Callable[[], nn.Module], block: bool) -> None:
    lens = hooked(net())
    name = "relu.hook_out@1" if net is Twice else "layers.1.hook_post"
    expected = {factor: lens.run_with_hooks(IMAGES, fwd_hooks=[(name, scaled(factor))]) for factor in range(4)}
    ready = threading.Barrier(4)

    def work(factor: int) -> bool:
        ready.wait()
        found = []
        for _ in range(10):
            if not block:
                found.append(lens.run_with_hooks(IMAGES, fwd_hooks=[(name, scaled(factor))]))
                continue
            with lens.hooks([(name, scaled(factor))]):
                found.append(lens(IMAGES))
        return all(one.equal(expected[factor]) for one in found)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert size(census(lens)) == 0


def test_threads_give_back_the_mode_and_keep_evaluation_meanwhile() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(9, 4)).train()
    net[0].eval()
    expected, ready = activations(net, IMAGES, "hook_out")["hook_out"], threading.Barrier(4)

    def work(_: int) -> bool:
        ready.wait()
        return all(activations(net, IMAGES, "hook_out")["hook_out"].equals(expected) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert [module.training for module in net.modules()] == [True, False, True, True]


def test_a_block_whose_model_runs_in_other_threads_only_says_so() -> None:
    lens = hooked(Twice())
    with (
        pytest.raises(HookError, match="only in other threads"),
        lens.hooks([("last.hook_out", scaled(2))]),
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(lens, IMAGES).result()
    lens.add_hook("last.hook_out", scaled(2))
    plain = lens.module(IMAGES)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lens, IMAGES).result().equal(plain)
    lens.reset_hooks()
    assert lens(IMAGES).equal(plain / 2)


def test_what_torchs_hooks_may_return_ours_may() -> None:
    lens = hooked(Twice())
    images = IMAGES.clone().requires_grad_()
    with lens.hooks(
        [("first.hook_out", lambda tensor, hook: (tensor * 2,))], [("second.hook_out", lambda g, hook: (g * 0,))]
    ):
        lens(images).sum().backward()
    assert images.grad is not None
    assert not images.grad.any()
    with pytest.raises(HookError, match="returned tuple"):
        lens.run_with_hooks(IMAGES, fwd_hooks=[("first.hook_out", lambda tensor, hook: (tensor, tensor))])


@pytest.mark.parametrize("direction", ["both", "fwd", "bwd"])
def test_reset_hooks_inside_a_block_takes_the_blocks_hooks(direction: Any) -> None:
    lens, images, seen = hooked(Twice()), IMAGES.clone().requires_grad_(), []
    with lens.hooks(
        [("last.hook_out", lambda t, hook: seen.append("fwd"))], [("last.hook_out", lambda g, hook: seen.append("bwd"))]
    ):
        lens.reset_hooks(direction)
        lens(images).sum().backward()
    assert seen == {"both": [], "fwd": ["bwd"], "bwd": ["fwd"]}[direction]
    assert size(census(lens)) == 0


def saved(net: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def traced() -> nn.Module:
    return torch.fx.symbolic_trace(Twice())


WAYS = [copy.deepcopy, saved, lambda net: pickle.loads(pickle.dumps(net))]


@pytest.mark.parametrize(
    ("made", "copied"),
    [(traced, copy.deepcopy), *((made, way) for made in (Twice, small_mlp, lambda: hooked(Twice())) for way in WAYS)],
)
def test_a_copy_made_while_hooks_are_attached_has_none(
    made: Callable[[], nn.Module], copied: Callable[..., Any]
) -> None:
    net = made()
    lens, plain = hooked(net), net(IMAGES)
    name = "logits" if "logits" in lens.hook_points else "last.hook_out"
    with lens.hooks([(name, scaled(2))]):
        twin = copied(net)
        assert twin(IMAGES).equal(plain)
        assert lens(IMAGES).equal(2 * plain)
        assert twin(IMAGES).equal(plain)
        assert size(census(twin)) == 0
    assert lens(IMAGES).equal(plain)
    assert size(census(net)) == 0
    assert "__getstate__" not in net.__dict__
    assert hooked(twin).run_with_hooks(IMAGES, fwd_hooks=[(name, scaled(3))]).equal(3 * plain)
