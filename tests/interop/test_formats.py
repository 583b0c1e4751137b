"""Files for other tools come back the same: the hub's folder form, NetCDF, ONNX, scikit-learn's pipelines."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from others import LeNet
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import neural_microscope as nm
from neural_microscope import interop

SHAPE = (8, 8)
QUIET = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's exporter of itself


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    model = {
        "mlp": lambda: nm.MLP(nm.MLPConfig(image_shape=SHAPE, hidden=(12, 9), pixel_mean=0.3, pixel_std=0.4), seed=3),
        "cnn": lambda: nm.CNN(nm.CNNConfig(image_shape=SHAPE, channels=(4, 6), head=(9,), norm="batch"), seed=3),
    }[request.param]()
    folder = tmp_path_factory.mktemp("formats") / "run"
    recorder = nm.Recorder(folder, nm.RecordConfig(per_octave=1, probe_size=50))
    nm.train(model, nm.data.load("digits"), nm.TrainConfig(epochs=2, learning_rate=3e-3), observers=[recorder])
    return nm.Run.open(folder)


def test_the_hubs_folder_gives_the_same_network_to_the_bit(run: nm.Run, tmp_path: Path) -> None:
    for step in (None, run.steps[3]):
        folder = interop.to_hub(run, tmp_path / f"model{step}", step=step)
        assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
        back, model = interop.from_hub(folder), run.model(step)
        assert type(back) is type(model)
        for name, tensor in model.state_dict().items():
            assert torch.equal(back.state_dict()[name], tensor), name
        assert torch.equal(back(run.probe.tensor()), model(run.probe.tensor()))


def test_the_card_says_how_the_network_came_to_be(run: nm.Run, tmp_path: Path) -> None:
    text = (interop.to_hub(run, tmp_path / "model") / "README.md").read_text("utf-8")
    assert f"{100 * float(run.log['test_accuracy'][-1]):.2f}% (loss" in text
    assert "| learning_rate | 0.003 |" in text
    assert "`layers.1.hook_post`" in text
    code = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"images": run.probe.tensor()}
    exec(code.replace('from_hub(".")', f"from_hub({str(tmp_path / 'model')!r})"), names)
    assert names["logits"].shape == (50, 10)


@pytest.mark.parametrize("name", ["write_bytes", "write_text"])
def test_a_full_disk_leaves_no_part_of_a_model_and_names_the_file(run: nm.Run, tmp_path: Path, name: str) -> None:
    def full(path: Path, *_: Any) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with mock.patch.object(Path, name, full), pytest.raises(nm.errors.FileError, match="No space left on device"):
        interop.to_hub(run, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []
    interop.to_hub(run, tmp_path / "model")


def test_folders_of_another_form_are_refused(run: nm.Run, tmp_path: Path) -> None:
    folder = interop.to_hub(run, tmp_path / "model")
    with pytest.raises(nm.errors.RunError, match="is not empty; a model is not written over another"):
        interop.to_hub(run, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(nm.errors.RunError, match="holds a 'bert' model"):
        interop.from_hub(folder)
    with pytest.raises(nm.errors.RunError, match=r"no config\.json that can be read"):
        interop.from_hub(tmp_path)


@pytest.fixture(scope="module")
def hub(run: nm.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interop.to_hub(run, tmp_path_factory.mktemp("hub") / "model")


def changed(hub: Path, name: str, content: bytes) -> Path:
    """A copy of the folder in which one file has another content."""
    folder = hub.with_name("changed")
    folder.mkdir(exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes(content if file == name else (hub / file).read_bytes())
    return folder


@settings(deadline=None, max_examples=60)
@given(data=st.data(), name=st.sampled_from(["config.json", "model.safetensors"]))
def test_any_other_byte_of_a_hub_folder_is_an_error_that_names_the_file(
    hub: Path, name: str, data: st.DataObject
) -> None:
    content = bytearray((hub / name).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    for other in (bytes(content), bytes(content[:at])):
        with pytest.raises(nm.errors.RunError, match=re.escape(str(hub.with_name("changed")))):
            interop.from_hub(changed(hub, name, other))


def test_a_config_without_its_hash_is_refused_while_it_has_that_of_the_weights(hub: Path) -> None:
    about = json.loads((hub / "config.json").read_text())
    del about["sha256"]
    with pytest.raises(nm.errors.RunError, match=r"config\.json.* sha256 is missing"):
        interop.from_hub(changed(hub, "config.json", json.dumps(about).encode()))


SETTINGS = [
    "kind",
    "hidden",
    "channels",
    "head",
    "image_shape",
    "classes",
    "norm",
    "init_scale",
    "kernel",
    "pixel_std",
    "x",
]
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["mlp", "cnn", "train"])
    | st.lists(st.integers(1, 99) | st.integers() | st.floats() | st.none(), max_size=3)
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(
    changes=st.dictionaries(st.sampled_from(SETTINGS), VALUES, min_size=1, max_size=3),
    seed=st.integers() | st.text(max_size=2),
)
def test_a_config_that_somebody_else_wrote_gives_its_network_or_one_error(
    hub: Path, changes: dict[str, Any], seed: object
) -> None:
    about = json.loads((hub / "config.json").read_text())
    del about["sha256"], about["weights_sha256"]
    about |= {"seed": seed, "network": {**about["network"], **changes}}
    folder = changed(hub, "config.json", json.dumps(about).encode())
    try:
        model = interop.from_hub(folder)
    except nm.errors.RunError as error:
        assert str(folder) in str(error)  # noqa: PT017
    else:
        assert model.state_dict().keys() == interop.from_hub(hub).state_dict().keys()


def test_weights_of_another_network_are_named_by_tensor(hub: Path) -> None:
    about = json.loads((hub / "config.json").read_text())
    del about["sha256"], about["weights_sha256"]
    about["network"]["classes"] = 1 << 15  # 2 GB in a wider layer, if it were made
    with pytest.raises(
        nm.errors.RunError, match=r"model\.safetensors does not fit config\.json: of 'output\.weight' it holds"
    ):
        interop.from_hub(changed(hub, "config.json", json.dumps(about).encode()))


def test_a_hub_folder_of_links_is_refused_with_a_way_out(hub: Path, tmp_path: Path) -> None:
    for file in hub.iterdir():
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(nm.errors.RunError, match=r"no config\.json .* a link; .* local_dir"):
        interop.from_hub(tmp_path)


def test_a_pipeline_refuses_whole_numbers_that_are_no_pixels(run: nm.Run) -> None:
    step = interop.Activations(run.model(), "layers.1.hook_post")
    for images in (np.full((2, 8, 8), -1, np.int8), np.full((2, 64), 256, np.uint16)):
        with pytest.raises(nm.errors.DataError, match=r"whole numbers in 0\.\.255; u?int\d+ from"):
            step.transform(images)


def test_activations_are_a_step_of_a_pipeline(run: nm.Run) -> None:
    model, probe = run.model(), run.probe
    step = interop.Activations(model, "layers.1.hook_post")
    acts = nm.activations(model, probe)["layers.1.hook_post"].values.reshape(len(probe), -1)
    for images in (probe.images, probe.images / 255, probe.images.reshape(len(probe), -1)):
        np.testing.assert_allclose(step.fit(images).transform(images), acts, rtol=1e-5, atol=1e-6)
    pipeline = clone(make_pipeline(step, PCA(2, svd_solver="full"), LogisticRegression(max_iter=2000)))
    assert pipeline.fit(probe.images, probe.labels).score(probe.images, probe.labels) > 0.4
    if acts.shape[1] == 9:  # of a dense layer: the same places as our own PCA, up to a sign
        ours = nm.analysis.geometry.pca(run.activations("layers.1.hook_post"))["score"].values[-1]
        np.testing.assert_allclose(abs(pipeline[:-1].transform(probe.images)), abs(ours), rtol=1e-3, atol=1e-3)
    with pytest.raises(nm.errors.DataError, match="63 pixels are not a square"):
        step.transform(np.zeros((2, 63)))


@pytest.mark.interop
def test_netcdf_holds_the_whole_log_to_the_bit(run: nm.Run, tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf")
    path = interop.to_netcdf(run, tmp_path / "log.nc")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        for name, expected in {"/": run.log, "/training": run.training, "/gradients": run.gradients}.items():
            found = tree[name].to_dataset().load()
            assert set(found.variables) == set(expected.variables), name
            for variable in expected.variables:
                np.testing.assert_array_equal(found[variable].values, expected[variable].values, err_msg=variable)
                assert found[variable].dtype == expected[variable].dtype, variable
                assert found[variable].dims == expected[variable].dims
                assert found[variable].attrs.get("long_name") == expected[variable].attrs.get("long_name")


@QUIET
@pytest.mark.interop
def test_onnx_gives_every_hook_point_by_name(run: nm.Run, tmp_path: Path) -> None:
    session = pytest.importorskip("onnxruntime")
    model = run.model()
    check_onnx(session, model, run.probe.tensor(), tmp_path)


@QUIET
@pytest.mark.interop
def test_onnx_of_a_network_of_others(tmp_path: Path) -> None:
    session = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    check_onnx(session, LeNet().eval(), torch.rand(7, 1, 28, 28), tmp_path)


def check_onnx(onnxruntime: Any, model: Any, images: torch.Tensor, folder: Path) -> None:
    names = interop.to_onnx(model, folder / "model.onnx", images[:2])
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == names
    with torch.no_grad():
        out, cache = nm.hooked(model).run_with_cache(images)
    assert set(names) == {"output", *cache}
    found = dict(zip(names, session.run(None, {"images": images.numpy()}), strict=True))
    np.testing.assert_allclose(found["output"], out, atol=1e-6, rtol=1e-6)
    for name, tensor in cache.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-6, rtol=1e-6, err_msg=name)


def test_a_tool_that_is_absent_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}")

    model = nm.MLP(nm.MLPConfig(image_shape=SHAPE))
    monkeypatch.setattr("neural_microscope.interop.needed.importlib.import_module", absent)
    with pytest.raises(nm.errors.MicroscopeError, match="needs onnx, which is not installed: pip install onnx"):
        interop.to_onnx(model, "never.onnx", torch.zeros(2, 1, *SHAPE))
