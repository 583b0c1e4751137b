"""Pictures in color and in the usual layouts of folders; EMNIST's IDX files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_idx import idx_bytes

import neural_microscope as nm
from neural_microscope.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 7)).astype(np.uint8)
COLOR = RNG.integers(0, 256, (6, 5, 7, 3)).astype(np.uint8)
CLASSES = ("cat", "dog", "owl")


def folder(root: Path, images: np.ndarray, parts: tuple[str, ...], suffix: str = ".png") -> Path:
    for part in parts:
        for number, image in enumerate(images):
            place = root / part / CLASSES[number % 3]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}{suffix}")
    return root


IN_ORDER = [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".TIFF"])
@pytest.mark.parametrize("parts", [("train", "test"), ("training", "testing"), ("Train", "Test")])
def test_pictures_in_color_in_the_usual_folders(tmp_path: Path, parts: tuple[str, ...], suffix: str) -> None:
    data = nm.data.load(folder(tmp_path, COLOR, parts, suffix))
    np.testing.assert_array_equal(data.train.images, COLOR[IN_ORDER])
    assert (data.image_channels, data.class_names, data.test.labels.tolist()) == (3, CLASSES, [0, 0, 1, 1, 2, 2])


def test_jpegs_in_color(tmp_path: Path) -> None:
    plain = np.full((6, 5, 7, 3), (200, 30, 60), np.uint8)
    images = nm.data.load(folder(tmp_path, plain, ("train", "test"), ".jpg")).train.images
    np.testing.assert_allclose(images, plain.astype(int), atol=6)


def test_one_picture_in_color_among_gray_ones_is_said(tmp_path: Path) -> None:
    folder(tmp_path, IMAGES, ("train", "test"))
    Image.fromarray(COLOR[0]).save(tmp_path / "test" / "cat" / "0.png")
    with pytest.warns(UserWarning, match="1 of 12 pictures are in color, so that all are read in color"):
        data = nm.data.load(tmp_path)
    np.testing.assert_array_equal(data.test.images[0], COLOR[0])
    np.testing.assert_array_equal(data.train.images[..., 2], IMAGES[IN_ORDER])


def test_folders_of_classes_without_parts_need_a_share(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has one part: pass test="):
        nm.data.load(folder(tmp_path, IMAGES, ("",)))
    data = nm.data.load(tmp_path, test=0.5)
    assert (data.class_names, data.train.labels.tolist()) == (CLASSES, [0, 1, 2])


def listed(root: Path, head: str = "file,label", names: str = "{}.png") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    rows = [head] * bool(head)
    for number, image in enumerate(COLOR):
        Image.fromarray(image).save(root / f"{number}.png")
        rows.append(f"{names.format(number)},{CLASSES[number % 3]}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


@pytest.mark.parametrize(
    ("head", "names"), [("id,label", "{}"), ("", "{}.png"), ("image,breed", "./{}.png"), ("name,class", "flat/{}.png")]
)
def test_a_flat_folder_with_a_csv_of_labels(tmp_path: Path, head: str, names: str) -> None:
    if "/" in names and not names.startswith("."):
        listed(tmp_path / "flat", head, names)
        (tmp_path / "flat" / "labels.csv").rename(tmp_path / "labels.csv")
        root = tmp_path
    else:
        root = listed(tmp_path, head, names)
    data = nm.data.load(root, test=0.5)
    assert data.class_names == CLASSES
    for part in (data.train, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert [bytes(one) for one in COLOR].index(bytes(image)) % 3 == label


def test_flat_parts_with_a_csv_each(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (listed(tmp_path / part) / "labels.csv").rename(tmp_path / f"{part}_labels.csv")
    data = nm.data.load(tmp_path)
    np.testing.assert_array_equal(data.test.images, COLOR)
    assert data.train.labels.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            "file,label\n0.png,a\n../secret.png,b\n",
            r"labels\.csv, line 3, names no picture of .*: '\.\./secret\.png,b'",
        ),
        ("file,label\n0.png,a\n/etc/passwd,b\n", r"line 3, names no picture"),
        ("file,label\n0.png\n", r"line 2, names no picture"),
        ("a,b\nx,y\n", r"labels\.csv names no picture of"),
        ("", r"labels\.csv names no picture of"),
        ("file,one,two\n0.png,a,b\n", r"labels\.csv has no single column of labels: file, one, two; pass label="),
    ],
)
def test_a_list_that_leads_nowhere_is_refused_by_line(tmp_path: Path, rows: str, says: str) -> None:
    Image.fromarray(COLOR[0]).save(tmp_path / "secret.png")
    (listed(tmp_path / "flat") / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=says):
        nm.data.load(tmp_path / "flat", test=0.5)


def test_pictures_that_the_list_leaves_out_are_counted(tmp_path: Path) -> None:
    path = listed(tmp_path) / "labels.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:5]))
    with pytest.warns(UserWarning, match=r"left out: 2 pictures that labels\.csv does not list, the first 4\.png"):
        nm.data.load(tmp_path, test=0.5)


def emnist(root: Path, split: str, first: int, classes: int, packed: bool = False) -> np.ndarray:
    images = RNG.integers(0, 256, (2 * classes, 5, 5)).astype(np.uint8)
    labels = np.arange(2 * classes) % classes + first
    for part in ("train", "test"):
        for what, array in (("images-idx3", images.swapaxes(1, 2)), ("labels-idx1", labels)):
            content, name = idx_bytes(array), f"emnist-{split}-{part}-{what}-ubyte"
            (root / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return images


SPLITS = {
    "letters": (1, 26, 0, "A"),
    "balanced": (0, 47, 46, "t"),
    "byclass": (0, 62, 36, "a"),
    "bymerge": (0, 47, 36, "a"),
}


@pytest.mark.parametrize("split", SPLITS)
def test_emnist_comes_the_right_way_up_with_names_and_labels_from_0(tmp_path: Path, split: str) -> None:
    first, classes, at, name = SPLITS[split]
    images = emnist(tmp_path, split, first, classes, packed=split == "letters")
    data = nm.data.load(tmp_path)
    np.testing.assert_array_equal(data.train.images, images)
    assert data.train.labels.tolist() == (np.arange(2 * classes) % classes).tolist()
    assert (data.classes, data.test.class_name(at)) == (classes, name)
    assert any("rows and columns of each image were swapped" in change for change in data.changes)
    assert any("labels 1..26 became 0..25" in change for change in data.changes) == (split == "letters")


def test_one_of_several_splits_is_chosen_by_its_path(tmp_path: Path) -> None:
    emnist(tmp_path, "digits", 0, 10)
    images = emnist(tmp_path, "letters", 1, 26)
    with pytest.raises(
        DataError, match=r"holds 2 splits of EMNIST: pass one, as '.*emnist-letters' or '.*emnist-digits'"
    ):
        nm.data.load(tmp_path)
    data = nm.data.load(tmp_path / "emnist-letters")
    np.testing.assert_array_equal(data.train.images, images)
    assert (data.name, nm.data.load(tmp_path / "emnist-digits").class_names) == ("emnist-letters", ())
    (tmp_path / "emnist-letters-test-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="lacks emnist-letters-test-labels-idx1-ubyte"):
        nm.data.load(tmp_path / "emnist-letters")
