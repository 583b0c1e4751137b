"""The hook points of foreign networks that a recorder keeps, their names and sizes, and those that it leaves out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import neural_microscope as nm
import small_runs
from neural_microscope.errors import HookError, RunError
from neural_microscope.run import places

DATA = small_runs.data()
PROBE = small_runs.RECORD.probe_size
CONFIG = nm.TrainConfig(epochs=1, batch_size=30)


class Calls(nn.Module):
    """Gives whatever a function makes of its input."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, given: Tensor) -> Any:
        return self.function(given)


class Zoo(nn.Module):
    """Has a module for each kind of output; the hidden layer has as many units as there are probe images."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        self.hidden = nn.utils.parametrizations.weight_norm(nn.Linear(16, PROBE))
        self.positions = nn.Embedding(PROBE, 2)
        self.lstm = nn.LSTM(4, 3, batch_first=True)
        self.out = nn.Linear(PROBE, 3)
        self.others = nn.ModuleDict(modules)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.hidden(images.flatten(1))
        self.positions(torch.arange(PROBE))
        self.lstm(images.squeeze(1))
        for module in self.others.values():
            module(hidden)
        return self.out(hidden)


OTHERS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "scalar": (lambda x: x.mean(), "gives one number for all images"),
    "mean": (lambda x: x.mean(0), r"gives \[12\] for any number of images"),
    "first": (lambda x: x.T.unsqueeze(2), r"gives \[12, 12, 1\] for 12 images, .* along the second axis"),
    "flat": (lambda x: x.flatten(), r"gives \[144\] for 12 images, not a row for each"),
    "complex": (torch.fft.fft, "gives complex numbers"),
    "dict": (lambda x: {"x": 3}, "gives a dict, not a tensor"),
    "none": (lambda x: None, "gives None, not a tensor"),
    "sparse": (lambda x: x.to_sparse(), "gives a tensor that is not dense"),
    "empty": (lambda x: x[:, :0], r"gives \[12, 0\], which holds no number"),
}
NUMBERS: dict[str, tuple[Callable[[Tensor], Tensor], Any]] = {
    "over": (lambda x: x > 0, np.int64),
    "whole": (lambda x: (x * 99).to(torch.int8), np.int64),
    "float64": (lambda x: x.double(), np.float64),
    "one": (lambda x: x.mean(1), np.float32),
    "tokens": (lambda x: x.reshape(-1, 4, 3), np.float32),
}


def record(folder: Path, model: nn.Module, **settings: Any) -> tuple[nm.Run, list[str]]:
    """The run of one epoch, and what was said at its start."""
    recorder = nm.Recorder(folder, nm.RecordConfig(per_octave=0, probe_size=PROBE, **settings))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        nm.train(model, DATA, CONFIG, observers=[recorder])
    assert {Path(one.filename).name for one in said} <= {Path(__file__).name}
    return nm.Run.open(folder), [str(one.message) for one in said]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_is_left_out_with_its_reason(tmp_path: Path) -> None:
    columns = DATA.image_shape[0] * DATA.image_shape[1]
    inner = torch.jit.script(nn.Sequential(nn.Linear(columns, 6), nn.ReLU()))
    run, (line, *_) = record(tmp_path / "run", nn.Sequential(nn.Flatten(), inner, nn.Linear(6, DATA.classes)))
    assert line.startswith("not recorded: 1.hook_out belongs to a scripted module")
    assert {*run.description["left_out"]} == {"1.hook_out", "1.0.hook_out", "1.1.hook_out"}
    assert "2.hook_out" in run.hook_points


def test_what_is_not_the_images_is_left_out_once_by_name_and_reason_and_the_rest_is_kept(tmp_path: Path) -> None:
    kinds = OTHERS | NUMBERS
    model = Zoo(**{name: Calls(function) for name, (function, _) in kinds.items()})
    run, said = record(tmp_path / "run", model, tokens="all")
    (line,) = said
    left = run.description["left_out"]
    weights = "for any number of images, as weights and embeddings of positions do"
    assert line.startswith(f"not recorded: hidden.parametrizations.weight.0.hook_out gives [12, 16] {weights}; ")
    assert line.endswith("more, see run.json")
    assert left.pop("positions.hook_out") == f"gives [12, 2] {weights}"  # as many rows as there are images
    for name, (_, words) in OTHERS.items():
        assert re.match(words, left.pop(f"others.{name}.hook_out"))
    assert set(run.hook_points) == {
        "hidden.hook_out",
        "lstm.hook_out.0",
        "lstm.hook_out.1.0",
        "lstm.hook_out.1.1",
        "out.hook_out",
        "hook_out",
        *(f"others.{name}.hook_out" for name in NUMBERS),
    }
    hidden = run.activations("hidden.hook_out")[-1].to_numpy()
    for name, (function, dtype) in NUMBERS.items():
        logged = run.activations(f"others.{name}.hook_out", "maps")[-1]
        assert logged.dtype == dtype
        np.testing.assert_allclose(logged, function(torch.from_numpy(hidden)), rtol=1e-6)
    assert run.verify() == []


@pytest.mark.parametrize("name", ["scalar", "complex", "first"])
def test_what_cannot_be_recorded_is_refused_by_name_where_it_was_asked_for(tmp_path: Path, name: str) -> None:
    function, words = OTHERS[name]
    with pytest.raises(RunError, match=rf"hook point others\.{name}\.hook_out {words}.*; leave it out of RecordConfig"):
        record(
            tmp_path / "run", Zoo(**{name: Calls(function)}), hook_points=(f"others.{name}.hook_out", "out.hook_out")
        )
    assert list(tmp_path.iterdir()) == []


def test_a_tuple_that_was_asked_for_is_refused_and_what_was_not_is_not_spoken_of(tmp_path: Path) -> None:
    with pytest.raises(HookError, match=r"'lstm\.hook_out' saw a tuple"):
        record(tmp_path / "run", Zoo(), hook_points=("lstm.hook_out",))
    run, said = record(tmp_path / "run", Zoo(), hook_points=("hidden.hook_out",))
    assert (run.hook_points, said) == (["hidden.hook_out"], [])
    assert "left_out" not in run.description


@pytest.mark.parametrize("probe_size", [1, 2, 3])
def test_few_probe_images_tell_weights_from_activations_too(tmp_path: Path, probe_size: int) -> None:
    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.utils.parametrizations.orthogonal(nn.Linear(16, 3))

        def forward(self, images: Tensor) -> Tensor:
            return self.out(images.flatten(1))

    test = DATA.test.subset(np.arange(probe_size))
    data = nm.data.Dataset("few", DATA.train, test)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        nm.train(Weights(), data, CONFIG, observers=[nm.Recorder(tmp_path / "run")])
    assert nm.Run.open(tmp_path / "run").hook_points == ["out.hook_out", "hook_out"]
    assert any("parametrizations.weight.hook_out gives [3, 16]" in str(one.message) for one in said)


def test_a_state_that_is_no_tensor_is_one_error_before_anything_is_made(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        state: Any = torch.ones(2)

        def get_extra_state(self) -> Any:
            return self.state

        def set_extra_state(self, state: Any) -> None:
            self.state = state

    model = nn.Sequential(nn.Flatten(), Extra(16, 3))
    run, _ = record(tmp_path / "tensor", model)
    assert run.model(into=model)[1].state.tolist() == [1, 1]
    model[1].state = {"calls": 3}  # type: ignore[assignment]
    with pytest.raises(RunError, match=r"1\._extra_state of this Sequential is not a tensor.*get_extra_state"):
        record(tmp_path / "dict", model)
    assert not (tmp_path / "dict").exists()


def test_a_module_that_writes_into_its_images_changes_nothing_that_is_used_again(tmp_path: Path) -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(16, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.out(images.sub_(0.3).flatten(1))

    torch.manual_seed(0)
    model = Writes()
    run, _ = record(tmp_path / "run", model)
    images = DATA.test.tensor()
    plain = model.out((images - 0.3).flatten(1)).detach()
    nm.activations(model, images)
    assert torch.equal(images, DATA.test.tensor())
    assert float(run.log.test_loss[-1]) == pytest.approx(
        float(nn.functional.cross_entropy(plain, DATA.test.label_tensor()))
    )
    expected = run.model(into=model).out((run.probe.tensor() - 0.3).flatten(1))
    np.testing.assert_allclose(run.activations("out.hook_out")[-1], expected.detach(), rtol=1e-5, atol=1e-6)


# --- names ------------------------------------------------------------------------------------------------------------------

ODD = [
    *(
        "layers/0",
        "a\\b",
        "c:",
        "..",
        ".",
        "",
        "x" * 256,
        "é" * 200,
        "a\nb",
        "%2F",
        "CON",
        "aux.x",
        "zarr.json",
        "c",
        "A",
        "a",
        "b ",
        "b.",
    ),
    *(
        "step",
        "label",
        "class",
        "example",
        "snapshot",
        "training",
        "gradients",
        "training/loss",
        "seconds",
        "unit_a",
        "a.mean",
        "A.MEAN",
    ),
    *("\u00e9", "e\u0301", "x" * 256 + "y", "<script>", "*?|\x7f"),
]


def test_any_name_has_a_place_of_its_own_that_every_file_system_takes() -> None:
    found = places(ODD)
    assert list(found) == ODD
    folded = [place.casefold() for place in found.values()]
    assert len(set(folded)) == len(ODD)
    for place in found.values():
        assert nm.run.commits.names_a_file(f"log.zarr/{place}.mean/c.0.0")
        assert len(place.encode()) <= 210
        assert not re.search(r"""[/\\:*?"<>|\x00-\x1f\x7f]|[. ]\Z""", place)
    ours = list(small_runs.mlp().hook_points)
    assert places(ours) == {name: name for name in ours}


