"""Maps whose channels stand last, and sequences whose first axis counts steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
import small_runs
from neural_microscope.errors import HookError

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


def test_a_layer_that_mixes_the_last_axis_has_its_channels_there() -> None:
    found = nm.activations(network(), IMAGES, ["0.conv.hook_out", "1.hook_out", "3.hook_out"])
    assert found["0.conv.hook_out"].sizes == {"example": 6, "channel": 5, "row": 8, "col": 8}
    for name in ("1.hook_out", "3.hook_out"):
        assert found[name].sizes == {"example": 6, "row": 8, "col": 8, "channel": 4}


def test_what_may_be_either_is_asked_for_by_name_and_given_no_names_unasked() -> None:
    with pytest.raises(HookError, match=r"'0.hook_out' holds \[6, 8, 8, 5\], .* give axes="):
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
def test_a_measure_does_not_take_rows_for_channels(name: str) -> None:
    with pytest.raises(HookError, match="which is or may be"):
        nm.analysis.causal.ablate_all(network(), IMAGES, name)
    lens = nm.hooked(network())
    assert lens.run_with_hooks(IMAGES.tensor(), stop_at=name).shape[1:3] == (8, 8)


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
