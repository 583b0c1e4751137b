"""Interventions against the same change made by hand in plain torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neural_microscope import CNNConfig, HookPoint, MLPConfig, hooked
from neural_microscope.errors import HookError
from neural_microscope.interventions import mean, patch, resample, scale, steer, zero
from neural_microscope.models import CNN, MLP

ODD = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e38, 1.5])
POINT = HookPoint("layers.0.hook_post")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32)


REFERENCE = {2: noise(9, 6, seed=1), 4: noise(9, 3, 2, 4, seed=1)}
REFERENCE64 = {rank: reference.double() for rank, reference in REFERENCE.items()}
MAKERS: dict[str, Callable] = {
    "zero": lambda rank, **which: zero(**which),
    "scale": lambda rank, **which: scale(-2.5, **which),
    "mean": lambda rank, **which: mean(REFERENCE[rank], **which),
    "resample": lambda rank, **which: resample(REFERENCE[rank], seed=4, **which),
    "patch": lambda rank, **which: patch(REFERENCE[rank][:5], **which),
    "patch one": lambda rank, **which: patch(REFERENCE[rank][2:3], **which),
    "steer": lambda rank, **which: steer(REFERENCE[rank][3], 0.5, **which),
}


def by_hand(kind: str, tensor: Tensor) -> Tensor:
    """The value of every element after the change."""
    rank, n = tensor.ndim, len(tensor)
    drawn = torch.randint(9, (n,), generator=torch.Generator().manual_seed(4))
    return {
        "zero": tensor * 0 if tensor.isfinite().all() else torch.zeros(tensor.shape),
        "scale": tensor * -2.5,
        "mean": (REFERENCE64[rank].sum(0) / 9).float().repeat(n, *[1] * (rank - 1)),
        "resample": torch.stack([REFERENCE[rank][i] for i in drawn]),
        "patch": REFERENCE[rank][:5],
        "patch one": torch.cat([REFERENCE[rank][2:3]] * n),
        "steer": tensor + 0.5 * REFERENCE[rank][3],
    }[kind]


@settings(deadline=None, max_examples=200)
@given(data=st.data(), kind=st.sampled_from(sorted(MAKERS)), maps=st.booleans(), odd=st.booleans())
def test_the_selected_is_replaced_and_the_rest_stays_bit_for_bit(
    data: st.DataObject, kind: str, maps: bool, odd: bool
) -> None:
    tensor = noise(5, 3, 2, 4) if maps else noise(5, 6)
    if odd:
        tensor.view(-1)[::3] = ODD.repeat(20)[: len(tensor.view(-1)[::3])]
    size, original = tensor.shape[1], tensor.clone()
    way = data.draw(st.sampled_from(["all", "index", "indices", "mask"]))
    selected = torch.zeros(tensor.shape[1:], dtype=torch.bool)
    if way == "all":
        which = {}
        selected[:] = True
    elif way == "mask":
        shape = data.draw(st.sampled_from([tensor.shape[1:], (size, *[1] * (tensor.ndim - 2)), tensor.shape[-1:]]))
        mask = torch.tensor(
            data.draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        )
        which = {"mask": mask.reshape(shape)}
        selected[:] = mask.reshape(shape)
    else:
        chosen = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=1 if way == "index" else 4))
        form = data.draw(st.sampled_from([list, tuple, torch.tensor, np.array])) if way == "indices" else None
        which = {"channel" if maps else "unit": form(chosen) if form else chosen[0]}
        selected[chosen] = True
    result = MAKERS[kind](tensor.ndim, **which)(tensor, hook=POINT)
    assert torch.equal(bits(tensor), bits(original))
    assert result.shape == tensor.shape
    outside = ~selected.expand(tensor.shape)
    assert torch.equal(bits(result[outside]), bits(original[outside]))
    inside = selected.expand(tensor.shape)
    torch.testing.assert_close(result[inside], by_hand(kind, original)[inside], rtol=1e-6, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("tensor", [noise(5, 6), noise(5, 3, 2, 4), ODD[None].repeat(4, 1)])
def test_scale_by_one_changes_no_bit(tensor: Tensor) -> None:
    assert torch.equal(bits(scale(1)(tensor, hook=POINT)), bits(tensor))
    assert torch.equal(bits(scale(1.0)(tensor, hook=POINT)), bits(tensor))


def test_zero_is_zero_also_of_nan_and_infinity() -> None:
    assert torch.equal(bits(zero()(ODD[None], hook=POINT)), torch.zeros(1, 6, dtype=torch.int32))


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_on_an_mlp_it_is_the_plain_network_edited_by_hand(kind: str) -> None:
    model = MLP(MLPConfig(image_shape=(3, 3), classes=4, hidden=(6, 6)), seed=2).eval()
    images = torch.rand(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    head = nn.Sequential(nn.Flatten(), model.layers[0].linear, nn.ReLU())
    tail = nn.Sequential(model.layers[1].linear, nn.ReLU(), model.output)
    with torch.no_grad():
        hidden = head(images)
        edited = hidden.clone()
        edited[:, [1, 4]] = by_hand(kind, hidden)[:, [1, 4]]
        with model.hooks([("layers.0.hook_post", MAKERS[kind](2, unit=[1, 4]))]):
            torch.testing.assert_close(model(images), tail(edited))
        edited = by_hand(kind, hidden)
        with model.hooks([("layers.0.hook_post", MAKERS[kind](2))]):
            torch.testing.assert_close(model(images), tail(edited))


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_on_a_cnn_it_is_the_plain_network_edited_by_hand(kind: str) -> None:
    model = CNN(CNNConfig(image_shape=(2, 4), channels=(3,), pool="none", head=()), seed=2).eval()
    images = torch.rand(5, 1, 2, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = nn.functional.conv2d(images, model.layers[0].conv.weight, model.layers[0].conv.bias, padding=1).clamp(
            min=0
        )
        edited = maps.clone()
        edited[:, 2] = by_hand(kind, maps)[:, 2]
        with model.hooks([("layers.0.hook_post", MAKERS[kind](4, channel=2))]):
            torch.testing.assert_close(model(images), model.output(edited.flatten(1)))


def test_on_a_foreign_module_the_source_stays_as_it_was() -> None:
    lens = hooked(nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.ReLU(inplace=True), nn.Linear(6, 2)))
    source = noise(5, 6)
    before = source.clone()
    for function in (patch(source), patch(source[:1]), mean(source), resample(source)):
        lens.run_with_hooks(torch.rand(5, 1, 3, 3), fwd_hooks=[("1.hook_out", function)])
    assert torch.equal(source, before)


def test_several_layers_can_be_changed_at_once_and_gradients_flow_where_they_should() -> None:
    model = MLP(MLPConfig(image_shape=(3, 3), classes=4, hidden=(6, 5)), seed=2)
    images = torch.rand(5, 1, 3, 3)
    with model.hooks([("layers.0.hook_post", zero(unit=3)), ("layers.1.hook_pre", scale(2.0, unit=0))]):
        model(images).square().sum().backward()
    assert (model.layers[0].linear.weight.grad[3] == 0).all()
    assert (model.layers[0].linear.weight.grad[[0, 1, 2, 4, 5]] != 0).any()
    assert (model.layers[1].linear.weight.grad[:, 3] == 0).all()
    direction = torch.zeros(6, requires_grad=True)
    with model.hooks([("layers.0.hook_post", steer(direction))]):
        model(images)[:, 1].sum().backward()
    assert (direction.grad != 0).any()  # a steering direction can be learned


def test_resample_is_seeded_draws_examples_whole_and_goes_on_from_batch_to_batch() -> None:
    pool, tensor = noise(50, 6), torch.zeros(20, 6)
    one, two, other = resample(pool, seed=3), resample(pool, seed=3), resample(pool, seed=5)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = one(tensor, hook=POINT), one(tensor, hook=POINT)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, two(tensor, hook=POINT))
    assert torch.equal(second, two(tensor, hook=POINT))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other(tensor, hook=POINT))
    assert all((pool == row).all(1).any() for row in first)


def test_resample_draws_every_example_equally_often() -> None:
    pool = torch.arange(8.0).reshape(8, 1)
    drawn = resample(pool, seed=0)(torch.zeros(8000, 1), hook=POINT)
    counts = torch.bincount(drawn.flatten().long(), minlength=8).double()
    assert (counts - 1000).abs().max() < 150  # five standard deviations


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: t.numpy(), lambda t: t.tolist(), lambda t: xr.DataArray(t.numpy())]
)
@pytest.mark.parametrize("maker", [mean, resample, patch])
def test_values_come_as_tensor_array_list_or_dataarray(wrap: Callable, maker: Callable) -> None:
    reference, tensor = noise(5, 6), noise(5, 6, seed=1)
    expected = maker(reference)(tensor, hook=POINT)
    result = maker(wrap(reference))(tensor, hook=POINT)
    torch.testing.assert_close(result, expected)
    assert result.dtype == tensor.dtype
    torch.testing.assert_close(steer(wrap(reference[0]))(tensor, hook=POINT), tensor + reference[0])


def test_read_only_double_and_integer_values_are_taken() -> None:
    array = np.arange(30).reshape(5, 6)
    array.setflags(write=False)
    tensor = noise(5, 6)
    assert torch.equal(patch(array)(tensor, hook=POINT), torch.arange(30.0).reshape(5, 6))
    assert torch.equal(mean(array)(tensor, hook=POINT), torch.arange(12.0, 18).expand(5, 6))
    assert mean(array.astype(float))(tensor.half(), hook=POINT).dtype == torch.float16
    mask = np.array([True, False] * 3)
    mask.setflags(write=False)
    assert torch.equal(zero(mask=mask)(tensor, hook=POINT)[:, 1::2], tensor[:, 1::2])


DENSE, MAPS, CUBE = noise(5, 6), noise(5, 3, 2, 4), noise(5, 2, 3)


@pytest.mark.parametrize(
    ("make", "tensor", "said"),
    [
        (lambda: zero(unit=6), DENSE, "'layers.0.hook_post' has units 0 to 5; there is no unit 6"),
        (lambda: zero(unit=-1), DENSE, "units 0 to 5; there is no unit -1"),
        (lambda: zero(unit=[0, 9]), DENSE, "there is no unit 9"),
        (lambda: zero(channel=3), MAPS, "has channels 0 to 2; there is no channel 3"),
        (lambda: zero(unit=0), MAPS, "unit= was given, but 'layers.0.hook_post' has channels: use channel="),
        (lambda: zero(channel=0), DENSE, "channel= was given, but 'layers.0.hook_post' has units: use unit="),
        (lambda: zero(unit=0), CUBE, r"has 3 axes, \[example, axis_1, axis_2\]: name them with .*, or use mask="),
        (
            lambda: zero(unit=0, channel=0),
            DENSE,
            "unit and channel were given together; give one of unit, channel, mask",
        ),
        (lambda: zero(unit=0, mask=torch.ones(6) > 0), DENSE, "unit and mask were given together"),
        (lambda: scale(2, channel=0, mask=torch.ones(6) > 0), DENSE, "channel and mask were given together"),
        (lambda: zero(unit=[]), DENSE, "unit= is empty: it would select nothing"),
        (lambda: zero(unit=1.5), DENSE, "unit must be one or several indices; got torch.float64"),
        (lambda: zero(unit=[True, False]), DENSE, r"got torch.bool \(a boolean selection is mask=\)"),
        (lambda: zero(unit="3"), DENSE, "of numbers is needed; got str"),
        (lambda: zero(unit={1, 2}), DENSE, "of numbers is needed; got set"),
        (
            lambda: zero(mask=torch.ones(6)),
            DENSE,
            "the mask for 'layers.0.hook_post' is torch.float32; it must be boolean",
        ),
        (lambda: zero(mask=torch.ones(5) > 0), DENSE, r"has shape \[5\]; it must broadcast to \[6\]"),
        (lambda: zero(mask=torch.ones(5, 6) > 0), DENSE, r"has shape \[5, 6\]; it must broadcast to \[6\]"),
        (lambda: zero(mask=torch.ones(3) > 0), MAPS, r"has shape \[3\]; it must broadcast to \[3, 2, 4\]"),
        (lambda: zero(mask=torch.ones(4) > 0), noise(5, 1), r"has shape \[4\]; it must broadcast to \[1\]"),
        (lambda: patch(noise(4, 6)), DENSE, r"patch was given values of shape \[4, 6\]; .* holds \[5, 6\]"),
        (lambda: patch(noise(5, 7)), DENSE, r"shape \[5, 7\]"),
        (lambda: mean(noise(9, 5)), DENSE, r"mean was given values of shape \[5\]"),
        (lambda: resample(noise(9, 5)), DENSE, r"resample was given values of shape \[5, 5\]"),
        (lambda: steer(noise(5)), DENSE, r"steer was given values of shape \[5\]"),
        (lambda: steer(1.0), DENSE, r"steer was given values of shape \[\]"),
        (lambda: patch(torch.zeros(0, 6)), DENSE, r"shape \[0, 6\]; they must be \[example, …\] with at least one"),
        (lambda: mean(torch.tensor(1.0)), DENSE, r"shape \[\]; they must be \[example"),
        (lambda: mean(noise(6)), DENSE, r"shape \[6\]; they must be \[example"),
        (lambda: patch("values"), DENSE, "of numbers is needed; got str"),
        (lambda: steer(None), DENSE, "of numbers is needed; got NoneType"),
    ],
)
def test_what_cannot_be_says_what_is_possible(make: Callable, tensor: Tensor, said: str) -> None:
    with pytest.raises(HookError, match=said):
        make()(tensor, hook=POINT)


def test_an_impossible_selection_is_an_error_of_the_forward_pass() -> None:
    model = MLP(MLPConfig(image_shape=(3, 3), hidden=(6,)))
    with pytest.raises(HookError, match=r"'layers\.0\.hook_post' has units 0 to 5"):
        model.run_with_hooks(torch.rand(2, 1, 3, 3), fwd_hooks=[("layers.0.hook_post", zero(unit=128))])