def test_a_layer_of_any_name_is_recorded_resumed_and_read_under_it(tmp_path: Path) -> None:
    names = [name for name in ODD if name != "training"]  # which no module can have

    class Points(nn.Sequential, nm.HookedModel):
        def forward(self, images: Tensor) -> Tensor:
            for number, name in enumerate(names):
                images = self._modules[name](images if number % 3 == 0 else images.flatten(1)).reshape(images.shape)  # type: ignore[misc]
            return self.out(images.flatten(1))

    def model() -> nn.Module:
        torch.manual_seed(0)
        points = Points()
        points._modules |= {name: nm.HookPoint() for name in names} | {"out": nn.Linear(16, 3)}
        return points

    class Stopping(nm.training.Observer):
        def stepped(self, training: nm.training.Training) -> None:
            if training.step == 2:
                raise KeyboardInterrupt

    folder, keep = tmp_path / "run", nm.RecordConfig(per_octave=1, probe_size=6, gallery_size=2)
    with pytest.raises(KeyboardInterrupt):
        nm.train(model(), DATA, CONFIG, observers=[nm.Recorder(folder, keep), Stopping()])
    net = model()
    nm.resume(folder, data=DATA, model=net)
    run = nm.Run.open(folder)
    assert run.verify() == []
    assert run.hook_points == names
    expected = nm.activations(run.model(into=net), run.probe)
    for name in run.hook_points:
        assert run.activations(name).shape[:2] == (len(run.steps), 6)
        if expected[name].ndim == 2:
            np.testing.assert_allclose(run.activations(name)[-1], expected[name], rtol=1e-5, err_msg=name)
        else:
            np.testing.assert_allclose(
                run.activations(name, "maps")[-1], expected[name][run.description["gallery"]], rtol=1e-5
            )
    assert set(xr.open_zarr(folder / "log.zarr").variables) == set(run.log.variables)


