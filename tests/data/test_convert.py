"""Arrays of any usual form become the same image set; where two readings fit, the error names both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.data import convert
from neural_microscope.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (9, 5, 5)).astype(np.uint8)
IMAGES[0, 0, :2] = 0, 255
COLOR = RNG.integers(0, 256, (9, 5, 6, 3)).astype(np.uint8)
COLOR[0, 0, :2, 0] = 0, 255
LABELS = np.array([2, 0, 1, 1, 2, 0, 2, 1, 0])
UNIT = IMAGES / np.float32(255)

GRAY = {
    "as they are": IMAGES,
    "0..1": UNIT,
    "half": torch.tensor(UNIT).half(),
    "-1..1": 2 * UNIT - 1,
    "floats to 255": IMAGES.astype(float),
    "int64": IMAGES.astype(np.int64),
    "16 bits": IMAGES.astype(np.uint16) * 257,
    "flat": UNIT.reshape(9, 25),
    "columns": IMAGES.reshape(9, 25).T,
    "channel first": torch.tensor(UNIT[:, None]),
    "channel last": IMAGES[..., None],
    "examples last": np.moveaxis(IMAGES, 0, -1),
    "list": IMAGES.tolist(),
}


@pytest.mark.parametrize("form", GRAY)
def test_gray_images_of_every_form_become_the_same(form):
    found, changes = convert(GRAY[form], LABELS)
    np.testing.assert_array_equal(found.images, IMAGES)
    assert (found.classes, found.labels.tolist()) == (3, LABELS.tolist())
    assert bool(changes) == (form not in ("as they are", "floats to 255", "int64", "channel last", "list"))


LETTERS = np.array(["c", "a", "b", "b", "c", "a", "c", "b", "a"])
MARKS = {
    "int8": (LABELS.astype(np.int8), ()),
    "floats": (LABELS.astype(float), ()),
    "list": (LABELS.tolist(), ()),
    "a column": (LABELS[:, None], ()),
    "one-hot": (np.eye(3)[LABELS], ()),
    "tensor": (torch.tensor(LABELS), ()),
    "text": (LETTERS, ("a", "b", "c")),
    "bytes": (LETTERS.astype(bytes), ("a", "b", "c")),
    "objects": (LETTERS.astype(object), ("a", "b", "c")),
}


@pytest.mark.parametrize("form", MARKS)
def test_labels_of_every_form_become_the_same(form):
    labels, names = MARKS[form]
    found, _ = convert(IMAGES, labels)
    assert (found.labels.dtype, found.labels.tolist(), found.class_names) == (np.int64, LABELS.tolist(), names)


COLORS = {
    "channels last": (COLOR, {}),
    "channels first": (np.moveaxis(COLOR, -1, 1), {}),
    "tensor": (torch.tensor(COLOR).permute(0, 3, 1, 2) / 255, {}),
    "flat, last": (COLOR.reshape(9, -1), {"axes": "example row col channel", "shape": (5, 6)}),
    "flat, first": (np.moveaxis(COLOR, -1, 1).reshape(9, -1), {"axes": "example channel row col", "shape": (5, 6)}),
    "examples last": (np.moveaxis(COLOR, 0, -1), {}),
    "columns first": (COLOR.swapaxes(1, 2), {"transpose": True}),
}


@pytest.mark.parametrize("form", COLORS)
def test_images_in_color_become_the_same(form):
    images, how = COLORS[form]
    found, _ = convert(images, LABELS, **how)
    np.testing.assert_array_equal(found.images, COLOR)
    assert found.tensor().shape == (9, 3, 5, 6)


def test_several_channels_are_the_models_input():
    images = RNG.integers(0, 256, (9, 4, 5, 6)).astype(np.uint8)
    found, changes = convert(images, LABELS, axes="example channel row col")
    torch.testing.assert_close(found.tensor(), torch.tensor(images) / 255, rtol=0, atol=1e-7)
    assert found.image_shape == (5, 6)
    assert "4 channels are the input of a model" in changes[-1]


FIRST_OR_LAST = "axes='example channel row col' .* or axes='example row col channel'"
ASKED = {
    "channels first or last": (np.zeros((9, 3, 5, 3), np.uint8), LABELS, FIRST_OR_LAST),
    "five channels": (np.zeros((9, 5, 7, 8), np.uint8), LABELS, FIRST_OR_LAST),
    "flat color": (np.zeros((9, 75), np.uint8), LABELS, FIRST_OR_LAST),
    "gray, or flat color": (np.zeros((9, 25, 3), np.uint8), LABELS, "axes='example row col' .* or axes='example pixel channel'"),
    "first or last": (np.zeros((9, 5, 9), np.uint8), LABELS, "axes='example row col' .* or axes='row col example'"),
    "int8 -1..1": ((IMAGES % 3).astype(np.int8) - 1, LABELS, "black=-1, white=1 or black=-128, white=127"),
    "zeros and ones": (IMAGES % 2, LABELS, "white=1 or white=255"),
    "0..16": (IMAGES / 17, LABELS, "white=15 or white=255"),
    "12 or 16 bits": (IMAGES.astype(np.uint16) * 16, LABELS, "white=4095 or white=16383 or white=65535"),
    "labels from 1": (IMAGES, LABELS + 1, r"first_label=1 \(classes 1\.\.3, 3 of them\) or first_label=0"),
}  # fmt: skip


@pytest.mark.parametrize("what", ASKED)
def test_where_two_readings_fit_both_are_named(what):
    images, labels, says = ASKED[what]
    with pytest.raises(DataError, match=f"can be read in more than one way: pass {says}"):
        convert(images, labels)


def test_what_was_asked_for_decides():
    digits, _ = convert(IMAGES // 16, LABELS, white=16)
    np.testing.assert_array_equal(digits.images, np.round(IMAGES // 16 * (255 / 16)))
    signs = (IMAGES % 3).astype(np.int8) - 1
    assert convert(signs, LABELS, black=-1, white=1)[0].images.max() == 255
    assert convert(255 - IMAGES, LABELS, black=255, white=0)[0].images.tolist() == IMAGES.tolist()
    assert convert((UNIT - 0.5) / 0.25, LABELS, black=-2, white=2)[0].images.tolist() == IMAGES.tolist()
    assert convert(IMAGES, LABELS + 1, first_label=1)[0].classes == 3
    assert convert(IMAGES, LABELS + 1, first_label=0)[0].classes == 4
    assert convert(IMAGES, LABELS + 1, class_names=["a", "b", "c"])[0].labels.tolist() == LABELS.tolist()


REFUSED = {
    "normalized": (UNIT * 4 - 2, LABELS, {}, r"normalization \(pixel - mean\) / std: pass black= and white="),
    "NaN": (np.where(IMAGES[2, 0, 0] == IMAGES, np.nan, UNIT), LABELS, {}, r"hold NaN or infinite pixels, the first is example"),
    "outside": (IMAGES, LABELS, {"white": 128}, "from 0 to 255, which is not within black=0 and white=128"),
    "one label less": (IMAGES, LABELS[:8], {}, r"images of shape \[9, 5, 5\] with 8 labels came"),
    "14 columns": (IMAGES, RNG.integers(0, 2, (9, 14)), {}, r"14 numbers, and a set has one class an image: pass one column"),
    "fractions": (IMAGES, LABELS / 2, {}, r"example 2 has the label 0\.5"),
    "unlabeled": (IMAGES, LABELS - 1, {}, "a label is -1, below 0: leave out images without a class, or pass first_label=-1"),
    "a strange name": (IMAGES, LETTERS, {"class_names": ("a", "b")}, "a label is 'c', which is none of class_names: a, b"),
    "no square": (IMAGES.reshape(9, 25)[:, :24], LABELS, {}, r"24 pixels are not images of a square; pass shape="),
    "not these axes": (IMAGES, LABELS, {"axes": "example row"}, "it names each of the 3 axes once"),
    "an axis twice": (IMAGES, LABELS, {"axes": "row row example"}, "axes is 'row row example'"),
    "ragged": ([[1, 2], [3]], [0, 1], {}, "images are not all of one shape"),
    "text": (LETTERS, LABELS, {}, "images are numbers along two axes at least"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_reading_fits_is_refused_with_a_way_out(what):
    images, labels, how, says = REFUSED[what]
    with pytest.raises(DataError, match=says):
        convert(images, labels, **how)


def test_the_report_says_what_was_done():
    rng = np.random.default_rng(1)
    flat = rng.random((6, 36)).astype(np.float32)
    flat[0, :2] = 0, 1
    _, changes = convert(flat.T, [1, 2, 4, 1, 2, 4], first_label=1, transpose=True)
    assert changes == (
        "labels 1..4 became 0..3: the first class has the label 1",
        "no image is of 1 of the 4 classes: 2",
        "the images lay along the last axis of [36, 6], now along the first",
        "36 pixels a row are images of 6 x 6",
        "rows and columns of each image were swapped",
        "pixels from 0 to 1 were scaled to 0..255: 0 is black, 1 white",
        "pixels were rounded to 8 bits, by at most 0.5 of 255",
    )


def test_a_network_trains_on_what_came_in_floats():
    rng = np.random.default_rng(2)
    labels = np.arange(40) % 2
    pixels = rng.random((40, 16)) * 0.4 + 0.6 * (np.arange(16) % 2 == labels[:, None])
    part, _ = convert(pixels, labels)
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=2, hidden=(8,)))
    nm.train(model, nm.data.Dataset("stripes", part, part), nm.TrainConfig(epochs=20, learning_rate=0.01))
    assert nm.evaluate(model, part).accuracy == 1
