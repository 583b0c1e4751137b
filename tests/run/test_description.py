"""run.json and the metadata of the log have a schema with bounds: what no recorder writes is one error that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.run import commits

DATA = small_runs.data()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("description") / "run"
    small_runs.train(folder)
    return folder


def forged(folder: Path, name: str, content: bytes) -> None:
    """A file with another content, and a commit record whose hashes say that it was always so."""
    (folder / name).write_bytes(content)
    path, chain, record = folder / commits.NAME, sha256(b"").hexdigest(), b""
    for line in path.read_bytes().splitlines():
        values = {key: value for key, value in json.loads(line).items() if key != "sha256"}
        values["previous"] = chain
        if name in values["files"]:
            values["files"][name] = sha256(content).hexdigest()
        text = json.dumps(values, sort_keys=True).encode()
        whole = json.dumps({**values, "sha256": sha256(text).hexdigest()}, sort_keys=True).encode() + b"\n"
        chain, record = sha256(whole).hexdigest(), record + whole
    path.write_bytes(record)


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
    "a hook point outside": lambda d: d["hook_points"].update({"../x": [3]}),
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
