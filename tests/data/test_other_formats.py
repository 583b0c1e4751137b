"""Data sets in the forms that others publish: small files written to each published layout."""

from __future__ import annotations

import csv
import io
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import neural_microscope as nm
from neural_microscope.errors import DataError, UnknownName

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (18, 4, 4)).astype(np.uint8)
COLOR = RNG.integers(0, 256, (18, 4, 5, 3)).astype(np.uint8)
LABELS = np.arange(18) % 3
TRAIN, TEST = slice(0, 12), slice(12, 18)


def same(data: nm.data.Dataset, images: np.ndarray = IMAGES) -> None:
    np.testing.assert_array_equal(data.train.images, images[TRAIN])
    np.testing.assert_array_equal(data.test.images, images[TEST])
    assert data.train.labels.tolist() == LABELS[TRAIN].tolist()
    assert data.test.labels.tolist() == LABELS[TEST].tolist()


# --- npz -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [IMAGES, COLOR])
def test_medmnists_layout(tmp_path: Path, images: np.ndarray) -> None:
    arrays = {"train": TRAIN, "val": slice(0, 3), "test": TEST}
    parts = {f"{part}_images": images[of] for part, of in arrays.items()}
    parts |= {f"{part}_labels": LABELS[of, None].astype(np.uint8) for part, of in arrays.items()}
    np.savez_compressed(tmp_path / "bloodmnist.npz", **parts)
    with pytest.warns(UserWarning, match="left out of bloodmnist.npz: val_images, val_labels"):
        data = nm.data.load(tmp_path / "bloodmnist.npz", class_names=["a", "b", "c"])
    same(data, images)
    assert (data.name, data.class_names) == ("bloodmnist", ("a", "b", "c"))


def test_keras_layout(tmp_path: Path) -> None:
    arrays = {"x_train": IMAGES[TRAIN], "y_train": LABELS[TRAIN], "x_test": IMAGES[TEST], "y_test": LABELS[TEST]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    same(nm.data.load(tmp_path / "mnist.npz"))
    same(nm.data.load(arrays))


@pytest.mark.parametrize(("prefix", "name", "classes"), [("kmnist", "ki", 10), ("k49", "i", 49)])
def test_kuzushijis_layout(tmp_path: Path, prefix: str, name: str, classes: int) -> None:
    for part, of in (("train", TRAIN), ("test", TEST)):
        np.savez_compressed(tmp_path / f"{prefix}-{part}-imgs.npz", IMAGES[of])
        np.savez_compressed(tmp_path / f"{prefix}-{part}-labels.npz", LABELS[of].astype(np.uint8))
    data = nm.data.load(tmp_path)
    same(data)
    assert (data.classes, data.test.class_name(1)) == (classes, name)


def test_one_part_needs_another_or_a_share(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=r"one has one part: pass test= with a test part, or test=0\.2"):
        nm.data.load(tmp_path / "one.npz")
    data = nm.data.load(tmp_path / "one.npz", test=1 / 3)
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    assert sorted(map(bytes, (*data.train.images, *data.test.images))) == sorted(map(bytes, IMAGES))
    assert data.changes == ("6 of 18 images, 33% of each class, were held out for testing",)
    np.savez(tmp_path / "two.npz", x=IMAGES[TEST], y=LABELS[TEST])
    assert len(nm.data.load(tmp_path / "one.npz", test=tmp_path / "two.npz").test) == 6


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("caught"),))


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


ARCHIVES = {
    "a pickle": (pickle.dumps(Trap()), "can't be read as an archive of arrays"),
    "objects": ({"images.npy": None}, "holds Python objects, which only a pickle can"),
    "a bomb": ({"images.npy": header((1 << 20, 1 << 20))}, r"promises 1,099,511,627,776 bytes in \d+; at most"),
    "cut": ({"images.npy": header((2, 4, 4)) + bytes(31)}, r"promises 32 bytes|can't be read"),
    "negative": ({"images.npy": header((-1, 4))}, "promises -4 bytes"),
    "other names": ({"a.npy": header((1,)) + bytes(1)}, r"holds a; it needs train_images, train_labels"),
    "no arrays": ({"a.txt": b""}, "holds nothing; it needs"),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives_that_hold_anything_else_are_refused_and_run_nothing(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, says = ARCHIVES[what]
    path = tmp_path / "x.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, value in content.items():
                file = io.BytesIO()
                if value is None:
                    np.save(file, np.array([Trap()], object), allow_pickle=True)
                archive.writestr(name, file.getvalue() if value is None else value)
    with pytest.raises(DataError, match=says):
        nm.data.load(path)
    assert not (tmp_path / "caught").exists()


# --- tables --------------------------------------------------------------------------------------------------------


def write_csv(path: Path, of: slice, head: bool, place: int = 0, labels: Any = LABELS) -> Path:
    rows = [list(map(int, image.ravel())) for image in IMAGES[of]]
    for row, label in zip(rows, labels[of], strict=True):
        row.insert(place, label)
    names = [f"pixel{i}" for i in range(16)]
    names.insert(place, "Label")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows] if head else rows)
    return path


