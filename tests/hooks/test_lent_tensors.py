"""The caller's tensors are his: a module that writes into what it is given changes nothing that is used again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import neural_microscope as nm
import neural_microscope.phantoms  # every measure is registered
from neural_microscope.analysis import attribution, dictionary
from neural_microscope.measure import Measure, every

POINT = "late.hook_out"
DATA = nm.data.load("digits")
IMAGES, OTHERS = DATA.test.subset(np.arange(30)), DATA.test.subset(np.arange(30, 60))


class Careful(nn.Module):
    """convolution -> ReLU -> dense -> ReLU -> dense on shifted pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.early = nn.Conv2d(1, 2, 3), nn.ReLU()
        self.first, self.late, self.last = nn.Linear(72, 12), nn.ReLU(), nn.Linear(12, 10)

    def forward(self, z: Tensor) -> Tensor:
        maps = self.early(self.conv(self.shifted(z)))
        return self.last(self.late(self.first(maps.flatten(1))))

    def shifted(self, z: Tensor) -> Tensor:
        return z - 0.3


class Writing(Careful):
    """The same, but it writes into what it is given."""

    def shifted(self, z: Tensor) -> Tensor:
        return z.sub_(0.3)


def test_activations_leave_the_callers_images_as_they_are() -> None:
    images = IMAGES.tensor()
    kept = images.clone()
    found, twin = (nm.activations(one(), images, POINT)[POINT] for one in (Writing, Careful))
    assert torch.equal(images, kept)
    xr.testing.assert_identical(found, twin)


@pytest.mark.parametrize("call", [lambda lens, x: lens(x), lambda lens, x: lens.run_with_cache(x)[0]])
def test_a_hooked_module_does_so_too_inside_lists_and_keywords(call: Callable[..., Tensor]) -> None:
    class Nested(Writing):
        def forward(self, given: list[Tensor], more: Mapping[str, Tensor] | None = None) -> Tensor:
            return super().forward(given[0]) + (more["z"].mul_(0).sum() if more else 0)

    images, more = [IMAGES.tensor()], {"z": torch.ones(3)}
    lens = nm.hooked(Nested())
    first, second = call(lens, images), lens(images, more=more)
    assert torch.equal(first, second)
    assert torch.equal(images[0], IMAGES.tensor())
    assert torch.equal(more["z"], torch.ones(3))


class Halving(nn.Module):
    """Writes half of what it is given into it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(0.5)


def halving(place: str) -> nm.MLP:
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(6,)))
    setattr(model.get_submodule("layers.0"), place, Halving())
    return model


def test_a_layer_of_ours_that_was_replaced_by_one_that_writes_leaves_what_was_seen_before() -> None:
    model, images = halving("activation"), IMAGES.tensor()
    _, cache = model.run_with_cache(images)
    torch.testing.assert_close(cache["layers.0.hook_post"], cache["layers.0.hook_pre"] * 0.5)
    given = cache["layers.0.hook_pre"].clone()
    model.run_from("layers.0.hook_pre", given)
    assert torch.equal(given, cache["layers.0.hook_pre"])


def test_a_first_layer_of_ours_that_writes_leaves_the_callers_images() -> None:
    model, images = halving("linear"), IMAGES.tensor()
    model.output = nn.Linear(64, 10)
    kept = images.clone()
    model(images)
    assert torch.equal(images, kept)


@pytest.mark.parametrize("shape", [(3, 6), (1, 6)])
def test_a_layer_that_writes_leaves_what_is_patched_in(shape: tuple[int, ...]) -> None:
    model, source = halving("activation"), torch.ones(shape)
    with model.hooks([("layers.0.hook_pre", nm.interventions.patch(source))]):
        model(IMAGES.tensor()[:3])
    assert torch.equal(source, torch.ones(shape))


def test_gradients_reach_the_callers_images_through_the_copy() -> None:
    found = []
    for one in (Writing, Careful):
        images = IMAGES.tensor().requires_grad_()
        nm.hooked(one())(images).sum().backward()
        found.append(images.grad)
    assert torch.equal(*found)


def test_a_module_with_hook_points_of_its_own_is_lent_copies_too() -> None:
    class Pointed(nm.HookedModel):
        def __init__(self) -> None:
            super().__init__()
            self.point, self.inner = nm.HookPoint(), Writing()

        def forward(self, z: Tensor) -> Tensor:
            return self.point(self.inner(z))

    images = IMAGES.tensor()
    Pointed()(images)
    assert torch.equal(images, IMAGES.tensor())


def test_training_and_recording_say_the_same_of_it(tmp_path: Path) -> None:
    found = []
    for name, one in (("writing", Writing), ("careful", Careful)):
        recorder = nm.Recorder(tmp_path / name, nm.RecordConfig(per_octave=1, probe_size=50))
        history = nm.train(one(), DATA, nm.TrainConfig(epochs=1), observers=[recorder])
        log = nm.Run.open(tmp_path / name).log.drop_vars("seconds").load()
        assert float(log["test_accuracy"][-1]) == history.test.accuracy
        found.append(log)
    xr.testing.assert_equal(*found)


MAPS = attribution.saliency(Careful(), IMAGES.subset([0]))["attribution"]
ACTS = nm.activations(Careful(), IMAGES, POINT)[POINT]
GIVEN: dict[str, Any] = {
    **{"images": IMAGES, "clean": IMAGES, "corrupted": OTHERS, "hook_point": POINT, "hook_points": POINT, "unit": 1},
    **{"attribution": MAPS, "sender": ("first.hook_out", 1), "receiver": (POINT, 2)},
    **{"fwd_hooks": [(POINT, lambda tensor, hook: tensor * 0.5)], "acts": ACTS},
    **{"sae": dictionary.random_sae(ACTS, 16, 2), "image_shape": (8, 8)},
}
LESS = {"draws": 2, "steps": 3, "seeds": [0], "networks": 2, "iterations": 2, "n": 3, "resamples": 2}
OWN: dict[str, dict[str, Any]] = {
    "attribution.against_untrained": {"method": attribution.saliency},
    "attribution.sanity_check": {"method": attribution.saliency},
    "attribution.deletion_insertion": {"images": IMAGES.subset([0])},
    "attribution.grad_cam": {"hook_point": "early.hook_out"},
}
MEASURES = [one for one in every() if "model" in inspect.signature(one.function).parameters]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_every_measure_gives_what_it_gives_of_a_module_that_does_not_write(measure: Measure) -> None:
    takes = inspect.signature(measure.function).parameters
    given = {name: value for name, value in (GIVEN | LESS).items() if name in takes} | OWN.get(measure.name, {})
    found, twin = (measure.function(model=one().eval(), **given) for one in (Writing, Careful))
    xr.testing.assert_equal(found, twin)
