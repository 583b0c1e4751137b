from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_idx import FILES, idx_bytes, packed

from neural_microscope.data import idx, load
from neural_microscope.errors import DataError

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = FILES
PLAIN = idx_bytes(np.zeros((2, 3, 3)))
SMALL = arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 3))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("idx")


def reading(folder: Path, content: bytes, name: str = "images", axes: int = 3) -> np.ndarray:
    path = folder / name
    path.write_bytes(content)
    return idx.read(path, axes)


def refused(folder: Path, content: bytes, says: str, name: str = "images", axes: int = 3) -> None:
    with pytest.raises(DataError, match=says) as caught:
        reading(folder, content, name, axes)
    assert name in str(caught.value)


@settings(deadline=None)
@given(SMALL, st.sampled_from(["images", "images.gz"]))
def test_any_small_file_reads_as_the_array_it_was_written_from(scratch, array, name):
    content = idx_bytes(array)
    read = reading(scratch, gzip.compress(content) if name.endswith("gz") else content, name)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@settings(deadline=None)
@given(SMALL, st.data())
def test_any_cut_or_longer_file_is_refused(scratch, array, data):
    whole = idx_bytes(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    refused(scratch, whole[:cut], "images")
    refused(scratch, whole + data.draw(st.binary(min_size=1, max_size=20)), "but more follow|more than a file|images")


@settings(deadline=None)
@given(SMALL, st.data())
def test_any_cut_or_longer_gzip_file_is_refused(scratch, array, data):
    whole = gzip.compress(idx_bytes(array))
    refused(scratch, whole[: data.draw(st.integers(0, len(whole) - 1))], "images", "images.gz")
    extra = data.draw(st.binary(min_size=1, max_size=20) | st.just(bytes(9)) | st.just(whole))
    refused(scratch, whole + extra, "has data after the end", "images.gz")


@settings(deadline=None)
@given(SMALL, st.data())
def test_any_changed_byte_is_refused_in_the_header_and_read_as_it_stands_in_the_payload(scratch, array, data):
    content = bytearray(idx_bytes(array))
    place, mask = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    content[place] ^= mask
    if place < 16:
        refused(scratch, bytes(content), "images")
    else:
        array.ravel()[place - 16] ^= mask
        np.testing.assert_array_equal(reading(scratch, bytes(content)), array)


@settings(deadline=None, max_examples=300)
@given(SMALL, st.data())
def test_a_changed_byte_of_a_gzip_file_never_gives_another_array(scratch, array, data):
    content = bytearray(gzip.compress(idx_bytes(array)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DataError):  # a date or a system in the gzip header may change, and nothing is wrong
        np.testing.assert_array_equal(reading(scratch, bytes(content), "images.gz"), array)


HUGE = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 4)
HONEST_GIANT = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**20, 2**10, 2)
SMALL_CLAIM = struct.pack(">BBBBIII", 0, 0, 8, 3, 10, 2, 2)
BIG_CLAIM = struct.pack(">BBBBIII", 0, 0, 8, 3, 10**6, 10, 10)


def bomb(start: bytes, zeros: int) -> bytes:
    """A gzip file of ``start`` and then ``zeros`` zero bytes, made without holding them."""
    stream = zlib.compressobj(wbits=31)
    parts = [stream.compress(start)]
    parts += [stream.compress(bytes(1 << 20)) for _ in range(zeros >> 20)]
    return b"".join([*parts, stream.flush()])


