"""Runs of networks whose layers give sequences, states, patterns and maps with channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
import small_runs
from neural_microscope.data import Dataset
from neural_microscope.errors import RunError
from neural_microscope.run import Layout, reduced
from neural_microscope.training import Observer, Training

DATA = Dataset("made up", small_runs.images(90, 0, side=8), small_runs.images(30, 1, side=8))


class Sequence(nn.Module):
    """A recurrent network or a transformer over the rows of an image."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.recurrent = kind != "transformer"
        self.body: Any = nn.TransformerEncoderLayer(8, 2, 6, 0.0, batch_first=True)
        if self.recurrent:
            self.body = nn.LSTM(8, 5, num_layers=2 if kind == "two layers" else 1)
        self.out = nn.Linear(5 if self.recurrent else 8, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.squeeze(1)
        return self.out(self.body(rows.transpose(0, 1))[0].sum(0) if self.recurrent else self.body(rows).mean(1))


class Last(nn.Module):
    """A CNN whose maps have their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last, self.out = nn.Conv2d(1, 5, 3, padding=1), nn.Identity(), nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.last(self.conv(images).permute(0, 2, 3, 1)).relu().mean((1, 2)))


def recorded(model: nn.Module, folder: Path, **settings: Any) -> nm.Run:
    torch.manual_seed(0)
    record = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=24, **settings)
    nm.train(model, DATA, nm.TrainConfig(epochs=1, batch_size=20), observers=[nm.Recorder(folder / "run", record)])
    return nm.Run.open(folder / "run")


def seen(model: nn.Module, run: nm.Run) -> Tensor:
    """The states [example, token, unit] of a network's body, by a plain forward hook."""
    found = []
    handle = model.body.register_forward_hook(lambda module, given, output: found.append(output))
    with torch.no_grad():
        model.eval()(run.probe.tensor())
    handle.remove()
    return found[0][0].transpose(0, 1) if model.recurrent else found[0]


@pytest.mark.parametrize("kind", ["one layer", "transformer"])
@pytest.mark.parametrize("tokens", ["mean", "all", 3, -1])
def test_a_sequence_is_recorded_as_asked(kind: str, tokens: Any, tmp_path: Path) -> None:
    model = Sequence(kind)
    name = "body.hook_out.0" if model.recurrent else "body.hook_out"
    run = recorded(model, tmp_path, tokens=tokens)
    states = seen(model, run).numpy()
    assert run.axes[name] == ("example", "token", "unit")
    assert run.activations(name).dims == ("snapshot", "example", "unit")
    last = lambda *how, **which: run.activations(name, *how, **which)[-1].values  # noqa: E731
    np.testing.assert_allclose(last(), states[:, tokens] if isinstance(tokens, int) else states.mean(1), atol=1e-6)
    if tokens == "mean":
        np.testing.assert_allclose(last("max"), states.max(1), atol=1e-6)
        np.testing.assert_allclose(last("maps"), states[run.description["gallery"]], atol=1e-6)
        with pytest.raises(RunError, match=r"only the mean and maximum over the tokens .* RecordConfig\(tokens=0\)"):
            run.activations(name, token=0)
    if tokens == "all":
        np.testing.assert_allclose(last("maps"), states, atol=1e-6)
        np.testing.assert_allclose(last(token=2), states[:, 2], atol=1e-6)
        np.testing.assert_allclose(last(token="max"), states.max(1), atol=1e-6)
        every = run.activations(name, token="all")[-1]
        np.testing.assert_allclose(every.values, states.reshape(-1, states.shape[-1]), atol=1e-6)
        assert every["label"].values.tolist() == np.repeat(run.probe.labels, 8).tolist()
    if isinstance(tokens, int):
        np.testing.assert_array_equal(last(token=tokens), last())
        with pytest.raises(RunError, match=f"holds only token {tokens} of"):
            run.activations(name, token=0)
    with pytest.raises(RunError, match="holds no tokens"):
        run.activations("out.hook_out", token=0)
    assert run.verify() == []


def test_a_selected_token_can_be_recorded(tmp_path: Path) -> None:
    model = Sequence("transformer")
    run = recorded(model, tmp_path, hook_points=("body.hook_out[-1]", "hook_out", "out.hook_in"))
    np.testing.assert_allclose(run.activations("out.hook_in")[-1], seen(model, run).mean(1), atol=1e-6)
    np.testing.assert_allclose(run.activations("body.hook_out[-1]")[-1], seen(model, run)[:, -1], atol=1e-6)


def test_states_of_several_layers_are_left_out_and_one_is_recorded(tmp_path: Path) -> None:
    model = Sequence("two layers")
    with pytest.warns(UserWarning, match=r"body\.hook_out\.1\.0 gives the states of several layers: record one"):
        run = recorded(model, tmp_path)
    assert run.hook_points == ["body.hook_out.0", "out.hook_out", "hook_out"]
    run = recorded(model, tmp_path / "one", hook_points=("body.hook_out.1.0[-1]",))
    np.testing.assert_allclose(run.activations("body.hook_out.1.0[-1]")[-1], seen(model, run)[:, -1], atol=1e-6)


def test_channels_last_are_recorded_with_their_axes(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match="last.hook_out gives maps whose channels may come second or last: name its axes"
    ):
        assert "last.hook_out" not in recorded(Last(), tmp_path / "unnamed").hook_points
    model = Last()
    lens = nm.hooked(model, axes={"last.hook_out": ("example", "row", "col", "channel")})
    run = recorded(lens, tmp_path)
    assert run.stated_axes == {"last.hook_out": ("example", "row", "col", "channel")}
    for how in ("mean", "max", "maps"):
        last, conv = (run.activations(name, how) for name in ("last.hook_out", "conv.hook_out"))
        assert last.dims == conv.dims
        np.testing.assert_allclose(last.values, conv.values, atol=1e-6)
    again = nm.hooked(Last(), axes=run.stated_axes)
    run.model(into=again.module)
    effects = nm.analysis.causal.ablate_all(again, DATA.test, "last.hook_out")["loss_change"]
    plain = nm.analysis.causal.ablate_all(again, DATA.test, "conv.hook_out")["loss_change"]
    np.testing.assert_allclose(effects, plain, atol=1e-5)


@pytest.mark.parametrize("kind", ["one layer", "transformer", "last"])
def test_a_look_measures_the_units_of_every_structure(kind: str, tmp_path: Path) -> None:
    model: Any = Last() if kind == "last" else Sequence(kind)
    lens = nm.hooked(model, axes={"last.hook_out": ("example", "row", "col", "channel")}) if kind == "last" else model
    look = nm.analysis.look.first_look(recorded(lens, tmp_path))
    assert "controls.untrained_networks" in look.layers[0].missing
    measured = set(look.layers[-1].missing)
    assert all(set(layer.missing) == measured for layer in look.layers)
    layer = look.layers[-1]
    layer.missing.clear()
    layer.model = lens
    assert layer["causal.ablate_all"].sizes[layer.axis] == layer.size


def test_a_token_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"RecordConfig\(tokens=9\): body.*hook_out.* has tokens 0 to 7"):
        recorded(Sequence("transformer"), tmp_path, tokens=9)
    with pytest.raises(nm.errors.MicroscopeError, match="tokens is 'some'"):
        nm.RecordConfig(tokens="some")


