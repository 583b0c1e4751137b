"""A data set from folders of gray pictures."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.ImageOps
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
    assert data.class_names == ("2", "9", "10")


def test_folders_called_by_the_numbers_of_their_classes_give_no_names(tmp_path: Path) -> None:
    assert nm.data.load(folder(tmp_path, ("0", "1", "2"))).class_names == ()


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
    if how == "size":
        Image.new("L", (7, 6)).save(first.with_name("1.png"))
    elif how == "no picture":
        first.write_bytes(b"not a picture")
    elif how == "new class":
        (root / "test" / "4").mkdir()
        (root / "test" / ".hidden").mkdir()
    elif how == "lost class":
        shutil.rmtree(root / "test" / "9")
    elif how == "link":
        first.unlink()
        first.symlink_to(root / "test" / "2" / "0.png")
    elif how == "linked class":
        shutil.rmtree(root / "test" / "9")
        (root / "test" / "9").symlink_to(root / "train" / "9")
    elif how == "fifo":
        os.mkfifo(first.with_name("1.png~"))
    elif how == "pages":
        Image.fromarray(IMAGES[0]).save(first, "TIFF", save_all=True, append_images=[Image.fromarray(IMAGES[1])])
    elif how == "frames":
        Image.fromarray(IMAGES[0]).save(first, "GIF", save_all=True, append_images=[Image.fromarray(IMAGES[1])])
    elif how == "apng":
        Image.fromarray(IMAGES[0]).save(first, save_all=True, append_images=[Image.fromarray(IMAGES[1])])
    elif how == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(IMAGES[0]).save(first, "JPEG", exif=exif)
    elif how == "scans":
        Image.fromarray(IMAGES[0]).save(first, "JPEG")
        first.write_bytes(first.read_bytes() + 200 * b"\xff\xda")
    elif how == "16 bits":
        Image.fromarray(IMAGES[0].astype(np.uint16) * 200).save(first)
    elif how == "16 bits in color":
        first.write_bytes(b"P6 7 5 65535\n" + bytes(range(210)))
    elif how == "floats":
        Image.fromarray(IMAGES[0] / np.float32(255)).save(first, "TIFF")
    elif how in ("alpha", "transparent"):
        picture = Image.fromarray(IMAGES[0])
        picture.putalpha(128) if how == "alpha" else picture.info.update(transparency=int(IMAGES[0, 0, 0]))
        picture.save(first)
    elif how == "empty":
        for path in root.glob("test/*/*"):
            path.unlink()
    return root


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no test", r"has no folder 'test'; it needs train/<class>/ and test/<class>/"),
        ("size", r"1\.png has 6 x 7 pixels, those before it 5 x 7; all need one size"),
        ("no picture", r"0\.png can't be read as a picture"),
        ("new class", r"4 is a class that train/ has not; it has 2, 9, 10"),
        ("lost class", r"test has no folder '9', which is a class in train/; .* make an empty folder"),
        ("link", r"train/2/0\.png is a link; only files in folders are read: put a copy"),
        ("linked class", r"test/9 is a link"),
        ("fifo", r"1\.png~ is a FIFO"),
        ("pages", r"0\.png holds more than one picture \(pages or frames\): save each"),
        ("frames", r"0\.png holds more than one picture"),
        ("apng", r"0\.png holds more than one picture"),
        ("turned", r"0\.png is stored turned, with the EXIF orientation 6: PIL"),
        ("scans", r"0\.png is a JPEG of 201 scans; at most 32"),
        ("16 bits", r"0\.png has the mode I;16 with more than 8 bits .*makes it so where 65535 is white"),
        ("16 bits in color", r"0\.png has the mode RGB with more than 8 bits"),
        ("floats", r"0\.png has the mode F with more than 8 bits"),
        ("alpha", r"0\.png has the mode LA and transparent pixels"),
        ("transparent", r"0\.png has the mode L and transparent pixels"),
        ("empty", r"test holds no picture"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        nm.data.load(broken(tmp_path, how))


@pytest.mark.filterwarnings("ignore")  # the advice leaves it to Python to close the file
@pytest.mark.parametrize("how", ["alpha", "transparent", "16 bits", "turned"])
def test_the_advice_of_an_error_makes_a_picture_that_is_read(tmp_path: Path, how: str) -> None:
    path = broken(tmp_path, how) / "train" / "2" / "0.png"
    with pytest.raises(DataError) as caught:
        nm.data.load(tmp_path)
    code = str(caught.value)[re.search(r"picture = PIL|PIL\.", str(caught.value)).start() :]
    code = re.sub(r" (makes|turns|lays) it.*", "", code)
    exec(code, {"PIL": PIL, "numpy": np, "path": path})
    with contextlib.suppress(DataError):  # of the next: a picture turned has another size
        gray = nm.data.load(tmp_path).train.images[0]
        half = 127.5 + IMAGES[0] / 2
        on_white = np.where(IMAGES[0] == IMAGES[0, 0, 0], 255, IMAGES[0])
        expected = {"16 bits": IMAGES[0] * 200.0 / 257, "alpha": half, "transparent": on_white}
        np.testing.assert_allclose(gray, expected.get(how, 76), atol=1)
    assert Image.open(path).getexif().get(0x0112, 1) == 1


KEPT = {
    "gray in color": lambda path: Image.fromarray(IMAGES[0]).convert("RGB").save(path),
    "opaque": lambda path: Image.fromarray(IMAGES[0]).convert("RGBA").save(path),
    "palette": lambda path: Image.fromarray(IMAGES[0]).save(path, "GIF"),
    "8 bits in 16": lambda path: Image.fromarray(IMAGES[0].astype(np.uint16) * 257).save(path),
    "pgm": lambda path: Image.fromarray(IMAGES[0]).save(path, "PPM"),
    "bits": lambda path: Image.fromarray(IMAGES[0] > 99).save(path),
}


@pytest.mark.parametrize("how", KEPT)
def test_a_picture_that_loses_nothing_is_read_however_it_is_stored(tmp_path: Path, how: str) -> None:
    KEPT[how](folder(tmp_path) / "train" / "2" / "0.png")
    expected = 255 * (IMAGES[0] > 99) if how == "bits" else IMAGES[0]
    np.testing.assert_array_equal(nm.data.load(tmp_path).train.images[0], expected)


def test_jpegs_are_read_beside_pngs(tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(folder(tmp_path) / "train" / "2" / "2.JPG", quality=100)
    images = nm.data.load(tmp_path).train.images
    assert len(images) == 7
    np.testing.assert_allclose(images[2], IMAGES[0].astype(int), atol=6)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            "train/2/a.webp",
            r"files left out, as no pictures in a class's folder: 1, the first train/2/a\.webp; pictures",
        ),
        ("train/2/more/a.png", r"files left out, .*: 1, the first train/2/more/a\.png"),
        ("train/a.png", r"files left out, .*: 1, the first train/a\.png"),
        ("val/2/a.png", r"left out next to train/ and test/: 1, the first val"),
        ("train-images-idx3-ubyte", r"left out next to train/ and test/: 1, the first train-images"),
        ("a.png", r"left out next to train/ and test/: 1, the first a\.png"),
    ],
)
def test_what_is_left_out_is_counted_in_one_warning(tmp_path: Path, file: str, words: str) -> None:
    path = folder(tmp_path) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(IMAGES[0]).save(path, "PNG")
    with pytest.warns(UserWarning, match=words) as said:
        assert len(nm.data.load(tmp_path).train) == 6
    assert len(said) == 1


def test_what_file_managers_leave_behind_needs_no_word(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in (".DS_Store", "train/.DS_Store", "train/2/Thumbs.db", "test/2/desktop.ini", "train/.cache/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert nm.data.load(tmp_path).train.classes == 3


def test_an_empty_folder_of_a_class_is_said(tmp_path: Path) -> None:
    for path in (folder(tmp_path) / "test" / "9").iterdir():
        path.unlink()
    with pytest.warns(UserWarning, match="folders of classes that hold no picture: 1, the first test/9"):
        assert nm.data.load(tmp_path).test.labels.tolist() == [0, 0, 2, 2]


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 7 5
%%EndComments
%%BeginProlog
%ImageData: 7 5 8 1 0 1 1 "image"
showpage
%%EOF
"""
OTHERS = {
    "eps": POSTSCRIPT,
    "dos eps": bytes.fromhex("c5d0d3c6") + (32).to_bytes(4, "little") + bytes(24) + POSTSCRIPT,
    "ps": b"%!PS-Adobe-3.0\nshowpage\n",
    "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
    "wmf": bytes.fromhex("d7cdc69a") + bytes(60),
    "fits": b"SIMPLE  =                    T" + bytes(2880),
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".bmp"])
@pytest.mark.parametrize("what", OTHERS)
def test_a_file_of_another_kind_is_refused_and_starts_no_program(
    tmp_path: Path, what: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path) / "train" / "2" / f"0{suffix}"
    path.write_bytes(OTHERS[what])
    started: list[Any] = []
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda self, *args, **kwargs: started.append(args))
    with pytest.raises(
        DataError, match=r"train/2/0\.\w+ can't be read as a picture: it is no PNG, JPEG, BMP, GIF, PGM or TIFF"
    ):
        nm.data.load(tmp_path)
    assert not started