TOO_MUCH = {
    "2^64 bytes": (HUGE, "images", "2147483648 x 2147483648 x 4 = 18446744073709551616 bytes"),
    "2^64 bytes, gzipped": (gzip.compress(HUGE), "images.gz", "2147483648 x 2147483648 x 4"),
    "2 GiB, gzipped": (gzip.compress(HONEST_GIANT), "images.gz", "at most 1073741824"),
    "100 MB in 40 bytes": (gzip.compress(BIG_CLAIM), "images.gz", "more than a file of its size can hold"),
    "100 MB in 16 bytes": (BIG_CLAIM, "images", "more than a file of its size can hold"),
    "40 bytes that become 32 MB": (bomb(SMALL_CLAIM, 32 << 20), "images.gz", "= 40 bytes, but more follow"),
    "32 MB of zeros": (bomb(b"", 32 << 20), "images.gz", "magic number"),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_a_file_that_promises_or_holds_too_much_is_refused_in_little_memory(tmp_path, kind):
    content, name, says = TOO_MUCH[kind]
    tracemalloc.start()
    try:
        refused(tmp_path, content, says, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20  # the smallest of these would be 30 times that


def test_black_images_packed_as_tightly_as_gzip_can_are_no_bomb(tmp_path):
    content = bomb(struct.pack(">BBBBIII", 0, 0, 8, 3, 8, 1 << 10, 1 << 10), 8 << 20)
    assert len(content) * 1000 < 8 << 20
    assert not reading(tmp_path, content, "images.gz").any()


BAD = {
    "empty": (b"", "images", 3, "is empty"),
    "empty, gzipped": (b"", "images.gz", 3, "is empty"),
    "header cut": (b"\0\0\x08", "images", 3, "header of 16 bytes, but 3 came"),
    "nothing, gzipped": (gzip.compress(b""), "images.gz", 3, "header of 16 bytes, but 0 came"),
    "a web page": (b"<html>not found</html>", "images.gz", 3, "expected a gzip file.*starts with 3c68"),
    "plain under .gz": (PLAIN, "images.gz", 3, "take .gz off its name"),
    "gzipped without .gz": (gzip.compress(PLAIN), "images", 3, "add .gz to its name"),
    "images for labels": (PLAIN, "labels", 1, "expected the magic number 00000801 of labels, but 00000803 came"),
    "labels for images": (
        idx_bytes(np.zeros(9)),
        "images",
        3,
        "expected the magic number 00000803 of images, but 00000801 came",
    ),
    "floats": (b"\0\0\x0d" + PLAIN[3:], "images", 3, "00000d03 came"),
    "no image": (
        struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 28, 28),
        "images",
        3,
        "0 x 28 x 28 = 0 bytes; expected at least one",
    ),
    "one byte short": (PLAIN[:-1], "images", 3, "2 x 3 x 3 = 18 bytes"),
    "one byte long": (PLAIN + b"!", "images", 3, "18 bytes, but more follow"),
    "one byte short, gzipped": (gzip.compress(PLAIN[:-1]), "images.gz", 3, "18 bytes, but 17 follow"),
    "trailer cut": (gzip.compress(PLAIN)[:-4], "images.gz", 3, "ends in the middle"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_by_name_with_what_was_expected_and_what_came(tmp_path, kind):
    content, name, axes, says = BAD[kind]
    refused(tmp_path, content, says, name, axes)


def test_a_file_longer_than_one_read_comes_whole(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 300, 250)).astype(np.uint8)
    np.testing.assert_array_equal(reading(tmp_path, idx_bytes(array)), array)
    np.testing.assert_array_equal(reading(tmp_path, gzip.compress(idx_bytes(array)), "images.gz"), array)


@pytest.mark.parametrize(("separator", "ending"), [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")])
def test_a_folder_loads_under_every_spelling_of_its_files(write_set, tiny, separator, ending):
    named = {name.replace("-idx", f"{separator}idx") + ending: content for name, content in tiny.items()}
    folder = write_set({name: gzip.compress(c) if name.endswith(".gz") else c for name, c in named.items()})
    data = load(folder)
    assert (data.name, data.train.name, data.classes, data.image_shape) == ("set", "set train", 3, (3, 2))
    for part, images, labels in ((data.train, IMAGES, LABELS), (data.test, TEST_IMAGES, TEST_LABELS)):
        assert part.images.tobytes() == tiny[images][16:]
        assert part.labels.tolist() == list(tiny[labels][8:])


def test_a_folder_of_that_name_is_no_file(write_set, tiny):
    folder = write_set(packed(tiny))
    (folder / IMAGES).mkdir()  # some archives unpack like this
    assert len(load(folder).train) == 12


@pytest.mark.parametrize(("labels", "classes"), [([0, 0], 2), ([0, 1], 2), ([0, 7], 8), ([255, 0], 256)])
def test_a_folder_has_as_many_classes_as_its_training_labels_say_and_at_least_two(write_set, tiny, labels, classes):
    tiny |= {IMAGES: idx_bytes(np.zeros((2, 3, 2))), LABELS: idx_bytes(np.array(labels))}
    tiny |= {TEST_LABELS: idx_bytes(np.zeros(6))}
    assert load(write_set(tiny)).classes == classes


def test_a_test_label_above_the_training_classes_is_refused_by_file_and_example(write_set, tiny):
    tiny[TEST_LABELS] = idx_bytes(np.array([0, 1, 2, 0, 5, 1]))
    with pytest.raises(DataError, match=rf"{TEST_LABELS}: expected labels in 0\.\.2, but example 4 has 5"):
        load(write_set(tiny))


def test_images_and_labels_of_different_counts_are_refused_by_both_names(write_set, tiny):
    tiny[LABELS] = idx_bytes(np.zeros(11))
    with pytest.raises(DataError, match=rf"{IMAGES} holds 12 images, but .*{LABELS} holds 11 labels"):
        load(write_set(tiny))


def test_parts_of_different_image_sizes_are_refused_by_folder(write_set, tiny):
    tiny[TEST_IMAGES] = idx_bytes(np.zeros((6, 2, 3)))
    with pytest.raises(DataError, match=r"/set: .*image_shape is \(3, 2\) in train, \(2, 3\) in test"):
        load(write_set(tiny))


def test_a_folder_without_the_files_is_refused_with_what_it_lacks_and_holds(write_set, tiny):
    folder = write_set({IMAGES: tiny[IMAGES], "readme.txt": b""})
    with pytest.raises(DataError, match=rf"lacks {LABELS}, .*it holds readme.txt, {IMAGES}"):
        load(folder)
    with pytest.raises(DataError, match="it holds nothing"):
        load(write_set({}, "empty"))


def test_a_link_in_the_place_of_a_file_is_refused(write_set, tiny, tmp_path):
    file = write_set(tiny) / IMAGES
    file.rename(tmp_path / "outside")
    file.symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match=f"{IMAGES} is a link; .* put a copy"):
        load(file.parent)


def test_no_folder_at_all_is_said_so(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*/absent"):
        load(tmp_path / "absent")
