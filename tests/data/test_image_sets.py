from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neural_microscope as nm
from neural_microscope.data import Dataset, ImageSet
from neural_microscope.errors import DataError


def numbered(labels: list[int], classes: int = 3) -> ImageSet:
    """Each image tells its own place in the set."""
    places = np.arange(len(labels))
    images = np.stack([places // 256, places % 256], axis=1).astype(np.uint8).reshape(-1, 1, 2)
    return ImageSet(images, np.array(labels), classes, "numbered")


def places(images: ImageSet) -> list[int]:
    return [256 * int(high) + int(low) for ((high, low),) in images.images]


IMAGES = np.zeros((4, 2, 3), np.uint8)
LABELS = np.arange(4)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "says"),
    [
        (IMAGES / 255, LABELS, 10, r"float64 came.*round\(images \* 255\)"),
        (IMAGES.astype(np.int64), LABELS, 10, r"int64 came.*astype\(numpy.uint8\)"),
        (torch.zeros(4, 2, 3, dtype=torch.uint8), LABELS, 10, r"a Tensor came.*numpy.asarray"),
        (IMAGES[:, None], LABELS, 10, r"\(4, 1, 2, 3\) came.*3 axes"),
        (IMAGES, LABELS.astype(np.uint8), 10, r"uint8 came.*astype\(numpy.int64\)"),
        (IMAGES, LABELS[:, None], 10, r"\(4, 1\) came"),
        (IMAGES, LABELS[:3], 10, "4 images came with 3 labels"),
        (IMAGES, LABELS, 3, r"label 3 of example 3 lies outside 0\.\.2"),
        (IMAGES, LABELS - 1, 10, "label -1 of example 0"),
        (IMAGES[:0], LABELS[:0], 10, "at least one image"),
        (IMAGES[:, :, :0], LABELS, 10, "at least one image"),
        (IMAGES, LABELS * 0, 1, "classes is 1"),
    ],
)
def test_what_is_no_image_set_is_refused_with_a_way_out(images, labels, classes, says):
    with pytest.raises(DataError, match=says):
        ImageSet(images, labels, classes)


TRUE_IMAGES = np.random.default_rng(0).integers(0, 256, (9, 5, 5)).astype(np.uint8)
TRUE_IMAGES[0, 0, :2] = 0, 255
TRUE_LABELS = np.array([2, 0, 1, 1, 2, 0, 2, 1, 0])
UNIT = TRUE_IMAGES / np.float32(255)
FORMS = {
    "0..1": UNIT,
    "0..1 in half": UNIT.astype(np.float16),
    "-1..1": 2 * UNIT - 1,
    "0..255": TRUE_IMAGES.astype(float),
    "int64": TRUE_IMAGES.astype(np.int64),
    "int8 from -128": (TRUE_IMAGES.astype(int) - 128).astype(np.int8),
    "uint16": TRUE_IMAGES.astype(np.uint16) * 257,
    "12 bits": np.round(UNIT * 4095).astype(np.int32),
    "0..16": UNIT * 16,
    "channel first": UNIT[:, None],
    "channel last": TRUE_IMAGES[..., None],
    "examples last": np.moveaxis(TRUE_IMAGES, 0, -1),
    "examples last, with a channel": np.moveaxis(TRUE_IMAGES, 0, -1)[:, :, None],
    "color first": np.repeat(TRUE_IMAGES[:, None], 3, 1),
    "color last": np.repeat(UNIT[..., None], 3, -1),
    "with alpha": np.concatenate([np.repeat(TRUE_IMAGES[..., None], 3, -1), np.full((9, 5, 5, 1), 9, np.uint8)], -1),
    "flat": UNIT.reshape(9, 25),
    "columns": TRUE_IMAGES.reshape(9, 25).T,
    "list": TRUE_IMAGES.tolist(),
    "tensor": torch.tensor(UNIT[:, None], requires_grad=True),
    "bfloat16": torch.tensor(TRUE_IMAGES[:, None]).bfloat16(),
}
ONE_HOT = np.eye(3)[TRUE_LABELS]
LABEL_FORMS = {
    "list": TRUE_LABELS.tolist(),
    "tensor": torch.tensor(TRUE_LABELS),
    "uint8": TRUE_LABELS.astype(np.uint8),
    "float": TRUE_LABELS.astype(np.float32),
    "objects": TRUE_LABELS.astype(object),
    "words": np.array(["ant", "bee", "cat"])[TRUE_LABELS],
    "word objects": np.array(["ant", "bee", "cat"], object)[TRUE_LABELS],
    "a column": TRUE_LABELS[:, None],
    "a row": TRUE_LABELS[None].astype(float),
    "one-hot": ONE_HOT,
    "one-hot in bits": ONE_HOT.astype(bool),
    "one-hot, transposed": ONE_HOT.T.astype(np.uint8),
    "probabilities": 0.8 * ONE_HOT + 0.2 / 3,
    "from 1": TRUE_LABELS + 1,
}