@pytest.mark.parametrize("head", [True, False])
def test_csv_tables_of_pixels_with_the_label_first(tmp_path: Path, head: bool) -> None:
    for part, of in (("train", TRAIN), ("test", TEST)):
        write_csv(tmp_path / f"sign_mnist_{part}.csv", of, head)
    same(nm.data.load(tmp_path))
    same(nm.data.load(tmp_path / "sign_mnist_train.csv", test=tmp_path / "sign_mnist_test.csv"))


def test_csv_tables_with_a_named_column_of_text(tmp_path: Path) -> None:
    labels = np.array(["cat", "dog", "bird"])[LABELS]
    path = write_csv(tmp_path / "pets.csv", slice(None), True, place=16, labels=labels)
    data = nm.data.load(path, test=1 / 3)
    assert data.class_names == ("bird", "cat", "dog")
    assert "labels of pets.csv are Label, pixels the other 16 columns" in data.changes
    at = [bytes(image) for image in IMAGES].index(bytes(data.test.images[0]))
    assert data.test.class_name(data.test.labels[0]) == labels[at]


def test_a_column_of_labels_by_number(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "last.csv", slice(None), False, place=16)
    data = nm.data.load(path, test=1 / 3, label=-1)
    assert sorted(map(bytes, (*data.train.images, *data.test.images))) == sorted(map(bytes, IMAGES))


TABLES = {
    "a header alone": ("label,a,b,c,d\n", "holds no row of a label and pixels"),
    "empty": ("", "is empty; it needs a row for each image"),
    "no label": ("a,b,c\n1,2,3\n", "x.csv has no column of labels among a, b, c; pass label="),
    "ragged": ("0,1,2,3,4\n1,2,3\n", "is not a table of pixels"),
    "words": ("0,1,2,3,4\n1,2,x,4,5\n", "is not a table of pixels"),
    "two labels": ("label,y,a,b\n1,1,1,1\n", "has several columns of labels: label, y; pass label="),
}


@pytest.mark.parametrize("what", TABLES)
def test_tables_of_anything_else_are_refused_by_name(tmp_path: Path, what: str) -> None:
    content, says = TABLES[what]
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=says):
        nm.data.load(tmp_path / "x.csv", test=0.5)


@pytest.mark.parametrize("how", ["numbers", "text", "categories"])
def test_data_frames(how: str) -> None:
    labels = {"numbers": LABELS, "text": np.array(["a", "b", "c"])[LABELS]}
    labels["categories"] = pd.Categorical(labels["text"])
    frames = {}
    for part, of in (("train", TRAIN), ("test", TEST)):
        frames[part] = pd.DataFrame(IMAGES[of].reshape(-1, 16), columns=[f"p{i}" for i in range(16)])
        frames[part].insert(3, "target", labels[how][of])
    same(nm.data.load(frames))
    same(nm.data.load(frames["train"], test=frames["test"], label="target"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    path, chance, refused = tmp_path / f"x.{suffix}", random.Random(0), list[str]()
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}
    np.savez(path, **arrays) if suffix == "npz" else write_csv(path, slice(None), True)
    content = path.read_bytes()
    for round in range(60):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 4, 20))):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 255, chance.randrange(256)))
        path.write_bytes(damaged[: chance.randrange(len(damaged)) if round % 4 == 0 else None])
        try:
            nm.data.load(path, test=0.5 if suffix == "csv" else None)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert not any("\n" in words or "can't use" in words for words in refused)


# --- arrays and data sets ------------------------------------------------------------------------------------------