def test_a_resumed_run_keeps_its_axes(tmp_path: Path) -> None:
    class Stopping(Observer):
        def stepped(self, training: Training) -> None:
            if training.step == 2:
                raise KeyboardInterrupt

    lens = nm.hooked(Last(), axes={"last.hook_out": ("example", "row", "col", "channel")})
    recorder = nm.Recorder(tmp_path, nm.RecordConfig(per_octave=1, probe_size=24))
    with pytest.raises(KeyboardInterrupt):
        nm.train(lens, DATA, nm.TrainConfig(epochs=1, batch_size=20), observers=[recorder, Stopping()])
    nm.resume(tmp_path, data=DATA, model=Last())
    run = nm.Run.open(tmp_path)
    last, conv = (run.activations(name) for name in ("last.hook_out", "conv.hook_out"))
    assert last.sizes == conv.sizes
    assert len(last) == len(run.steps)
    np.testing.assert_allclose(last.values, conv.values, atol=1e-6)


def test_the_axes_of_a_log() -> None:
    shape = Layout(
        [0, 1],
        1,
        1,
        np.zeros(4, int),
        np.arange(4),
        3,
        [1, 3],
        ["w"],
        1,
        axes={"a": ("example", "head", "query", "key")},
    )
    pattern = torch.rand(4, 2, 3, 3)
    kept = reduced("a", pattern, [1, 3], ("example", "head", "query", "key"))
    specs = shape.groups({"a": pattern})[""]
    assert {name: specs[name].shape[1:] for name in kept} == {name: one.shape for name, one in kept.items()}
    assert specs["a.maps"].dims == ("snapshot", "example_gallery", "head_a", "query_a", "key_a")
    assert np.array_equal(kept["a.max"], pattern.amax((2, 3)))


def test_the_report_says_how_sequences_are_reduced(tmp_path: Path) -> None:
    run = recorded(Sequence("one layer"), tmp_path)
    page = nm.report.write([run], tmp_path / "page.html").read_text("utf-8")
    assert "Of sequences (body.hook_out.0) a unit&#x27;s activation is the mean over the tokens." in page


def test_a_pattern_is_recorded_as_maps_of_heads(tmp_path: Path) -> None:
    model = Sequence("transformer")
    run = recorded(model, tmp_path, hook_points=("body.self_attn.hook_pattern", "hook_out"))
    rows = run.probe.tensor().squeeze(1)
    with torch.no_grad():
        pattern = model.eval().body.self_attn(rows, rows, rows, average_attn_weights=False)[1]
    found = run.activations("body.self_attn.hook_pattern", "maps")[-1]
    assert found.dims == ("example", "head", "query", "key")
    np.testing.assert_allclose(found.values, pattern[run.description["gallery"]], atol=1e-6)
    peaks = run.activations("body.self_attn.hook_pattern", "max")[-1]
    np.testing.assert_allclose(peaks.values, pattern.amax((2, 3)), atol=1e-6)