def png(height: int, width: int) -> bytes:
    """The header of a gray PNG, and no pixels."""
    content = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    chunk = b"IHDR" + content
    return (
        b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + bytes((0,) * 4)
    )


HUGE = {
    "144 megapixels": png(12_000, 12_000) + b"IDAT",
    "a bomb": png(60_000, 60_000) + b"IDAT",
    "a pgm": b"P5 90000 90000 255\n",
    "a bitmap of bits": b"P4 90000 90000\n",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("what", HUGE)
def test_pixels_are_bounded_before_they_are_decoded(
    tmp_path: Path, what: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(self: Image.Image, *args: Any) -> None:
        raise AssertionError(f"{self.size} was decoded")

    folder(tmp_path)
    (tmp_path / "train" / "2" / ("0.png" if first else "1.png")).write_bytes(HUGE[what])
    with monkeypatch.context() as context:
        if first:
            context.setattr("PIL.ImageFile.ImageFile.load", decoded)
        with pytest.raises(DataError, match=r"\.png (has \d+ x \d+ pixels|can't be read as a picture: Image size)"):
            nm.data.load(tmp_path)


def test_a_file_far_larger_than_its_picture_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path) / "train" / "2" / "0.png"
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(DataError, match=r"0\.png has 5 x 7 pixels in 1,073,741,824 bytes; at most"):
        nm.data.load(tmp_path)


def test_what_the_whole_set_may_hold_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neural_microscope.data.pictures.MOST_IN_ALL", 4 * 35)
    with pytest.raises(DataError, match="train holds more than 140 pixels"):
        nm.data.load(folder(tmp_path))


PGM = {
    "no size": b"P5\n",
    "words": b"P5 seven five 255\n",
    "a long word": b"P5 " + b"7" * 5000,
    "minus": b"P5 -7 5 255\n",
    "no depth": b"P5 7 5 0\n" + bytes(35),
    "too deep": b"P5 7 5 70000\n" + bytes(35),
    "cut": b"P5 7 5 255\n" + bytes(34),
    "plain cut": b"P2 7 5 255\n1 2 3",
    "plain words": b"P2 7 5 255\n1 2 x",
    "plain too high": b"P2 7 5 255\n" + b"999 " * 35,
    "a comment without end": b"P2 7 5 255\n#" + b"x" * 100,
}


@pytest.mark.parametrize("what", PGM)
def test_a_broken_pgm_is_one_error_that_names_it(tmp_path: Path, what: str) -> None:
    (folder(tmp_path) / "train" / "2" / "0.pgm").write_bytes(PGM[what])
    (tmp_path / "train" / "2" / "0.png").unlink()
    with pytest.raises(DataError, match=r"train/2/0\.pgm"):
        nm.data.load(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".pgm", ".tif"])
def test_damaged_pictures_are_pictures_or_one_error_that_names_them(tmp_path: Path, suffix: str) -> None:
    path = folder(tmp_path) / "train" / "2" / f"1{suffix}"
    path.with_suffix(".png").unlink()
    Image.fromarray(IMAGES[1]).save(path)
    content, chance, said = path.read_bytes(), random.Random(0), list[str]()
    for round in range(60):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 4))):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 255, chance.randrange(256)))
        path.write_bytes(damaged[: chance.randrange(len(damaged)) if round % 4 == 0 else None])
        try:
            assert nm.data.load(tmp_path).image_shape == (5, 7)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 10
    assert all(path.name in words and "\n" not in words for words in said)