def code_in(error: str) -> str:
    """The expression that an error advises."""
    words = re.split(r"(?:with|take|example) (?=[a-z(])", error, maxsplit=1)[1].split(" ")
    for end in range(len(words), 0, -1):
        with contextlib.suppress(SyntaxError):
            compile(" ".join(words[:end]).rstrip(","), "", "eval")
            return " ".join(words[:end]).rstrip(",")
    raise AssertionError(error)


def by_advice(images: object, labels: object) -> ImageSet:
    for _ in range(5):
        try:
            return ImageSet(images, labels, 3)
        except DataError as error:
            text, given = str(error), {"images": images, "labels": labels, "numpy": np}
        value = eval(code_in(text), given)
        images, labels = (images, value) if text.startswith("label") else (value, labels)
    raise AssertionError(text)


@pytest.mark.parametrize("form", FORMS)
def test_advice_about_images_followed_to_the_letter_gives_them(form):
    given = by_advice(FORMS[form], TRUE_LABELS).images.astype(int)
    assert given.shape[3:] == ((3,) if "color" in form or "alpha" in form else ())
    difference = given - (TRUE_IMAGES[..., None] if given.ndim == 4 else TRUE_IMAGES)
    assert abs(difference).max() <= (form == "bfloat16")  # which has 8 bits, one of them the sign's


@pytest.mark.parametrize("form", LABEL_FORMS)
def test_advice_about_labels_followed_to_the_letter_gives_them(form):
    np.testing.assert_array_equal(by_advice(TRUE_IMAGES, LABEL_FORMS[form]).labels, TRUE_LABELS)


@pytest.mark.parametrize("signs", [np.int8, np.float32])
def test_minus_one_never_becomes_white(signs):
    images = np.array([[[-1, 0, 1]]], signs)
    assert by_advice(images, TRUE_LABELS[:1]).images.ravel().tolist() in ([0, 127, 255], [0, 128, 255])


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (
            np.where(TRUE_IMAGES == 255, np.nan, UNIT),
            TRUE_LABELS,
            "NaN or infinite pixels, the first is example 0: fix",
        ),
        (UNIT / 0.3 - 0.4, TRUE_LABELS, r"they run from -0\.4 to 2\.93.*; undo their normalization"),
        (UNIT + 1j, TRUE_LABELS, "complex64 came: give numbers"),
        (TRUE_LABELS, TRUE_IMAGES, "came in each other's place"),
        (TRUE_IMAGES[None, None], TRUE_LABELS, "not 3 axes: bring them"),
        (np.zeros((3, 3, 5, 3), np.uint8), TRUE_LABELS, "not 3 axes: bring them"),
        (None, TRUE_LABELS, "a NoneType came$"),
        ("images", TRUE_LABELS, "a str came$"),
        (TRUE_IMAGES, {}, "a dict came$"),
        (TRUE_IMAGES, TRUE_LABELS + 0.5, "whole numbers, but example 0 has 2.5"),
        (TRUE_IMAGES, np.where(TRUE_LABELS, TRUE_LABELS, np.nan), "whole numbers, but example 1 has nan"),
        (
            TRUE_IMAGES,
            np.ones((9, 14), int),
            r"each image has 14 labels, and a set has one: choose, for example labels\[:, 0\], or give them as targets with "
            "task='multi-label'",
        ),
        (TRUE_IMAGES, np.zeros((9, 4, 4), int), r"\(9, 4, 4\) came: give each image one whole number"),
        (TRUE_IMAGES, TRUE_LABELS.astype("M8[s]"), "give each image one whole number"),
        (TRUE_IMAGES, 3, "a int came$"),
    ],
)
def test_where_no_code_can_be_right_none_is_given(images, labels, says):
    with pytest.raises(DataError, match=says):
        ImageSet(images, labels, 3)


@pytest.mark.parametrize("classes", ["3", 3.0, None, 1 << 40, [3]])
def test_classes_are_a_whole_number_that_fits(classes):
    with pytest.raises(DataError, match="classes is"):
        ImageSet(TRUE_IMAGES, TRUE_LABELS, classes)


