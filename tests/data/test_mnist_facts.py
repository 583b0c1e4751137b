"""The real files, against what others have published about them."""

from __future__ import annotations

import dataclasses
import gzip

import numpy as np
import pytest
from tiny_idx import FILES

from neural_microscope.data import load
from neural_microscope.data.published import KNOWN
from neural_microscope.errors import DataError

pytestmark = pytest.mark.mnist


@pytest.fixture(scope="module")
def mnist(mnist_folder):
    return load("mnist", folder=mnist_folder, download=False)


def test_mnist_has_60000_and_10000_images_of_28_by_28(mnist):
    assert mnist.train.images.shape == (60_000, 28, 28)
    assert mnist.test.images.shape == (10_000, 28, 28)
    assert (mnist.name, mnist.classes, mnist.image_shape) == ("mnist", 10, (28, 28))


def test_the_pixel_mean_and_deviation_are_those_that_everyone_normalizes_with(mnist):
    pixels = mnist.train.images / 255
    assert round(pixels.mean(), 4) == 0.1307
    assert round(pixels.std(), 4) == 0.3081


def test_the_class_counts_are_the_published_ones(mnist):
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist.train.labels).tolist() == train
    assert np.bincount(mnist.test.labels).tolist() == test


def test_the_first_test_images_are_the_well_known_7_2_1_0_4(mnist):
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_the_unpacked_files_are_known_by_their_own_hashes(mnist, mnist_folder, tmp_path):
    for file in FILES:
        (tmp_path / file).write_bytes(gzip.decompress((mnist_folder / f"{file}.gz").read_bytes()))
    assert load("mnist", folder=tmp_path, download=False).sha256 == mnist.sha256
    with (tmp_path / FILES[3]).open("r+b") as labels:
        labels.seek(8)
        labels.write(b"\x06")  # a 7 called a 6: right in form, wrong in fact
    with pytest.raises(DataError, match=f"{FILES[3]} is not the file that mnist was published with"):
        load("mnist", folder=tmp_path, download=False)


def test_mnist_comes_whole_from_the_second_mirror_when_the_first_cuts_it(
    mnist, mnist_folder, tmp_path, monkeypatch, mirror
):
    files = {f"{file}.gz": (mnist_folder / f"{file}.gz").read_bytes() for file in FILES}
    images = files[f"{FILES[0]}.gz"]
    cut, whole = mirror(files | {f"{FILES[0]}.gz": (images[:-1000], len(images))}), mirror(files)
    monkeypatch.setitem(KNOWN, "mnist", dataclasses.replace(KNOWN["mnist"], mirrors=(cut.url, whole.url)))
    assert load("mnist", folder=tmp_path).sha256 == mnist.sha256
    assert (cut.asked[0], whole.asked) == (f"{FILES[0]}.gz", list(files))


def test_a_balanced_thousand_has_a_hundred_of_each_digit(mnist):
    assert np.bincount(mnist.test.balanced(1000).labels).tolist() == [100] * 10
