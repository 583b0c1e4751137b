"""Reading and changing a hooked model: run_with_cache, run_with_hooks, hooks, add_hook."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import NAMES, SMALL, by_hand, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import HookedModel, HookPoint
from neural_microscope.errors import HookError, UnknownName
from neural_microscope.models import MLP


@pytest.fixture
def model() -> MLP:
    return small_mlp()


@pytest.fixture
def images() -> Tensor:
    return small_images()


def test_the_cache_holds_every_hook_point_and_the_output_is_unchanged(model: MLP, images: Tensor) -> None:
    expected = by_hand(model, images)
    logits, cache = model.run_with_cache(images)
    assert torch.equal(logits, model(images))
    assert list(cache) == NAMES
    for name in NAMES:
        torch.testing.assert_close(cache[name], expected[name].detach())
        assert not cache[name].requires_grad


@settings(deadline=None, max_examples=60)
@given(chosen=st.sets(st.sampled_from(NAMES), min_size=1), kind=st.sampled_from([list, tuple, set, frozenset, iter]))
def test_any_collection_or_generator_of_names_is_a_filter(chosen: set[str], kind: Callable) -> None:
    _, cache = small_mlp().run_with_cache(small_images(), names_filter=kind(chosen))
    assert list(cache) == [name for name in NAMES if name in chosen]


def test_none_a_string_and_a_predicate_are_filters(model: MLP, images: Tensor) -> None:
    def cached(names_filter: object) -> list[str]:
        return list(model.run_with_cache(images, names_filter=names_filter)[1])

    assert cached(None) == NAMES
    assert cached("layers.0.hook_post") == ["layers.0.hook_post"]
    assert cached(lambda name: name.endswith("post")) == ["layers.0.hook_post", "layers.1.hook_post"]
    assert cached(["logits", "logits", "input"]) == ["input", "logits"]


def test_run_with_hooks_replaces_what_flows_on_and_hooks_run_in_the_order_given(model: MLP, images: Tensor) -> None:
    seen = []

    def add(amount: float) -> Callable:
        def hook_fn(tensor: Tensor, hook: HookPoint) -> Tensor:
            seen.append((hook.name, hook.layer(), hook.call, amount))
            return tensor * 2 + amount

        return hook_fn

    post = by_hand(model, images)["layers.1.hook_post"].detach()
    output = model.run_with_hooks(images, fwd_hooks=[("layers.1.hook_post", add(1)), ("layers.1.hook_post", add(3))])
    expected = nn.functional.linear((post * 2 + 1) * 2 + 3, model.output.weight, model.output.bias)
    torch.testing.assert_close(output, expected)
    assert seen == [("layers.1.hook_post", 1, 0, 1), ("layers.1.hook_post", 1, 0, 3)]


def test_one_function_may_serve_many_points(model: MLP, images: Tensor) -> None:
    seen = []
    hook = (lambda name: "hook_" in name, lambda tensor, hook: seen.append((hook.name, tensor.shape[1])))
    assert torch.equal(model.run_with_hooks(images, fwd_hooks=[hook]), model(images))
    assert seen == [(NAMES[1], 6), (NAMES[2], 6), (NAMES[3], 5), (NAMES[4], 5)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("run", ["hooks", "cache"])
def test_stop_at_returns_the_tensor_there_and_runs_nothing_after(
    model: MLP, images: Tensor, name: str, run: str
) -> None:
    ran = []
    for path, module in model.named_modules():
        module.register_forward_hook(lambda *_, path=path: ran.append(path))
    if run == "hooks":
        output = model.run_with_hooks(images, stop_at=name)
    else:
        output, cache = model.run_with_cache(images, stop_at=name)
        assert list(cache) == NAMES[: NAMES.index(name) + 1]
    torch.testing.assert_close(output, by_hand(model, images)[name])
    order = ["input", "layers.0.linear", NAMES[1], "layers.0.activation", NAMES[2], "layers.0", "layers.1.linear"]
    order += [NAMES[3], "layers.1.activation", NAMES[4], "layers.1", "output", "logits"]
    last = order.index(name)
    assert ran == order[: last + 1]


def test_a_hook_at_the_stop_edits_what_is_returned(model: MLP, images: Tensor) -> None:
    double = ("layers.0.hook_pre", lambda tensor, hook: tensor * 2)
    stopped = model.run_with_hooks(images, fwd_hooks=[double], stop_at="layers.0.hook_pre")
    torch.testing.assert_close(stopped, 2 * by_hand(model, images)["layers.0.hook_pre"])


def test_stop_at_an_unknown_or_unreached_point_is_an_error(images: Tensor) -> None:
    model = small_mlp()
    with pytest.raises(UnknownName, match=r"did you mean 'layers\.0\.hook_post'"):
        model.run_with_hooks(images, stop_at="layers.0.hook_pots")

    class Bypass(HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = HookPoint(), HookPoint()

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    with pytest.raises(HookError, match="ended without reaching 'spare'"):
        Bypass().run_with_hooks(images, stop_at="spare")


@pytest.mark.parametrize("run", ["run_with_hooks", "run_with_cache"])
def test_a_named_point_after_the_stop_is_an_error(model: MLP, images: Tensor, run: str) -> None:
    wanted = {"names_filter": "logits"} if run == "run_with_cache" else {"fwd_hooks": [("logits", lambda t, hook: t)]}
    with pytest.raises(HookError, match="never reached logits"):
        getattr(model, run)(images, stop_at="input", **wanted)


def test_the_cache_sees_what_enclosing_hooks_changed(model: MLP, images: Tensor) -> None:
    with model.hooks([("layers.0.hook_post", lambda tensor, hook: tensor + 1)]):
        _, cache = model.run_with_cache(images)
    changed = by_hand(model, images)["layers.0.hook_post"] + 1
    torch.testing.assert_close(cache["post", 0], changed.detach())
    torch.testing.assert_close(cache["pre", 1], model.layers[1].linear(changed).detach())


@settings(deadline=None, max_examples=40)
@given(
    chosen=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    context=st.sampled_from([torch.no_grad, torch.inference_mode, torch.enable_grad]),
    kind=st.sampled_from(["none", "same", "copy"]),
)
def test_hooks_that_do_nothing_change_no_bit(chosen: list[str], context: Callable, kind: str) -> None:
    model, images = small_mlp(activation="gelu", norm="layer"), small_images()
    function = {
        "none": lambda tensor, hook: None,
        "same": lambda tensor, hook: tensor,
        "copy": lambda tensor, hook: tensor.clone(),
    }[kind]
    with context():
        expected = model(images)
        with model.hooks([(name, function) for name in chosen]):
            assert torch.equal(model(images), expected)
        assert torch.equal(model.run_with_cache(images, names_filter=chosen)[0], expected)
        assert torch.equal(model(images), expected)


def test_a_hook_that_reads_keeps_a_tensor_of_the_graph(model: MLP, images: Tensor) -> None:
    kept: list[Tensor] = []
    with model.hooks([("layers.0.hook_post", lambda tensor, hook: kept.append(tensor))]):
        loss = model(images).square().sum()
    values = by_hand(model, images)
    expected = torch.autograd.grad(values["logits"].square().sum(), values["layers.0.hook_post"])[0]
    torch.testing.assert_close(torch.autograd.grad(loss, kept[0])[0], expected)


def test_add_hook_stays_until_reset_hooks(model: MLP, images: Tensor) -> None:
    plain = model(images)
    model.add_hook("logits", lambda tensor, hook: tensor + 1)
    model.add_hook("logits", lambda tensor, hook: tensor * 3, is_permanent=True)
    assert torch.equal(model(images), (plain + 1) * 3)
    model.reset_hooks(direction="bwd")
    assert torch.equal(model(images), (plain + 1) * 3)
    model.reset_hooks()
    assert torch.equal(model(images), plain * 3)
    model.reset_hooks(including_permanent=True)
    assert torch.equal(model(images), plain)
    model.reset_hooks()


def test_add_hook_takes_backward_hooks_and_does_not_collect_old_graphs(model: MLP, images: Tensor) -> None:
    seen = []
    model.add_hook("layers.0.hook_pre", lambda gradient, hook: seen.append(gradient.shape), dir="bwd")
    for _ in range(5):
        model(images).sum().backward()
    assert seen == [(7, 6)] * 5
    [(_, _, scope)] = model._attached
    assert len(scope.gradient_handles) <= 2
    model.reset_hooks(direction="fwd")
    model(images).sum().backward()
    model.reset_hooks(direction="bwd")
    model(images).sum().backward()
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda m: m.add_hook("logits", lambda t, hook: t, dir="forward"),
            "dir is 'forward'; it must be 'fwd' or 'bwd'",
        ),
        (lambda m: m.reset_hooks(direction="all"), "direction is 'all'"),
        (lambda m: m.run_with_hooks(small_images(), fwd_hooks=["logits"]), "hooks must be pairs .*; got 'logits'"),
        (lambda m: m.run_with_hooks(small_images(), fwd_hooks=[("logits", "zero")]), "got str"),
    ],
)
def test_wrong_arguments_are_explained(model: MLP, call: Callable, said: str) -> None:
    with pytest.raises(HookError, match=said):
        call(model)


def test_a_copy_made_while_hooks_are_attached_is_free_of_them(model: MLP, images: Tensor) -> None:
    plain = model(images)
    model.add_hook("logits", lambda tensor, hook: tensor + 1)
    with model.hooks([("logits", lambda tensor, hook: tensor * 2)]):
        twin = copy.deepcopy(model)
        assert torch.equal(twin(images), plain)
        assert torch.equal(model(images), (plain + 1) * 2)
    assert torch.equal(model(images), plain + 1)


def test_a_point_passed_twice_is_cached_and_changed_call_by_call(images: Tensor) -> None:
    class Again(HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.point = HookPoint()

        def forward(self, x: Tensor) -> Tensor:
            return self.point(self.point(x) * 2)

    model = Again()
    _, cache = model.run_with_cache(images)
    assert list(cache) == ["point@0", "point@1"]
    assert torch.equal(cache["point@1"], images * 2)
    with model.hooks([("point@1", lambda tensor, hook: tensor + hook.call)]):
        for _ in range(2):  # the count starts over with each forward pass
            assert torch.equal(model(images), images * 2 + 1)


def test_device_and_dtype_of_a_cache(model: MLP, images: Tensor) -> None:
    _, cache = model.run_with_cache(images, device="meta", incl_bwd=True, loss=lambda logits: logits.sum())
    assert {tensor.device.type for tensor in cache.values()} == {"meta"}
    assert len(cache) == 2 * len(NAMES)
    half = model.double().run_with_cache(images.double())[1].to(torch.float16)
    assert {tensor.dtype for tensor in half.values()} == {torch.float16}


def test_a_cache_does_not_outlive_the_last_reference_to_it(model: MLP, images: Tensor) -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        _, cache = model.run_with_cache(images)
        tensor = weakref.ref(cache["layers.0.hook_post"])
        del cache
        assert tensor() is None  # no circle waits for the garbage collector
    finally:
        gc.enable()


def test_settings_of_the_test_network_are_what_the_tests_assume() -> None:
    assert list(MLP(SMALL).hook_points) == NAMES
