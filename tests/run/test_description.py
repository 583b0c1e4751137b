"""run.json and the metadata of the log have a schema with bounds: what no recorder writes is one error that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neural_microscope as nm
import small_runs
from forging import changed, forge, forged
from neural_microscope.errors import RunError
from neural_microscope.run import ArraySpec, RunWriter, commits, verify
from neural_microscope.training import Observer, Training

DATA = small_runs.data()
Tensors = dict[str, torch.Tensor]


class Stopping(Observer):
    def stepped(self, training: Training) -> None:
        if training.step == 5:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("description") / "run"
    small_runs.train(folder)
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("description") / "run"
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(folder, observers=[Stopping()])
    return folder


def everything(folder: Path) -> None:
    run = nm.Run.open(folder)
    for data in (run.log, run.training, run.gradients):
        data.load()


def check_refused(folder: Path, name: str, change: Callable[[Any], Any]) -> str:
    about = json.loads((folder / name).read_bytes())
    change(about)
    forged(folder, name, json.dumps(about).encode())
    with pytest.raises(RunError) as caught:
        everything(folder)
    assert str(folder / name) in str(caught.value)
    return str(caught.value)


DESCRIPTIONS: dict[str, Callable[[Any], Any]] = {
    "an absurd number of threads": lambda d: d["train"].update(threads=10**9),
    "a schedule that does not ascend": lambda d: d["schedule"].reverse(),
    "a schedule that is empty": lambda d: d["schedule"].clear(),
    "a schedule beyond the end": lambda d: d["schedule"].__setitem__(-1, 10**6),
    "endless steps": lambda d: d.update(total_steps=1 << 40),
    "no steps in an epoch": lambda d: d.update(steps_per_epoch=0),
    "a hook point with a huge shape": lambda d: d["hook_points"].update(logits=[1 << 39]),
    "a hook point with a negative shape": lambda d: d["hook_points"].update(logits=[-3]),
    "hook points in a list": lambda d: d.update(hook_points=["logits"]),
    "a gallery beyond the probe": lambda d: d.update(gallery=[12]),
    "a pixel beyond the image": lambda d: d.update(constant_pixels=[16]),
    "a model of no kind": lambda d: d["model"].pop("kind"),
    "a model of another kind": lambda d: d["model"].update(kind="train"),
    "a kind that is a list": lambda d: d["model"].update(kind=["mlp"]),
    "a module without a class": lambda d: d.update(model={"kind": "module"}),
    "a model without a seed": lambda d: d["model"].pop("seed"),
    "a model with a huge layer": lambda d: d["model"].update(hidden=[1 << 30]),
    "a setting that is unknown": lambda d: d["train"].update(speed=3),
    "a setting of another type": lambda d: d["train"].update(epochs="3"),
    "a setting out of range": lambda d: d["record"].update(norms_every=-1),
    "a config in another's place": lambda d: d.update(record=d["train"]),
    "a hash that is none": lambda d: d["data"].update(sha256="x"),
    "a sampler of no kind": lambda d: d.update(sampler="mine"),
    "no versions": lambda d: d.pop("versions"),
    "no machine": lambda d: d.update(machine=None),
}


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_a_description_that_no_recorder_writes_is_refused(finished: Path, tmp_path: Path, what: str) -> None:
    check_refused(Path(shutil.copytree(finished, tmp_path / "run")), "run.json", DESCRIPTIONS[what])


def array(name: str, **change: Any) -> Callable[[Any], Any]:
    return lambda root: root["consolidated_metadata"]["metadata"][name].update(change)


METADATA: dict[str, Callable[[Any], Any]] = {
    "no arrays": lambda root: root.pop("consolidated_metadata"),
    "an array too few": lambda root: root["consolidated_metadata"]["metadata"].pop("logits"),
    "an array too many": lambda root: root["consolidated_metadata"]["metadata"].update(x={}),
    "another shape": array("logits", shape=[8, 12, 4]),
    "a huge shape": array("logits", shape=[1 << 60, 12, 3]),
    "other axes": array("logits", dimension_names=["snapshot", "class", "example"]),
    "another width": array("test_loss", data_type="float32"),
    "a type of another kind": array("logits", data_type="complex128"),
    "another codec": array("logits", codecs=[{"name": "bytes", "configuration": {"endian": "big"}}]),
    "other chunks": array("logits", chunk_grid={"name": "regular", "configuration": {"chunk_shape": [8, 12, 3]}}),
    "empty chunks": array("training/loss", chunk_grid={"name": "regular", "configuration": {"chunk_shape": []}}),
    "words of another type": array("logits", attributes={"long_name": 3, "units": "1"}),
    "another fill value": array("logits", fill_value=0),
}


@pytest.mark.parametrize("what", METADATA)
def test_metadata_that_do_not_fit_the_run_are_refused(finished: Path, tmp_path: Path, what: str) -> None:
    check_refused(Path(shutil.copytree(finished, tmp_path / "run")), "log.zarr/zarr.json", METADATA[what])


def frame(size: int) -> bytes:
    """A Zstandard frame that claims to hold ``size`` bytes, and holds none."""
    return b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x01\x00\x00"


@pytest.mark.parametrize("content", [b"", b"\x28\xb5\x2f\xfd", b"x" * 40, frame(1 << 60), frame(12 * 3 * 4), frame(4)])
def test_a_chunk_that_does_not_hold_one_is_refused_before_memory_is_taken(
    finished: Path, tmp_path: Path, content: bytes
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    forged(folder, "log.zarr/logits/c.3.0.0", content)
    with pytest.raises(RunError, match=r"logits/c\.3\.0\.0"):
        everything(folder)


@pytest.mark.parametrize("name", ["step", "epoch", "label", "test_index", "training/step", "gradients/step"])
def test_coordinates_that_are_not_those_of_the_run_are_refused(finished: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    array = nm.Run.open(folder).arrays[name]
    values = array.unpacked((folder / "log.zarr" / array.path(0)).read_bytes(), name)
    forged(folder, f"log.zarr/{array.path(0)}", array.packed(values[::-1]))
    with pytest.raises(RunError, match=rf"log\.zarr/{name} does not match run\.json and the probe"):
        everything(folder)


def test_what_could_not_be_read_again_is_not_recorded(finished: Path, tmp_path: Path) -> None:
    run = nm.Run.open(finished)
    for change in ({"total_steps": 1 << 40}, {"schedule": []}, {"hook_points": {"\ud800": [3]}}):
        with pytest.raises(RunError, match=r"nothing is recorded, because it could not be read back: .*run\.json"):
            RunWriter.create(tmp_path / "run", {**run.description, **change}, run.probe, run.probe_indices, {}, {})
    huge = ArraySpec(("snapshot", "example", "unit"), (2, 1 << 16, 1 << 14), "numbers")
    with pytest.raises(RunError, match=r"logits would take 4,294,967,296 bytes a snapshot; .* leave it out"):
        RunWriter.create(tmp_path / "run", run.description, run.probe, run.probe_indices, {"": {"logits": huge}}, {})
    assert [path.name for path in (tmp_path / "run").iterdir()] in ([], ["run.lock"])


# --- tensors ----------------------------------------------------------------------------------------------------------------

WEIGHTS: dict[str, Callable[[Tensors], Any]] = {
    "one too few": lambda w: w.pop("output.bias"),
    "one too many": lambda w: w.update(more=torch.zeros(3)),
    "another shape": lambda w: w.update({"output.bias": torch.zeros(4)}),
    "integers": lambda w: w.update({"output.bias": torch.zeros(3, dtype=torch.int64)}),
}
STATE: dict[str, Callable[[Tensors], Any]] = {
    "an Adam moment of another shape": lambda s: s.update({"optimizer.0.exp_avg": torch.zeros(3)}),
    "an Adam moment of integers": lambda s: s.update({"optimizer.0.exp_avg": s["optimizer.0.exp_avg"].long()}),
    "an Adam moment too few": lambda s: s.pop("optimizer.0.exp_avg"),
    "a buffer of another optimizer": lambda s: s.update({"optimizer.0.momentum_buffer": torch.zeros(3)}),
    "a parameter too many": lambda s: s.update({"optimizer.99.step": torch.tensor(1.0)}),
    "a parameter without a number": lambda s: s.update({"optimizer.first": torch.tensor(1.0)}),
    "no random generator": lambda s: s.pop("rng.cpu"),
    "a random generator cut off": lambda s: s.update({"rng.cpu": s["rng.cpu"][:-1].clone()}),
    "a random generator that is none": lambda s: s.update({"rng.cpu": torch.full_like(s["rng.cpu"], 255)}),
    "rows too few": lambda s: s.update({"tail.training.loss": s["tail.training.loss"][:-1].clone()}),
    "rows too wide": lambda s: s.update({"tail.training.loss": torch.zeros(4, 2, dtype=torch.float64)}),
    "no rows": lambda s: s.pop("tail.gradients.grad_norm"),
}


def forge_tensors(folder: Path, name: str, change: Callable[[Tensors], Any]) -> None:
    tensors = safetensors.torch.load_file(folder / name)
    change(tensors)
    forged(folder, name, safetensors.torch.save(tensors))


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_of_another_network_are_refused_before_one_is_built(stopped: Path, tmp_path: Path, what: str) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    forge_tensors(folder, "weights/00000004.safetensors", WEIGHTS[what])
    for use in (lambda: nm.Run.open(folder).model(), lambda: nm.resume(folder, data=DATA)):
        with pytest.raises(RunError, match=r"weights/00000004\.safetensors holds for"):
            use()


@pytest.mark.parametrize("what", STATE)
def test_a_state_of_another_training_is_refused_and_the_run_is_left_as_it_was(
    stopped: Path, tmp_path: Path, what: str
) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    forge_tensors(folder, "state/00000004.safetensors", STATE[what])
    before = small_runs.contents(folder)
    with pytest.raises(RunError, match=r"state/00000004\.safetensors"):
        nm.resume(folder, data=DATA)
    assert small_runs.contents(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["model"].update(hidden=[6]),
        lambda d: d["model"].update(hidden=[1 << 24] * 1000),
        lambda d: d["model"].update(image_shape=[3, 3]),
        lambda d: d["model"].update(classes=4),
        lambda d: d["model"].update(activation="tanh", norm="batch"),
        lambda d: d["data"].update(name="../secret"),
        lambda d: d["data"].update(name="~"),
    ],
)
def test_a_network_or_data_that_were_never_recorded_are_refused(stopped: Path, tmp_path: Path, change: Any) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    about = json.loads((folder / "run.json").read_bytes())
    change(about)
    forged(folder, "run.json", json.dumps(about).encode())
    with pytest.raises(RunError, match=r"run"):
        nm.resume(folder)


PROBE: dict[str, Callable[[dict[str, Any], dict[str, str]], Any]] = {
    "no labels": lambda arrays, about: arrays.pop("labels"),
    "labels beyond the classes": lambda arrays, about: arrays["labels"].fill(7),
    "labels of another type": lambda arrays, about: arrays.update(labels=arrays["labels"].astype("int32")),
    "fewer indices": lambda arrays, about: arrays.update(indices=arrays["indices"][:-1].copy()),
    "images that are flat": lambda arrays, about: arrays.update(images=arrays["images"].reshape(12, 16)),
    "no images": lambda arrays, about: arrays.update(images=np.zeros((0, 4, 4), np.uint8)),
    "fewer images": lambda arrays, about: arrays.update({k: v[:-1].copy() for k, v in arrays.items()}),
    "no classes": lambda arrays, about: about.update(probe='{"name": "x"}'),
    "endless classes": lambda arrays, about: about.update(probe='{"name": "x", "classes": 1000000000000}'),
    "nothing about it": lambda arrays, about: about.clear(),
}


@pytest.mark.parametrize("what", PROBE)
def test_a_probe_that_no_recorder_writes_is_refused(finished: Path, tmp_path: Path, what: str) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    arrays = safetensors.numpy.load_file(folder / "probe.safetensors")
    about = {"probe": '{"classes": 3, "name": "made up"}'}
    PROBE[what](arrays, about)
    forged(folder, "probe.safetensors", safetensors.numpy.save(arrays, about))
    with pytest.raises(
        RunError, match=r"probe\.safetensors" if what != "fewer images" else r"run\.json has a gallery beyond"
    ):
        everything(folder)


# --- any change of any document ---------------------------------------------------------------------------------------------

words = st.text(max_size=4) | st.sampled_from(
    ["../x", "F64", "int64", "finished", "diverged at step 3", "module", "cnn"]
)
numbers = st.integers() | st.sampled_from([0, 1, 1 << 31, 1 << 40, 1 << 62]) | st.floats()
odd = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
change = st.tuples(
    st.floats(0, 1, exclude_max=True), st.sampled_from(["delete", "rename", "repeat", "count", "replace"]), odd
)
DOCUMENTS = ["run.json", "log.zarr/zarr.json", commits.NAME, "probe.safetensors"]
DOCUMENTS += ["weights/00000004.safetensors", "state/00000004.safetensors"]


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(DOCUMENTS), changes=st.lists(change, min_size=1, max_size=2))
def test_whatever_a_document_says_it_is_read_or_one_error_that_names_its_file(
    stopped: Path, name: str, changes: list[tuple[float, str, Any]]
) -> None:
    before = {one: (stopped / one).read_bytes() for one in (name, commits.NAME)}

    def change(document: Any) -> Any:
        for where, how, value in changes:
            changed(document, where, how, value)
        return document

    if name == commits.NAME:
        forge(stopped, lambda lines: [change(line) for line in lines[1:3]])
    elif name.endswith(".json"):
        forged(stopped, name, json.dumps(change(json.loads(before[name]))).encode())
    else:
        end = 8 + int.from_bytes(before[name][:8], "little")
        header = json.dumps(change(json.loads(before[name][8:end]))).encode()
        forged(stopped, name, len(header).to_bytes(8, "little") + header + before[name][end:])
    try:
        everything(stopped)
        run = nm.Run.open(stopped)
        run.check_state(run.model())
        verify(stopped)
    except RunError as error:
        assert str(stopped) in str(error)  # noqa: PT017
    finally:
        for one, content in before.items():
            (stopped / one).write_bytes(content)
