"""Hooks on compiled modules are honored or refused, never ignored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from nets import InPlace, Odd, census, size, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import CNNConfig, hooked
from neural_microscope.errors import HookError
from neural_microscope.interventions import scale, zero
from neural_microscope.models import CNN, MLP

pytestmark = pytest.mark.filterwarnings("default")  # torch.compile warns about itself
POST = "layers.1.hook_post"
LIMIT = 2


@pytest.fixture(autouse=True)
def fresh_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A compiler that has compiled nothing, is willing to compile twice, and does not time its guards, for which it flushes caches."""
    torch.compiler.reset()
    monkeypatch.setattr("torch._dynamo.guards.profile_guard_manager", lambda *_: 0.0, raising=False)
    with torch._dynamo.config.patch(recompile_limit=LIMIT):
        yield
    torch.compiler.reset()


def by_function(model: nn.Module) -> Callable:
    return torch.compile(model, backend="eager")


def by_method(model: nn.Module) -> Callable:
    model.compile(backend="eager")
    return model


@pytest.fixture(params=[by_function, by_method])
def compiled(request: pytest.FixtureRequest) -> tuple[MLP, Callable, MLP]:
    """(the model, its compiled callable, the same model never compiled)."""
    model = small_mlp().eval()
    return model, request.param(model), small_mlp().eval()


@contextmanager
def counting_graphs() -> Iterator[list[int]]:
    from torch._dynamo.utils import counters

    counters.clear()
    yield counters["stats"]


def test_a_model_that_is_compiled_and_idle_is_one_graph() -> None:
    model, images = small_mlp().eval(), small_images()
    call = torch.compile(model, backend="eager", fullgraph=True)
    with counting_graphs() as stats:
        assert torch.equal(call(images), model(images))
    assert stats["unique_graphs"] == 1


@pytest.mark.parametrize("grad", [False, True])
def test_hooks_on_a_compiled_model_are_honored_and_detached(compiled: tuple, grad: bool) -> None:
    model, call, plain = compiled
    images = small_images()
    interventions = [zero(unit=2), zero(unit=3), scale(3.0), lambda tensor, hook: tensor + 1, zero()]
    with torch.set_grad_enabled(grad):
        unchanged = plain(images)
        assert torch.equal(call(images), unchanged)
        assert len(interventions) > LIMIT
        for function in interventions:
            hooks = [(POST, function)]
            with plain.hooks(hooks):
                expected = plain(images)
            assert not torch.equal(expected, unchanged)
            with model.hooks(hooks):
                assert torch.equal(call(images), expected)
                assert torch.equal(call(images), expected)
            assert torch.equal(call(images), unchanged)
    assert size(census(model)) == 0


def test_a_first_call_inside_the_block_compiles_no_hook_in(compiled: tuple) -> None:
    model, call, plain = compiled
    images = small_images()
    for function in (zero(), scale(2.0)):
        with model.hooks([(POST, function)]), plain.hooks([(POST, function)]):
            assert torch.equal(call(images), plain(images))
    assert torch.equal(call(images), plain(images))


def test_hooks_at_any_point_see_what_flows_through_the_compiled_call(compiled: tuple) -> None:
    model, call, plain = compiled
    images, seen = small_images(), {}
    call(images)
    _, cache = plain.run_with_cache(images)
    for name in [*cache, *list(cache)[:LIMIT]]:
        amount = len(seen)

        def look(tensor: Tensor, hook: object, name: str = name, amount: int = amount) -> Tensor:
            seen[name, amount] = tensor.clone()
            return tensor + amount

        with model.hooks([(name, look)]):
            call(images)
        torch.testing.assert_close(seen[name, amount], cache[name])
    assert len(seen) == len(cache) + LIMIT


def test_caches_and_stops_of_a_model_compiled_in_place_are_right() -> None:
    model, plain, images = small_mlp().eval(), small_mlp().eval(), small_images()
    model.compile(backend="eager")
    model(images)
    for _ in range(2):
        logits, cache = model.run_with_cache(images)
        expected, reference = plain.run_with_cache(images)
        torch.testing.assert_close(logits, expected)
        assert list(cache) == list(reference)
        for name in cache:
            torch.testing.assert_close(cache[name], reference[name])
        stopped = model.run_with_hooks(images, stop_at="layers.0.hook_pre")
        torch.testing.assert_close(stopped, reference["pre", 0])
    assert size(census(model)) == 0


def test_methods_reached_through_the_compiled_callable_work() -> None:
    model, images = small_mlp().eval(), small_images()
    call = torch.compile(model, backend="eager")
    call(images)
    with call.hooks([("logits", lambda tensor, hook: tensor + 1)]):
        torch.testing.assert_close(call(images), small_mlp().eval()(images) + 1)
    assert list(call.run_with_cache(images)[1]) == list(model.hook_points)