def test_arrays_of_both_parts() -> None:
    parts = (torch.tensor(IMAGES[TRAIN])[:, None], LABELS[TRAIN]), (IMAGES[TEST].tolist(), LABELS[TEST].tolist())
    same(nm.data.load(parts))
    same(nm.data.load(parts[0], test=parts[1]))


class Samples:
    """A data set as torch's, torchvision's and Hugging Face's are."""

    def __init__(self, of: slice, how: str) -> None:
        self.images, self.labels, self.how = (COLOR if how == "color" else IMAGES)[of], LABELS[of], how
        if how == "pictures":
            self.classes = ["a", "b", "c"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Any:
        image, label = self.images[i], int(self.labels[i])
        if self.how == "pictures":
            return Image.fromarray(image), label
        if self.how == "dicts":
            return {"image": Image.fromarray(image), "label": label, "id": i}
        if self.how == "color":
            return torch.tensor(image).permute(2, 0, 1) / 255, torch.tensor(label)
        return torch.tensor(image)[None] / 255, label


@pytest.mark.parametrize("how", ["pictures", "dicts", "tensors", "color"])
def test_data_sets_of_pairs(how: str) -> None:
    data = nm.data.load({"train": Samples(TRAIN, how), "test": Samples(TEST, how)})
    same(data, COLOR if how == "color" else IMAGES)
    assert data.class_names == (("a", "b", "c") if how == "pictures" else ())


def test_torchs_own_tensor_dataset() -> None:
    parts = [torch.utils.data.TensorDataset(torch.tensor(IMAGES[of]), torch.tensor(LABELS[of])) for of in (TRAIN, TEST)]
    same(nm.data.load(parts[0], test=parts[1]))


class EMNIST(Samples):
    """torchvision's gives the images as the files hold them: rows and columns swapped."""


def test_an_emnist_data_set_asks_which_way_up_it_is() -> None:
    parts = [EMNIST(TRAIN, "pictures"), EMNIST(TEST, "pictures")]
    with pytest.raises(DataError, match="pass transpose=True to swap them back, or transpose=False"):
        nm.data.load(parts[0], test=parts[1])
    same(nm.data.load(parts[0], test=parts[1], transpose=False))
    same(nm.data.load(parts[0], test=parts[1], transpose=True), IMAGES.swapaxes(1, 2))


REFUSED = {
    "sizes": ([(IMAGES[0], 0), (IMAGES[1][:3], 1), ()], r"example 1 has the shape \[3, 4\], those before it \[4, 4\]"),
    "no pairs": ([IMAGES[0], IMAGES[1], IMAGES[2]], "example 0 is a ndarray; an example is"),
    "other keys": ([{"a": 1}, {}, {}], "example 0 holds a; an example needs image or img"),
    "no label": (IMAGES, r"a ndarray came: its labels must come with it, as \(images, labels\)"),
    "a loader": (torch.utils.data.DataLoader([1, 2]), "a DataLoader came: take its dataset"),  # type: ignore[arg-type]
    "a number": (3, "a int came; a source is a name, a path"),
    "transparent": ([(Image.new("RGBA", (4, 4)), 0)] * 3, "example 0 is a picture of mode RGBA"),
    "one part of two": ({"train": (IMAGES, LABELS), "test": {"x_train": IMAGES, "y_train": LABELS}}, "the test part holds train"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_any_other_source_is_refused_by_what_came(what: str) -> None:
    source, says = REFUSED[what]
    with pytest.raises(DataError, match=says):
        nm.data.load(source, test=None if what == "one part of two" else 0.5)


def test_what_decides_a_reading_is_given_to_load_too() -> None:
    with pytest.raises(DataError, match="white=1 or white=255"):
        nm.data.load((IMAGES % 2, LABELS), test=0.5)
    data = nm.data.load((IMAGES % 2, LABELS), test=0.5, white=1)
    assert data.train.images.max() == 255
    for source in ("digits", "mnist"):
        with pytest.raises(DataError, match="is known by name, and is read in one way"):
            nm.data.load(source, white=1)
    with pytest.raises(UnknownName, match=r"no data set 'x\.npz'"):
        nm.data.load("x.npz")
    with pytest.raises(DataError, match=r"there is no /no/x\.npz"):
        nm.data.load("/no/x.npz")
