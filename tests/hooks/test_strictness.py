"""Mistakes that other tools pass over in silence."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Odd, Twice, census, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import HookedModel, HookPoint, hooked
from neural_microscope.errors import HookError, UnknownName
from neural_microscope.models import MLP

NAMES = list(small_mlp().hook_points)


@pytest.fixture
def model() -> MLP:
    return small_mlp()


@pytest.fixture
def images() -> Tensor:
    return small_images()


def uses(model: HookedModel, images: Tensor, names_filter: object) -> list[Callable[[], object]]:
    """Every way to say which hook points are meant."""

    def block() -> None:
        with model.hooks([(names_filter, lambda tensor, hook: tensor)]):
            model(images)

    return [
        lambda: model.run_with_cache(images, names_filter=names_filter),
        lambda: model.run_with_hooks(images, fwd_hooks=[(names_filter, lambda tensor, hook: tensor)]),
        lambda: model.add_hook(names_filter, lambda tensor, hook: tensor),
        block,
    ]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NAMES), st.integers(0, 30), st.sampled_from("xq_."))
def test_a_mistyped_name_is_an_error_that_offers_the_nearest(name: str, at: int, letter: str) -> None:
    at %= len(name)
    typo = name[:at] + letter + name[at + 1 :]
    if typo == name:
        return
    model = small_mlp()
    for use in uses(model, small_images(), typo):
        with pytest.raises(UnknownName) as caught:
            use()
        assert f"no hook point {typo!r}; there are: input, layers.0.hook_pre" in str(caught.value)
        assert name in str(caught.value).partition("did you mean")[2]


@pytest.mark.parametrize(
    ("names_filter", "said"),
    [
        ((), "empty collection: it would select nothing"),
        (set(), "empty collection"),
        ("", "no hook point ''"),
        (["input", "layer.0"], "no hook point 'layer.0'"),
        (lambda name: name == "fc1", "the predicate matches no hook point; there are: input, layers.0.hook_pre"),
        ("logits@x", "no hook point 'logits@x'"),
        ("logits@", "no hook point 'logits@'"),
        ("logits@-1", "no hook point 'logits@-1'"),
    ],
)
def test_a_filter_that_matches_nothing_is_an_error(model: MLP, images: Tensor, names_filter: object, said: str) -> None:
    before = census(model)
    for use in uses(model, images, names_filter):
        with pytest.raises(UnknownName, match=said):
            use()
    assert census(model) == before


@pytest.mark.parametrize(
    ("names_filter", "said"),
    [(5, "a filter must be None, a name, names or a predicate; got int"), ([0], "must be a string; got int 0")],
)
def test_a_filter_of_another_kind_is_an_error(model: MLP, images: Tensor, names_filter: object, said: str) -> None:
    for use in uses(model, images, names_filter):
        with pytest.raises(HookError, match=said):
            use()


def test_a_model_without_hook_points_says_how_to_get_some(images: Tensor) -> None:
    class Empty(HookedModel):
        def forward(self, x: Tensor) -> Tensor:
            return x

    for use in uses(Empty(), images, None):
        with pytest.raises(UnknownName, match=r"no hook points; .* hooked\(module\)"):
            use()


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda t: t[:1], r"\[1, 6\] float32 on cpu"),
        (lambda t: t.sum(1), r"\[7\] float32 on cpu"),
        (lambda t: t.double(), r"\[7, 6\] float64 on cpu"),
        (lambda t: t.to("meta"), r"\[7, 6\] float32 on meta"),
    ],
)
def test_another_shape_dtype_or_device_is_an_error_unless_not_strict(
    model: MLP, images: Tensor, change: Callable, got: str
) -> None:
    hook = ("layers.0.hook_post", lambda tensor, hook: change(tensor))
    said = rf"'layers\.0\.hook_post' returned {got}; what came was \[7, 6\] float32 on cpu. strict=False"
    with pytest.raises(HookError, match=said):
        model.run_with_hooks(images, fwd_hooks=[hook])
    with pytest.raises(HookError, match=said), model.hooks([hook]):
        model(images)
    expected = change(model.run_with_hooks(images, stop_at="layers.0.hook_post"))
    for lenient in (
        lambda: model.run_with_hooks(images, fwd_hooks=[hook], stop_at="layers.0.hook_post", strict=False),
        lambda: lenient_block(model, images, hook),
    ):
        result = lenient()
        assert (result.shape, result.dtype, result.device) == (expected.shape, expected.dtype, expected.device)
    model.add_hook(*hook)
    with pytest.raises(HookError, match=said):
        model(images)
    model.reset_hooks()
    model.add_hook(*hook, strict=False)
    assert model.run_with_hooks(images, stop_at="layers.0.hook_post").shape == expected.shape


def lenient_block(model: MLP, images: Tensor, hook: tuple) -> Tensor:
    with model.hooks([hook], strict=False):
        return model.run_with_hooks(images, stop_at="layers.0.hook_post")


def test_a_resize_in_place_is_another_shape(model: MLP, images: Tensor) -> None:
    def stretch(tensor: Tensor, hook: HookPoint) -> None:
        tensor.unsqueeze_(1)

    with pytest.raises(HookError, match=r"returned \[7, 1, 6\]"):
        model.run_with_hooks(images, fwd_hooks=[("layers.0.hook_post", stretch)])


def test_a_gradient_of_another_shape_is_an_error(model: MLP, images: Tensor) -> None:
    with (
        pytest.raises(HookError, match=r"'layers\.0\.hook_post' returned \[7, 1\]"),
        model.hooks(bwd_hooks=[("layers.0.hook_post", lambda gradient, hook: gradient[:, :1])]),
    ):
        model(images).sum().backward()


@pytest.mark.parametrize("value", [3, [1.0], True])
def test_a_hook_returns_a_tensor_or_none(model: MLP, images: Tensor, value: object) -> None:
    with pytest.raises(HookError, match=f"returned {type(value).__name__}; it must return a tensor or None"):
        model.run_with_hooks(images, fwd_hooks=[("logits", lambda tensor, hook: value)])


def positional(v: Tensor, h: object) -> Tensor:
    return v


def alone(v: Tensor) -> Tensor:
    return v


def three(v: Tensor, w: Tensor, hook: object) -> Tensor:
    return v


@pytest.mark.parametrize("function", [positional, alone, three])
def test_a_wrong_signature_is_explained_before_anything_runs(model: MLP, images: Tensor, function: Callable) -> None:
    said = rf"called as f\(tensor, hook=point\); {function.__name__}\(v.*can't be"
    ran = []
    model.register_forward_pre_hook(lambda *_: ran.append(1))
    for direction in ("fwd_hooks", "bwd_hooks"):
        with pytest.raises(HookError, match=said), model.hooks(**{direction: [("logits", function)]}):
            model(images)
    with pytest.raises(HookError, match=said):
        model.add_hook("logits", function)
    assert not ran


class Callback:
    def __call__(self, tensor: Tensor, hook: HookPoint) -> Tensor:
        return tensor * 2

    def method(self, tensor: Tensor, hook: HookPoint) -> Tensor:
        return tensor * 2


@pytest.mark.parametrize(
    "function",
    [
        Callback(),
        Callback().method,
        functools.partial(lambda factor, tensor, hook: tensor * factor, 2),
        lambda anything, /, *, hook: anything * 2,
        lambda *args, **kwargs: args[0] * 2,
        lambda tensor, hook, extra=2: tensor * extra,
    ],
)
def test_every_callable_that_takes_a_tensor_and_hook_will_do(model: MLP, images: Tensor, function: Callable) -> None:
    assert torch.equal(model.run_with_hooks(images, fwd_hooks=[("logits", function)]), model(images) * 2)


@pytest.mark.parametrize("settings", [{"dropout": 0.5}, {"norm": "batch"}])
def test_a_cache_of_a_network_in_training_mode_warns_once(settings: dict, images: Tensor) -> None:
    model = small_mlp(**settings).train()
    with pytest.warns(UserWarning, match=r"training mode with dropout or batch normalization.*model\.eval\(\)") as seen:
        model.run_with_cache(images)
    assert seen[0].filename == __file__
    model.run_with_cache(images)  # a second warning would be an error here
    with pytest.warns(UserWarning, match="training mode"):
        small_mlp(**settings).train().run_with_cache(images)  # once for each model


def test_no_warning_where_training_mode_changes_nothing(images: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_mlp(dropout=0.5).eval().run_with_cache(images)
        small_mlp(norm="layer").train().run_with_cache(images)
        hooked(nn.Sequential(nn.InstanceNorm2d(1), nn.Flatten())).run_with_cache(images)


def test_a_wrapped_module_warns_by_its_own_mode_not_the_wrappers(images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout()).eval()
    lens = hooked(net)
    net.train()
    with pytest.warns(UserWarning, match="training mode"):
        lens.run_with_cache(images)


def test_a_hook_that_no_forward_pass_reached_is_an_error_at_the_end(images: Tensor) -> None:
    lens = hooked(Odd())
    hook = ("unused.hook_out", lambda tensor, hook: tensor)
    with (
        pytest.raises(HookError, match=r"never reached unused\.hook_out: nothing was read or changed"),
        lens.hooks([hook]),
    ):
        lens(images)
    with lens.hooks([hook]):
        pass  # no forward pass: nothing can be said
    with pytest.raises(ZeroDivisionError), lens.hooks([hook]):
        print(lens(images) / (1 // 0))  # the first error is the one to see


def test_of_what_a_predicate_means_one_point_reached_is_enough_and_none_is_an_error(images: Tensor) -> None:
    lens = hooked(Odd())

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        seen.append(hook.name)

    seen: list[str] = []
    with lens.hooks([(lambda name: name.startswith(("unused", "body.0")), keep)]):
        lens(images)
    assert seen == ["body.0.hook_out"]
    unreached = (lambda name: name.startswith("unused"), keep)
    with pytest.raises(HookError, match=r"never reached unused\.hook_out"), lens.hooks([("hook_out", keep), unreached]):
        lens(images)


def test_a_call_that_does_not_happen_is_an_error(images: Tensor) -> None:
    lens = hooked(Twice())
    with (
        pytest.raises(HookError, match=r"never reached relu\.hook_out@2"),
        lens.hooks([(["relu.hook_out@0", "relu.hook_out@2"], lambda tensor, hook: tensor)]),
    ):
        lens(images)