def test_backward_hooks_and_gradient_caches_of_a_compiled_model_are_right(compiled: tuple) -> None:
    model, call, plain = compiled
    images = small_images()
    call(images).sum().backward()
    gradients = []
    for network, forward in ((model, call), (plain, plain)):
        network.zero_grad()
        with network.hooks(bwd_hooks=[(POST, lambda gradient, hook: gradient * 2)]):
            forward(images).square().sum().backward()
        gradients.append([p.grad for p in network.parameters()])
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected)
    _, cache = model.run_with_cache(images, incl_bwd=True, loss=lambda logits: logits.square().sum())
    _, reference = plain.run_with_cache(images, incl_bwd=True, loss=lambda logits: logits.square().sum())
    for name in reference:
        torch.testing.assert_close(cache[name], reference[name])


def test_a_compiled_cnn_honors_hooks_too() -> None:
    config = CNNConfig(image_shape=(4, 4), channels=(2,), head=(5,))
    model, plain, images = CNN(config).eval(), CNN(config).eval(), torch.rand(3, 1, 4, 4)
    call = torch.compile(model, backend="eager")
    torch.testing.assert_close(call(images), plain(images))
    for channel in (0, 1):
        hooks = [("layers.0.hook_pool", zero(channel=channel))]
        with model.hooks(hooks), plain.hooks(hooks):
            torch.testing.assert_close(call(images), plain(images))


def test_an_error_in_a_hook_comes_out_of_the_compiled_call(compiled: tuple) -> None:
    model, call, plain = compiled
    images = small_images()
    call(images)
    with pytest.raises(HookError, match=r"returned \[1, 5\]"), model.hooks([(POST, lambda tensor, hook: tensor[:1])]):
        call(images)
    assert size(census(model)) == 0
    assert torch.equal(call(images), plain(images))


def test_fullgraph_raises_where_it_would_have_to_ignore_a_hook() -> None:
    model, images = small_mlp().eval(), small_images()
    call = torch.compile(model, backend="eager", fullgraph=True)
    plain = call(images)
    with pytest.raises(Exception, match=r"graph.?break|fullgraph"), model.hooks([(POST, zero())]):
        call(images)
    assert torch.equal(call(images), plain)


def test_hooking_a_compiled_module_is_refused() -> None:
    for make in (by_function, by_method):
        with pytest.raises(HookError, match=r"the module is compiled: .* before compiling"):
            hooked(make(InPlace()))
    with pytest.raises(HookError, match="the module is compiled"):
        hooked(torch.compile(small_mlp(), backend="eager"))
    with pytest.raises(HookError, match="the module is compiled"):
        hooked(nn.Sequential(by_function(InPlace())))


@pytest.mark.parametrize("part", ["whole", "body", "body.1"])
def test_a_module_compiled_after_wrapping_is_refused(part: str) -> None:
    net = Odd()
    lens = hooked(net)
    images, name = small_images(), "body.1.0.hook_out"
    lens.run_with_cache(images, names_filter=name)
    by_method(net if part == "whole" else net.get_submodule(part))
    for use in (
        lambda: lens.run_with_cache(images, names_filter=name),
        lambda: lens.run_with_hooks(images, fwd_hooks=[(name, zero())]),
        lambda: lens.add_hook(name, zero()),
    ):
        with pytest.raises(HookError, match="the module is compiled"):
            use()
    assert size(census(net)) == 0


def test_a_foreign_module_compiled_from_outside_is_never_ignored_in_silence() -> None:
    net, images = InPlace(inplace=False), small_images()
    lens = hooked(net)
    call = torch.compile(net, backend="eager")
    plain = call(images)
    with (
        pytest.raises(HookError, match=r"never reached act\.hook_out: .*compiled"),
        lens.hooks([("act.hook_out", zero())]),
    ):
        call(images)
    assert torch.equal(call(images), plain)


def test_a_hook_seen_by_an_outside_compilers_first_call_is_gone_after_the_block() -> None:
    net, images = InPlace(inplace=False), small_images()
    plain, lens = net(images), hooked(net)
    call = torch.compile(net, backend="eager")
    with lens.hooks([("act.hook_out", zero())]):
        assert torch.equal(call(images), net.last(torch.zeros(7, 6)))
    assert torch.equal(call(images), plain)
    with lens.hooks([("act.hook_out", scale(2.0))]):
        torch.testing.assert_close(call(images), net.last(2 * net.first(images.flatten(1)).clamp(min=0)))
    assert torch.equal(call(images), plain)


def test_importing_and_wrapping_do_not_load_the_compiler() -> None:
    code = (
        "import sys, torch, neural_microscope as nm; lens = nm.hooked(torch.nn.Linear(2, 2)); "
        "lens.run_with_cache(torch.ones(1, 2)); nm.MLP().run_with_cache(torch.ones(1, 1, 28, 28)); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