def test_classes_may_be_numpys():
    assert type(ImageSet(TRUE_IMAGES, TRUE_LABELS, TRUE_LABELS.max() + 1).classes) is int


def test_tensor_is_torchs_own_pixel_over_255_with_one_channel():
    images = np.arange(256, dtype=np.uint8).reshape(8, 4, 8)
    tensor = ImageSet(images, np.zeros(8, np.int64)).tensor()
    assert tensor.dtype == torch.float32
    assert tensor.shape == (8, 1, 4, 8)
    assert torch.equal(tensor[:, 0], torch.tensor(images).float() / 255)


def test_changing_a_tensor_leaves_the_set_alone():
    images = numbered([0, 1, 2])
    before = images.sha256
    images.tensor().fill_(1)
    images.label_tensor().fill_(0)
    assert images.sha256 == before


def test_label_tensor_is_int64():
    assert numbered([2, 0, 1]).label_tensor().equal(torch.tensor([2, 0, 1]))


def test_read_only_arrays_are_taken():
    images = np.frombuffer(bytes(24), np.uint8).reshape(4, 2, 3)
    assert ImageSet(images, LABELS).tensor().sum() == 0


def test_sha256_is_over_shape_pixels_and_labels():
    images = ImageSet(np.array([[[1, 2]], [[3, 4]]], np.uint8), np.array([5, 6]))
    expected = hashlib.sha256(struct.pack("<3q", 2, 1, 2) + bytes([1, 2, 3, 4]) + struct.pack("<2q", 5, 6))
    assert images.sha256 == expected.hexdigest()


def test_sha256_tells_sets_of_equal_bytes_apart_by_shape():
    flat, tall = np.zeros((2, 1, 6), np.uint8), np.zeros((2, 6, 1), np.uint8)
    assert ImageSet(flat, LABELS[:2]).sha256 != ImageSet(tall, LABELS[:2]).sha256


def test_sha256_does_not_depend_on_memory_layout():
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    assert ImageSet(np.asfortranarray(images), LABELS).sha256 == ImageSet(images, LABELS).sha256


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        (slice(1, 3), [1, 2]),
        ([3, 0, 0], [3, 0, 0]),
        (np.array([-1]), [3]),
        (np.array([True, False, False, True]), [0, 3]),
        (torch.tensor([2, 1]), [2, 1]),
    ],
)
def test_subset_keeps_what_was_chosen_in_that_order(indices, expected):
    images = numbered([0, 1, 2, 0])
    chosen = images.subset(indices)
    assert places(chosen) == expected
    assert chosen.labels.tolist() == [images.labels[i] for i in expected]
    assert (chosen.classes, chosen.name) == (3, "numbered")


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        ([4], "4 images.*out of bounds"),
        (np.ones(5, bool), "4 images.*boolean"),
        ([], "no image chosen of 4"),
        (np.zeros(4, bool), "no image chosen of 4"),
        (slice(9, 9), "no image chosen of 4"),
        ([0.0, 1.0], "float64 can't choose"),
        (2, r"shape \(\).*for one image \[i\]"),
        ([[0, 1]], r"shape \(1, 2\)"),
    ],
)
def test_a_choice_of_no_images_is_refused(indices, says):
    with pytest.raises(DataError, match=says):
        numbered([0, 1, 2, 0]).subset(indices)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 2**32), st.data())
def test_balanced_choices_take_of_each_class_its_share_as_far_as_its_images_go(labels, seed, data):
    images, held = numbered(labels, classes=6), np.bincount(labels, minlength=6)
    n = data.draw(st.integers(1, len(labels)))
    chosen = images.balanced(n, seed=seed)
    taken = np.bincount(chosen.labels, minlength=6)
    assert len(set(places(chosen))) == len(chosen) == n
    assert [labels[place] for place in places(chosen)] == chosen.labels.tolist()
    assert (taken[taken < held] >= taken.max() - 1).all()  # whoever has fewer gave all
    for wrong in (0, len(labels) + 1):
        with pytest.raises(DataError, match=f"can't choose {wrong} different images of {len(labels)}"):
            images.balanced(wrong)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.integers(0, 2**32), st.data())
