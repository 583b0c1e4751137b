"""Images without labels, and images with numbers as targets, from every source; two readings are asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny_idx import idx_bytes
from torch import nn

import neural_microscope as nm
from neural_microscope.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 4, 4)).astype(np.uint8)
LABELS = np.arange(20) % 3
PLACES = np.round(RNG.random((20, 2)) * 9 - 4, 3)
TAGS = RNG.integers(0, 2, (20, 3))


def table(**columns: np.ndarray) -> pd.DataFrame:
    pixels = {f"pixel{i}": column for i, column in enumerate(IMAGES.reshape(20, 16).T)}
    return pd.DataFrame(columns | pixels)


def pictures(root: Path, *parts: str) -> Path:
    for part in parts:
        (root / part).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(IMAGES):
            Image.fromarray(image).save(root / part / f"{number:02}.png")
    return root


def unlabeled(kind: str, path: Path) -> Any:
    if kind == "csv":
        table().to_csv(path / "pixels.csv", index=False)
    if kind == "npz":
        np.savez(path / "images.npz", images=IMAGES)
    return {
        "array": IMAGES,
        "tensor": torch.tensor(IMAGES),
        "pair": (IMAGES, LABELS),
        "frame": table(),
        "csv": path / "pixels.csv",
        "npz": path / "images.npz",
        "dict": {"images": IMAGES, "labels": LABELS},
        "samples": torch.utils.data.TensorDataset(torch.tensor(IMAGES)),
        "pictures": pictures(path / "flat", ".") if kind == "pictures" else None,
    }[kind]


KINDS = ["array", "tensor", "pair", "frame", "csv", "npz", "dict", "samples", "pictures"]


@pytest.mark.filterwarnings("ignore:left out of the arrays. labels")
@pytest.mark.parametrize("kind", KINDS)
def test_images_without_labels_are_read_when_that_is_said(tmp_path: Path, kind: str) -> None:
    data = nm.data.load(unlabeled(kind, tmp_path), test=0.25, label=False)
    assert (data.train.labels, data.classes, data.task) == (None, 0, "other")
    assert (len(data.train), len(data.test)) == (15, 5)
    assert sorted(map(bytes, (*data.train.images, *data.test.images))) == sorted(map(bytes, IMAGES))
    assert data.changes[-1] == "5 of 20 images, 25%, were held out for testing"


@pytest.mark.parametrize("kind", ["array", "npz", "samples", "pictures"])
def test_missing_labels_are_an_error_that_names_the_way_out(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="label=False"):
        nm.data.load(unlabeled(kind, tmp_path), test=0.25)


def test_pictures_of_both_parts_without_labels(tmp_path: Path) -> None:
    data = nm.data.load(pictures(tmp_path / "flat", "train", "test"), label=False)
    np.testing.assert_array_equal(data.test.images, IMAGES)
    assert data.train.labels is None
    files = {"train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": LABELS}
    for name, array in (files | {name.replace("train", "t10k"): array for name, array in files.items()}).items():
        (tmp_path / name).write_bytes(idx_bytes(array.astype(np.uint8)))
    idx = nm.data.load(tmp_path, label=False)
    assert (idx.train.labels, idx.task, idx.test.images.tolist()) == (None, "other", IMAGES.tolist())


def test_parts_as_arrays_without_labels() -> None:
    for data in (
        nm.data.load(((IMAGES, None), (IMAGES[:5], None))),
        nm.data.load(IMAGES, test=IMAGES[:5], label=False),
        nm.data.load({"train": IMAGES, "test": IMAGES[:5]}, label=False),
    ):
        assert (len(data.train), len(data.test), data.train.labels) == (20, 5, None)
    with pytest.raises(DataError, match="pass the images alone, and test="):
        nm.data.load((IMAGES, IMAGES), label=False)
    with pytest.raises(DataError, match="one part has labels and the other has none"):
        nm.data.load(((IMAGES, LABELS), (IMAGES[:5], None)))


def test_convert_without_labels_reads_the_first_axis_as_examples_or_asks() -> None:
    found, changes = nm.data.convert(IMAGES / 255, None)
    np.testing.assert_array_equal(found.images, IMAGES)
    assert (found.labels, len(changes)) == (None, 1)
    with pytest.raises(DataError, match=r"axes='example row col' .* or axes='row col example'"):
        nm.data.convert(np.moveaxis(IMAGES, 0, -1), None)
    found, _ = nm.data.convert(np.moveaxis(IMAGES, 0, -1), None, axes="row col example")
    np.testing.assert_array_equal(found.images, IMAGES)


def test_a_network_learns_to_reconstruct_loaded_images_without_labels(tmp_path: Path) -> None:
    def absolute(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets.flatten(1)).abs().mean()

    data = nm.data.load(IMAGES, test=0.25, label=False)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
    config = nm.TrainConfig(epochs=30, batch_size=5, learning_rate=0.02)
    recorder = nm.Recorder(tmp_path / "run")
    nm.train(net, data, config, task="reconstruction", loss=absolute, observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    losses = run.training["loss"].values
    assert losses[-5:].mean() < 0.8 * losses[:5].mean()
    assert (run.task, run.probe.labels, run.probe.target_tensor().shape) == ("reconstruction", None, (5, 1, 4, 4))


# --- targets -------------------------------------------------------------------------------------------------------


def test_several_columns_of_a_table_are_targets(tmp_path: Path) -> None:
    frame = table(x=PLACES[:, 0], y=PLACES[:, 1], label=LABELS)
    frame.to_csv(tmp_path / "table.csv", index=False)
    for source in (frame, tmp_path / "table.csv"):
        data = nm.data.load(source, test=source, targets=["x", "y"], label="label")
        assert (data.task, data.train.labels.tolist()) == ("regression", LABELS.tolist())
        np.testing.assert_array_equal(data.train.targets, PLACES.astype(np.float32))
        np.testing.assert_array_equal(data.test.images, IMAGES)
        assert "are label and targets of" in data.changes[0]
        assert "are x, y, pixels the other 16 columns" in data.changes[0]


def test_one_column_is_a_target_by_name_by_number_or_by_the_task(tmp_path: Path) -> None:
    table(angle=PLACES[:, 0]).to_csv(tmp_path / "table.csv", index=False)
    for how in ({"targets": "angle"}, {"targets": 0}, {"task": "regression"}, {"task": "regression", "label": "angle"}):
        data = nm.data.load(tmp_path / "table.csv", test=0.25, **how)
        found = {bytes(image): float(y) for image, y in zip(data.train.images, data.train.targets, strict=True)}
        assert all(
            found.get(bytes(i), np.float32(y)) == np.float32(y) for i, y in zip(IMAGES, PLACES[:, 0], strict=True)
        )
        assert (data.train.labels, data.task, data.train.targets.shape) == (None, "regression", (15,))


def test_the_second_of_a_pair_of_arrays_is_targets_where_the_task_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "chest.npz", train_images=IMAGES, train_labels=TAGS, test_images=IMAGES, test_labels=TAGS)
    pairs = torch.utils.data.TensorDataset(torch.tensor(IMAGES), torch.tensor(TAGS))
    for data in (
        nm.data.load(((IMAGES, TAGS), (IMAGES, TAGS)), task="multi-label"),
        nm.data.load(tmp_path / "chest.npz", task="multi-label"),
        nm.data.load({"train": pairs, "test": pairs}, task="multi-label"),
    ):
        assert (data.task, data.train.labels) == ("multi-label", None)
        np.testing.assert_array_equal(data.train.targets, TAGS)
    found, changes = nm.data.convert(IMAGES, LABELS, targets=PLACES)
    assert (found.task, found.labels.tolist(), changes) == (
        "regression",
        LABELS.tolist(),
        ("2 numbers for each image are targets",),
    )


def test_pictures_with_a_csv_file_of_targets(tmp_path: Path) -> None:
    rows = [f"{number:02}.png,{x},{y}" for number, (x, y) in enumerate(PLACES)]
    (pictures(tmp_path, ".") / "places.csv").write_text("\n".join(["file,x,y", *rows]))
    data = nm.data.load(tmp_path, test=tmp_path, targets=("x", "y"))
    np.testing.assert_array_equal(data.train.targets, PLACES.astype(np.float32))
    np.testing.assert_array_equal(data.train.images, IMAGES)
    assert data.train.labels is None


def test_two_readings_of_targets_are_asked_about() -> None:
    question = "task='multi-label' or task='regression'"
    with pytest.raises(DataError, match=question):
        nm.data.load((IMAGES, TAGS), test=0.25)
    for targets in (["a", "b"], ["a"]):
        frame = table(**{name: TAGS[:, number] for number, name in enumerate(targets)})
        with pytest.raises(DataError, match=question):
            nm.data.load(frame, test=0.25, targets=targets)
        data = nm.data.load(frame, test=0.25, targets=targets, task="multi-label")
        assert (data.task, data.train.targets.shape[1]) == ("multi-label", len(targets))
    with pytest.raises(DataError, match=r"labels\[:, k\], or task='regression'"):
        nm.data.load((IMAGES, PLACES), test=0.25)
    with pytest.raises(DataError, match="task='regression' takes numbers as targets"):
        nm.data.load((IMAGES, PLACES[:, 0]), test=0.25)


def test_targets_that_are_no_numbers_are_named() -> None:
    gap = PLACES.copy()
    gap[3, 1] = np.nan
    with pytest.raises(DataError, match="1 targets are NaN or infinite, the first is of example 3"):
        nm.data.convert(IMAGES, None, targets=gap)
    with pytest.raises(DataError, match="targets are numbers, one row for each image: could not convert"):
        nm.data.convert(IMAGES, None, targets=["left"] * 20)
    with pytest.raises(DataError, match="targets= names columns of a table"):
        nm.data.load((IMAGES, PLACES), test=0.25, targets="x")
    with pytest.raises(DataError, match="20 labels came with 19 targets"):
        nm.data.convert(IMAGES, LABELS, targets=PLACES[:19])
    with pytest.raises(DataError, match="has no column 'z'"):
        nm.data.load(table(), test=0.25, targets="z")