# --- how much ---------------------------------------------------------------------------------------------------------------


def test_a_snapshot_beyond_the_bound_is_an_error_before_the_first_step_that_says_what_is_large(tmp_path: Path) -> None:
    model = Zoo(tokens=Calls(lambda x: x.reshape(-1, 4, 3).repeat(1, 1, 2)))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    words = r"a snapshot takes 0\.0\d+ MB .*\(.*others\.tokens\.hook_out .*, 2 snapshots .*max_megabytes=0\.001\).*probe_size"
    with pytest.raises(RunError, match=words):
        record(tmp_path / "run", model, max_megabytes=0.001)
    assert list(tmp_path.iterdir()) == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_how_large_a_run_will_be_is_what_its_arrays_and_weights_take_and_is_said_where_it_is_much(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(nm.recordable, "MUCH", 0.001)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    run, said = record(tmp_path / "run", model)
    weights = sum(tensor.nbytes for tensor in run.weights().values())
    scores = sum(
        run.log[name][0].nbytes for name in ("seconds", "test_loss", "test_accuracy", "test_accuracy_by_class")
    )
    one = (weights + scores + sum(run.activations(name)[0].nbytes for name in run.hook_points)) / 1e6
    (line,) = said
    assert line.startswith(f"a snapshot takes {one:.3g} MB before compression")
    assert f"2 snapshots {2 * one:,.3g} MB" in line


def test_the_size_is_told_before_the_first_step_to_whoever_asks(tmp_path: Path) -> None:
    told: list[str] = []
    recorder = nm.Recorder(tmp_path / "run", small_runs.RECORD, tell=told.append)
    nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=0), observers=[recorder])
    assert told == [recorder.size]
    assert re.match(r"a snapshot takes 0\.\d+ MB before compression \(.*\), 1 snapshot 0\.\d+ MB$", recorder.size)


def test_a_hook_point_whose_shape_changes_stops_the_run_by_name_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.out, self.steps = nn.Identity(), nn.Linear(16, 3), 0

        def forward(self, images: Tensor) -> Tensor:
            self.steps += self.training
            self.part(images.flatten(1)[:, : 3 + (self.steps > 1)])
            return self.out(images.flatten(1))

    with pytest.raises(
        RunError, match=r"hook point part.hook_out gave \[12, 3\] at the first snapshot and gives \[12, 4\]"
    ):
        record(tmp_path / "run", Growing())
    assert nm.Run.open(tmp_path / "run").steps == [0]


# --- activations ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "batch_size"), [(12, 1024), (12, 12), (24, 12), (2, 1024), (1, 1024)])
def test_weights_are_never_taken_for_activations(count: int, batch_size: int) -> None:
    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.utils.parametrizations.weight_norm(nn.Linear(16, min(count, batch_size)))

        def forward(self, images: Tensor) -> Tensor:
            return self.out(images.flatten(1))

    images = DATA.test.tensor()[:count]
    assert set(nm.activations(Weights(), images, batch_size=batch_size)) == {"out.hook_out", "hook_out"}
    with pytest.raises(HookError, match="its first axis does not count them"):
        nm.activations(Weights(), images, "out.parametrizations.weight.hook_out", batch_size=batch_size)