def test_where_all_classes_have_their_share_the_choice_is_that_of_the_first_release(counts, seed, data):
    """Recorded probes do not change: the first release knew no rare classes, and drew in this order."""
    images = numbered(np.repeat(np.arange(len(counts)), counts).tolist() or [0], classes=len(counts))
    held = np.bincount(images.labels, minlength=len(counts))
    most = int(held.min() * len(counts) + np.count_nonzero(held > held.min()))
    n = data.draw(st.integers(1, most))
    rng = np.random.default_rng(seed)
    wanted = np.full(len(counts), n // len(counts))
    wanted[rng.choice(np.flatnonzero(held > wanted), n % len(counts), replace=False)] += 1
    chosen = [rng.choice(np.flatnonzero(images.labels == c), k, replace=False) for c, k in enumerate(wanted)]
    expected = rng.permutation(np.concatenate(chosen))
    assert images.balanced_indices(n, seed=seed).tolist() == expected.tolist()
    if held.min() and held.min() >= 0.75 * np.median(held):
        assert images.most_balanced == most


@pytest.mark.parametrize("few", [0, 1, 3, 30, 36])
def test_a_rare_class_takes_nothing_from_the_others(few):
    images = numbered(np.repeat(np.arange(10), [few] + [36] * 9).tolist(), classes=10)
    assert images.most_balanced == 9 * 36 + few if few < 27 else 10 * few + 9 * (few < 36)
    taken = np.bincount(images.balanced(images.most_balanced).labels, minlength=10)
    assert taken[0] == few
    assert taken.max() - taken[1:].min() <= 1


def test_balanced_is_a_pure_function_of_the_seed_and_mixes_the_order():
    images = numbered([0, 1, 2] * 200)
    first = images.balanced(300, seed=1)
    assert places(first) == places(images.balanced(300, seed=1))
    assert places(first) != places(images.balanced(300, seed=2))
    assert places(first) != sorted(places(first))
    assert first.labels.tolist() != sorted(first.labels.tolist())


def test_balanced_indices_say_where_the_balanced_images_stand():
    images = numbered([0, 1, 2, 0] * 20)
    indices = images.balanced_indices(31, seed=4)
    assert indices.dtype == np.int64
    assert indices.tolist() == places(images.balanced(31, seed=4))


def test_parts_that_do_not_fit_make_no_dataset():
    with pytest.raises(DataError, match="classes is 3 in train, 4 in test"):
        Dataset("odd", numbered([0]), numbered([0], classes=4))
    with pytest.raises(DataError, match=r"image_shape is \(1, 2\) in train, \(2, 3\) in test"):
        Dataset("odd", numbered([0], classes=10), ImageSet(IMAGES, LABELS))


def test_a_dataset_has_the_form_of_its_parts_and_a_digest_over_both():
    whole = Dataset("whole", numbered([0, 1, 2]), numbered([0, 1]))
    swapped = Dataset("whole", whole.test, whole.train)
    assert (whole.classes, whole.image_shape) == (3, (1, 2))
    assert len({whole.sha256, swapped.sha256, whole.train.sha256, whole.test.sha256}) == 4


def test_a_set_shows_itself_in_one_short_line():
    assert repr(numbered([0, 1])) == "<ImageSet 'numbered': 2 images of 1 x 2, 3 classes>"


NAMES = ("cat", "dog", "bird")


def named(names=NAMES, labels=(0, 2)) -> ImageSet:
    return dataclasses.replace(numbered(list(labels)), class_names=names)


def test_class_names_stay_with_what_is_chosen_and_do_not_enter_the_digest():
    assert named().subset([1]).class_names == named().balanced(1).class_names == NAMES
    assert [named().class_name(2), numbered([0]).class_name(2)] == ["bird", "2"]
    assert named().sha256 == numbered([0, 2]).sha256
    assert Dataset("pets", named(), named()).class_names == NAMES
    with pytest.raises(DataError, match=r"class_names is \('cat', 'dog', 'bird'\) in train, \(\) in test"):
        Dataset("pets", named(), numbered([0]))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("cat", "dog"), "2 class_names came for 3 classes"),
        (("cat", "dog", "cat"), "two classes are called 'cat'"),
        (("cat", "dog", " "), "it is the name of each class as text"),
        (("cat", "dog", 3), "it is the name of each class as text"),
        ("cat", "it is the name of each class as text"),
    ],
)
def test_class_names_that_name_no_classes_are_refused(names, says):
    with pytest.raises(DataError, match=says):
        named(names)


def test_class_names_do_not_redirect_what_is_printed_after_them():
    assert named(("cat", "dog", "bi\u202erd")).class_names[2] == r"bi\u202erd"


def test_examples_count_their_classes_by_name():
    assert nm.data.examples(torch.zeros(2, 5), [0, 1], class_names=NAMES).classes == 3
