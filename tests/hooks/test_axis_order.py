"""Maps whose channels stand last, and sequences whose first axis counts steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
import small_runs
from neural_microscope.errors import HookError

LAST = ("example", "row", "col", "channel")
IMAGES = small_runs.images(6, 0, side=8)


class Last(nn.Module):
    """A map of five channels as [example, row, col, channel]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 5, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images).permute(0, 2, 3, 1)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(Last(), nn.Linear(5, 4), nn.GELU(), nn.LayerNorm(4), nn.Flatten(), nn.Linear(256, 3))


def test_a_square_map_as_wide_as_a_dense_layer_behind_it_has_its_channels_first() -> None:
    conv = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(320, 8), nn.Linear(8, 3))
    found = nm.activations(conv, IMAGES, "1.hook_out")["1.hook_out"]
    assert found.sizes == {"example": 6, "channel": 5, "row": 8, "col": 8}


def test_a_layer_that_mixes_the_last_axis_has_its_channels_there() -> None:
    found = nm.activations(network(), IMAGES, ["0.conv.hook_out", "1.hook_out", "2.hook_out", "3.hook_out"])
    assert found["0.conv.hook_out"].sizes == {"example": 6, "channel": 5, "row": 8, "col": 8}
    for name in ("1.hook_out", "2.hook_out", "3.hook_out"):  # the GELU holds four channels as the layer before it
        assert found[name].sizes == {"example": 6, "row": 8, "col": 8, "channel": 4}


def test_what_may_be_either_is_asked_for_by_name_and_given_no_names_unasked() -> None:
    with pytest.raises(HookError, match=r"'0.hook_out' holds \[6, 8, 8, 5\], .* name its axes once, nm.hooked"):
        nm.activations(network(), IMAGES, "0.hook_out")
    assert nm.activations(network(), IMAGES)["0.hook_out"].dims == ("example", "axis_1", "axis_2", "axis_3")
    said = nm.activations(network(), IMAGES, "0.hook_out", axes=("example", "row", "col", "channel"))["0.hook_out"]
    first = nm.activations(network(), IMAGES, "0.conv.hook_out")["0.conv.hook_out"]
    np.testing.assert_array_equal(said.transpose(*first.dims).values, first.values)


@pytest.mark.parametrize("axes", ["row", ("example", "unit"), ("row", "example", "col", "channel")])
def test_axes_that_do_not_name_each_are_refused(axes: tuple[str, ...]) -> None:
    with pytest.raises(HookError, match=r"axes is .*; '1.hook_out' holds \[6, 8, 8, 4\]: name each axis"):
        nm.activations(network(), IMAGES, "1.hook_out", axes=axes)


@pytest.mark.parametrize("name", ["0.hook_out", "1.hook_out", "2.hook_out", "3.hook_out"])
def test_a_measure_changes_channels_where_they_stand(name: str) -> None:
    model = network()
    if name == "0.hook_out":
        with pytest.raises(HookError, match=r"may be \[example, channel, row, col\] or \[example, row, col, channel\]"):
            nm.analysis.causal.ablate_all(model, IMAGES, name)
    lens = nm.hooked(model, axes={"0.hook_out": LAST})
    found = nm.analysis.causal.ablate_all(lens, IMAGES, name)["loss_change"]
    layer, images, labels = model[int(name[0])], IMAGES.tensor(), IMAGES.label_tensor()
    before = nn.functional.cross_entropy(model(images), labels, reduction="none")
    for channel in range(found.sizes["channel"]):

        def cut(module: nn.Module, given: tuple, output: Tensor, channel: int = channel) -> Tensor:
            return output * (torch.arange(output.shape[-1]) != channel)

        handle = layer.register_forward_hook(cut)
        after = nn.functional.cross_entropy(model(images), labels, reduction="none")
        handle.remove()
        np.testing.assert_allclose(found[channel], (after - before).detach(), atol=1e-5)
        zeroed = lens.run_with_hooks(images, fwd_hooks=[(name, nm.interventions.zero(channel=channel))])
        assert nn.functional.cross_entropy(zeroed, labels, reduction="none").equal(after)
    assert lens.run_with_hooks(images, stop_at=name).shape[1:3] == (8, 8)


class Steps(nn.Module):
    """A sequence [step, example, unit], of one step for each row."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0].transpose(0, 1)


def test_steps_are_not_taken_for_examples_where_there_are_as_many() -> None:
    model = nn.Sequential(Steps(), nn.Linear(8, 3))
    images = IMAGES.tensor().repeat(2, 1, 1, 1)[:8]
    with pytest.raises(HookError, match=r"'0.hook_out' holds \[8, 2, 8\] for 2 images: its first axis does not count"):
        nm.activations(model, images, "0.hook_out")
    with pytest.raises(HookError, match="nothing to keep"):
        nm.activations(model, images)
    rows_first = nm.activations(nn.Flatten(1, 2), images, "hook_out")["hook_out"]
    assert rows_first.sizes["example"] == 8


class ChannelNorm(nn.LayerNorm):
    """A LayerNorm over the channels of [example, channel, row, col], as in ConvNeXt."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Pattern(nn.Module):
    """Attention with two heads whose pattern has as many keys as the layer has units: [example, head, query, key]."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        queries = tokens.unflatten(2, (2, 4)).transpose(1, 2)
        pattern = (queries @ queries.mT).softmax(-1)
        return self.out((pattern @ queries).transpose(1, 2).flatten(2)), pattern


def test_a_norm_that_moves_the_channels_has_them_first() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), ChannelNorm(4))
    assert nm.activations(model, IMAGES, "1.hook_out")["1.hook_out"].dims == ("example", "channel", "row", "col")


def test_a_pattern_is_not_taken_for_a_map_with_channels_last() -> None:
    found = nm.activations(nn.Sequential(nn.Flatten(1, 2), Pattern()), torch.rand(6, 1, 8, 8))
    assert found["1.hook_out.1"].dims == ("example", "axis_1", "axis_2", "axis_3")


class Convolved(nn.Module):
    """Tokens through dense layers and a convolution that has as many channels as there are tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.conv, self.down = nn.Linear(8, 12), nn.Conv1d(12, 12, 3, padding=1), nn.Linear(12, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.down(self.conv(self.up(tokens).mT).mT)


def test_as_many_tokens_as_channels_is_ambiguous() -> None:
    found = nm.activations(nn.Sequential(Convolved(), nn.Identity()), torch.rand(6, 12, 8))
    assert found["0.hook_out"].dims == ("example", "axis_1", "axis_2")
    assert found["0.down.hook_out"].dims == ("example", "token", "unit")
    fewer = nm.activations(nn.Sequential(Convolved(), nn.Identity()), torch.rand(6, 11, 8))
    assert fewer["0.hook_out"].dims == ("example", "token", "unit")


@pytest.mark.parametrize(
    ("turned", "dims"), [(True, ("example", "token", "unit")), (False, ("example", "channel", "col"))]
)
def test_patches_of_a_convolution_are_tokens_or_columns_and_unclear_where_as_many_as_channels(
    turned: bool, dims: tuple[str, ...]
) -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 16, 2, 2)

        def forward(self, images: Tensor) -> Tensor:
            flat = self.conv(images).flatten(2)
            return flat.transpose(1, 2) if turned else flat

    model = nn.Sequential()
    model.add_module("patches", Patches())
    model.add_module("after", nn.Identity())
    for side, right in ((6, dims), (8, ("example", "axis_1", "axis_2"))):
        found = nm.activations(model, torch.rand(3, 1, 8, side))
        assert found["patches.hook_out"].dims == found["after.hook_out"].dims == right
