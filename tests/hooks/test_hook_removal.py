"""No hook is left behind, whatever happens; and nobody else's is taken away."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import InPlace, Odd, Residual, Twice, census, size, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import CNNConfig, HookedModel, HookPoint, activations, hooked
from neural_microscope.errors import HookError, MicroscopeError
from neural_microscope.models import CNN

CNN_CONFIG = CNNConfig(image_shape=(3, 3), channels=(2,), head=(4,), norm="batch", norm_position="after")
MODELS: dict[str, Callable[[], HookedModel]] = {
    "mlp": lambda: small_mlp().eval(),
    "cnn": lambda: CNN(CNN_CONFIG).eval(),
    "in place": lambda: hooked(InPlace().eval()),
    "residual": lambda: hooked(Residual().eval()),
    "twice": lambda: hooked(Twice().eval()),
    "odd": lambda: hooked(Odd().eval()),
}


class Boom(Exception):
    pass


def fine(tensor: Tensor, hook: HookPoint) -> Tensor:
    return tensor


def failing(error: type[BaseException], tensor: Tensor, hook: HookPoint) -> Tensor:
    raise error


def shrinking(tensor: Tensor, hook: HookPoint) -> Tensor:
    return tensor[:1]


def badly_signed(tensor: Tensor) -> Tensor:
    return tensor


FUNCTIONS: dict[str, Callable] = {
    "fine": fine,
    "raises": functools.partial(failing, Boom),
    "interrupted": functools.partial(failing, KeyboardInterrupt),
    "exits": functools.partial(failing, SystemExit),
    "another shape": shrinking,
    "wrong signature": badly_signed,
}
ERRORS = (Boom, KeyboardInterrupt, SystemExit, MicroscopeError)


def run(lens: HookedModel, way: str, hooks: list, images: Tensor, stop: str | None) -> None:
    """One of the ways to attach hooks and run the model, with nothing caught."""
    if way == "hooks":
        with lens.hooks(hooks):
            lens(images)
    elif way == "body raises":
        with lens.hooks(hooks):
            lens(images)
            raise Boom
    elif way == "backward":
        with lens.hooks(bwd_hooks=hooks):
            lens(images).square().sum().backward()
    elif way == "run_with_hooks":
        lens.run_with_hooks(images, fwd_hooks=hooks, stop_at=stop)
    elif way == "run_with_cache":
        with lens.hooks(hooks):
            lens.run_with_cache(images, stop_at=stop)
    elif way == "gradients":
        with lens.hooks(hooks):
            lens.run_with_cache(images, incl_bwd=True, loss=lambda out: out.sum())
    elif way == "activations":
        with lens.hooks(hooks):
            activations(lens, images, batch_size=2)
    elif way == "nested":
        with lens.hooks(hooks[:1]), lens.hooks(hooks[1:]):
            lens.run_with_cache(images)


WAYS = ["hooks", "body raises", "backward", "run_with_hooks", "run_with_cache", "gradients", "activations", "nested"]


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_nothing_is_left_after_any_success_or_failure(data: st.DataObject) -> None:
    lens = MODELS[data.draw(st.sampled_from(sorted(MODELS)))]()
    names = [*lens.hook_points, "no such point"]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(sorted(FUNCTIONS)))
    hooks = [(name, FUNCTIONS[kind]) for name, kind in data.draw(st.lists(pairs, min_size=1, max_size=3))]
    images = small_images(5)
    if data.draw(st.booleans()):  # a forward pass that fails in the middle
        list(lens.modules())[-1].register_forward_pre_hook(lambda *_: failing(Boom, images, HookPoint()))
    foreign: list[str] = []
    for module in lens.modules():
        module.register_forward_hook(lambda *_: foreign.append("forward"))
        module.register_forward_pre_hook(lambda *_: foreign.append("pre"))
    before, plain = census(lens), _outcome(lens, images)
    way, stop = data.draw(st.sampled_from(WAYS)), data.draw(st.sampled_from([None, *names]))
    with suppress(*ERRORS):
        run(lens, way, hooks, images, stop)
    assert census(lens) == before
    foreign.clear()
    after = _outcome(lens, images)
    assert type(after) is type(plain)
    assert torch.equal(after, plain) if isinstance(plain, Tensor) else isinstance(plain, Boom)
    assert foreign


def _outcome(lens: HookedModel, images: Tensor) -> Tensor | Exception:
    with torch.no_grad():
        try:
            return lens(images)
        except Boom as error:
            return error


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_the_census_sees_what_is_attached_inside(kind: str) -> None:
    lens = MODELS[kind]()
    name = list(lens.hook_points)[-1]
    assert size(census(lens)) == 0
    with lens.hooks([(name, fine)]):
        assert size(census(lens)) == 2  # the hook, and the one that sees a forward pass begin
        with lens.hooks([(name, fine), (name, fine)]):
            assert size(census(lens)) == 5
        assert size(census(lens)) == 2
    assert size(census(lens)) == 0


@pytest.mark.parametrize("kind", sorted(MODELS))
@pytest.mark.parametrize(
    "second",
    [("no such point", fine), ("hook_out", badly_signed), ((), fine), "no pair", ("input", 3)],
    ids=["name", "signature", "empty", "no pair", "no function"],
)
def test_a_mistake_in_the_second_hook_attaches_not_even_the_first(kind: str, second: object) -> None:
    lens = MODELS[kind]()
    first = (next(iter(lens.hook_points)), fine)
    for attach in (
        lambda: lens.hooks([first, second]).__enter__(),
        lambda: lens.hooks([first], bwd_hooks=[second]).__enter__(),
        lambda: lens.run_with_hooks(small_images(), fwd_hooks=[first, second]),
    ):
        with pytest.raises(MicroscopeError):
            attach()
        assert size(census(lens)) == 0


def test_a_failure_while_attaching_takes_back_what_was_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    net = InPlace()
    lens = hooked(net)
    monkeypatch.setattr(net.last, "register_forward_hook", lambda *_: failing(KeyboardInterrupt, torch.ones(1), None))
    for use in (
        lambda: lens.run_with_cache(small_images()),
        lambda: lens.hooks([(None, fine)]).__enter__(),
        lambda: lens.add_hook(None, fine),
    ):
        with pytest.raises(KeyboardInterrupt):
            use()
        assert size(census(net)) == 0
    lens.reset_hooks(including_permanent=True)


def test_stopping_early_leaves_nothing_and_is_not_swallowed_by_the_model() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(9, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.second(self.first(x.flatten(1)))
            except Exception:
                return torch.zeros(len(x), 2)

    net, images = Stubborn(), small_images()
    lens = hooked(net)
    assert torch.equal(lens.run_with_hooks(images, stop_at="first.hook_out"), net.first(images.flatten(1)))
    assert size(census(net)) == 0


def test_foreign_added_and_outer_hooks_survive_and_run_in_their_order() -> None:
    model, images = small_mlp(), small_images()
    order: list[str] = []

    def note(what: str) -> Callable:
        return lambda tensor, hook: order.append(what)

    name = "layers.0.hook_post"
    point = model.hook_points[name]
    point.register_forward_hook(lambda *_: order.append("foreign"))
    model.register_full_backward_hook(lambda *_: None)
    # A point with this and nothing else must not take itself for idle.
    model.hook_points["logits"].register_full_backward_pre_hook(lambda *_: order.append("foreign backward"))
    model.add_hook(name, note("permanent"), is_permanent=True)
    model.add_hook(name, note("added"))
    before = census(model)
    with model.hooks([(name, note("outer"))]):
        outside = census(model)
        with model.hooks([(name, note("inner"))]):
            model.run_with_hooks(images, fwd_hooks=[(name, note("run"))])
            assert order == ["foreign", "permanent", "added", "outer", "inner", "run"]
        assert census(model) == outside
        with pytest.raises(Boom), model.hooks([(name, FUNCTIONS["raises"])]):
            model(images)
        assert census(model) == outside
        order.clear()
        model(images.requires_grad_(True)).sum().backward()
        assert order == ["foreign", "permanent", "added", "outer", "foreign backward"]
    assert census(model) == before
    order.clear()
    model.reset_hooks()
    model(images)
    assert order == ["foreign", "permanent"]
    model.reset_hooks(including_permanent=True)
    order.clear()
    model(images)
    assert order == ["foreign"]


@settings(deadline=None, max_examples=60)
@given(plan=st.lists(st.sampled_from(["enter", "leave", "run"]), max_size=12), kind=st.sampled_from(sorted(MODELS)))
def test_nested_blocks_unwind_in_order(plan: list[str], kind: str) -> None:
    lens, images = MODELS[kind](), small_images(2)
    name = "hook_out" if "hook_out" in lens.hook_points else "logits"
    stack: list[tuple[ExitStack, dict]] = []
    plain = lens(images)
    for step in plan:
        if step == "enter":
            block = ExitStack()
            before = census(lens)
            block.enter_context(lens.hooks([(name, lambda tensor, hook: tensor + 1)]))
            stack.append((block, before))
        elif step == "leave" and stack:
            block, before = stack.pop()
            block.close()
            assert census(lens) == before
        else:
            assert torch.equal(lens(images), functools.reduce(lambda t, _: t + 1, stack, plain))
    while stack:
        stack.pop()[0].close()
    assert size(census(lens)) == 0


@pytest.mark.parametrize("kind", ["mlp", "twice"])
def test_a_hook_in_a_block_may_use_the_model_again(kind: str) -> None:
    lens, images = MODELS[kind](), small_images(2)
    name = list(lens.hook_points)[1]
    inside: list[Tensor] = []

    def again(tensor: Tensor, hook: HookPoint) -> None:
        if not inside:
            inside.append(tensor)
            with lens.hooks([(name, lambda t, hook: t * 0)]):
                inside.append(lens.run_with_hooks(images, stop_at=name))

    expected = lens(images)
    with lens.hooks([(name, again)]):
        assert torch.equal(lens(images), expected)
    assert torch.equal(inside[1], torch.zeros_like(inside[0]))
    assert size(census(lens)) == 0


@pytest.mark.parametrize("kind", ["mlp", "twice"])
@pytest.mark.parametrize("stop", [False, True])
def test_a_run_inside_a_run_of_the_same_model_is_an_error_not_a_mixture(kind: str, stop: bool) -> None:
    lens, images = MODELS[kind](), small_images(2)
    name = list(lens.hook_points)[1]
    hook = (name, lambda tensor, hook: lens.run_with_cache(images)[1][name])
    with pytest.raises(HookError, match=r"called again inside its own forward pass.*copy\.deepcopy\(model\)"):
        lens.run_with_hooks(images, fwd_hooks=[hook], stop_at=name if stop else None)
    assert size(census(lens)) == 0


def test_a_stop_in_an_inner_run_does_not_answer_for_the_outer_one() -> None:
    model, other, images = small_mlp(), small_mlp(activation="tanh"), small_images()

    def run_other(tensor: Tensor, hook: HookPoint) -> Tensor:
        assert torch.equal(other.run_with_hooks(images, stop_at="input"), images)
        return tensor

    stopped = model.run_with_hooks(images, fwd_hooks=[("layers.0.hook_pre", run_other)], stop_at="layers.0.hook_pre")
    assert stopped.shape == (7, 6)
    assert size(census(model, other)) == 0


def test_a_stop_goes_to_the_run_that_asked_for_it() -> None:
    part = nn.Sequential(nn.Linear(9, 9), nn.Linear(9, 2))
    lens, images, after = hooked(nn.Sequential(nn.Flatten(), part)), small_images(), []

    def use_the_part(tensor: Tensor, hook: HookPoint) -> None:
        after.append(hooked(part).run_with_cache(tensor))  # meets the stop of the run around it

    hooks = [("0.hook_out", use_the_part)]
    stopped = lens.run_with_hooks(images, fwd_hooks=hooks, stop_at="1.0.hook_out")
    assert torch.equal(stopped, part[0](images.flatten(1)))
    assert not after
    assert size(census(lens)) == 0


def test_an_unfinished_folder_is_cleared_and_hooks_are_gone_when_a_batch_fails(tmp_path: Path) -> None:
    model = small_mlp()
    images = small_images(5)
    images[4] = 7.0  # the last batch is refused
    with pytest.raises(ValueError, match="highest value here is 7"):
        activations(model, images, batch_size=2, folder=tmp_path)
    assert size(census(model)) == 0
    assert model.training
    assert not list(tmp_path.iterdir())
    activations(model, images.clamp(max=1), batch_size=2, folder=tmp_path)


def test_hooks_that_never_ran_are_removed_with_the_error_that_says_so() -> None:
    lens = hooked(Odd())
    with pytest.raises(HookError, match="never reached"), lens.hooks([("unused.hook_out", fine)]):
        lens(small_images())
    assert size(census(lens)) == 0
