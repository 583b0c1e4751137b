"""A data set from folders of grey pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neural_microscope as nm
from neural_microscope.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 7)).astype(np.uint8)


def folder(root: Path, classes: tuple[str, ...] = ("2", "10", "9"), parts: tuple[str, ...] = ("train", "test")) -> Path:
    for part in parts:
        for k, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for i in range(2):
                Image.fromarray(IMAGES[2 * k + i]).save(root / part / name / f"{i}.png")
    return root


def test_pictures_come_back_to_the_bit_their_classes_in_the_order_of_numbers(tmp_path: Path) -> None:
    data = nm.data.load(folder(tmp_path / "shapes"))
    assert data.name == "shapes"
    assert data.train.labels.tolist() == [0, 0, 1, 1, 2, 2]  # 2, 9, 10
    np.testing.assert_array_equal(data.train.images, IMAGES[[0, 1, 4, 5, 2, 3]])
    assert data.test.image_shape == (5, 7)
    assert data.test.classes == 3


def test_classes_with_words_are_in_alphabetical_order(tmp_path: Path) -> None:
    data = nm.data.load(folder(tmp_path, ("square", "circle", "10")))
    np.testing.assert_array_equal(data.train.images[:2], IMAGES[4:6])  # "10" stands before "circle"
    np.testing.assert_array_equal(data.train.images[2:4], IMAGES[2:4])


def test_a_network_trains_on_them(tmp_path: Path) -> None:
    data = nm.data.load(folder(tmp_path))
    model = nm.MLP(nm.MLPConfig(image_shape=(5, 7), classes=3, hidden=(20,)))
    nm.train(model, data, nm.TrainConfig(epochs=60, batch_size=6, learning_rate=0.01))
    assert nm.evaluate(model, data.train).accuracy == 1


def broken(root: Path, how: str) -> Path:
    folder(root, parts=("train",) if how == "no test" else ("train", "test"))
    first = root / "train" / "2" / "0.png"
    if how == "colour":
        Image.new("RGB", (7, 5)).save(first)
    elif how == "size":
        Image.new("L", (7, 6)).save(first.with_name("1.png"))
    elif how == "no picture":
        first.write_bytes(b"not a picture")
    elif how == "new class":
        (root / "test" / "4").mkdir()
    elif how == "empty":
        for path in root.glob("test/*/*"):
            path.unlink()
    return root


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no test", r"has no folder 'test'; it needs train/<class>/ and test/<class>/"),
        ("colour", r"0\.png has the mode RGB; pictures are grey with 8 bits: PIL"),
        ("size", r"1\.png has 6 x 7 pixels, those before it 5 x 7; all need one size"),
        ("no picture", r"0\.png can't be read as a picture"),
        ("new class", r"4 is a class that train/ has not; it has 2, 9, 10"),
        ("empty", r"test holds no picture"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        nm.data.load(broken(tmp_path, how))
