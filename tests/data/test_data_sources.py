from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pooch
import pytest
from sklearn.datasets import load_digits
from tiny_idx import FILES, packed, tiny_files

from neural_microscope.data import data_folder, load, load_or_digits
from neural_microscope.data.published import KNOWN
from neural_microscope.errors import DataError, UnknownName


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def publish(monkeypatch, pins, tiny):
    """Makes a known name stand for the tiny set, with its own hashes, on the given mirrors."""

    def replaced(name: str, *mirrors: str, algorithm: str = "sha256") -> None:
        def hashes(files: dict[str, bytes]) -> dict[str, str]:
            return {
                file.removesuffix(".gz"): f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
                for file, content in files.items()
            }

        plain = hashes(tiny) if name == "mnist" else {}
        found = dataclasses.replace(KNOWN[name], mirrors=mirrors, gzipped=hashes(packed(tiny)), plain=plain)
        monkeypatch.setitem(KNOWN, name, found)

    return replaced


def equals_tiny(data, tiny) -> bool:
    parts = ((data.train, *FILES[:2]), (data.test, *FILES[2:]))
    return all(
        part.images.tobytes() == tiny[images][16:] and part.labels.tolist() == list(tiny[labels][8:])
        for part, images, labels in parts
    )


@pytest.mark.parametrize(("name", "algorithm"), [("mnist", "sha256"), ("fashion-mnist", "md5"), ("kmnist", "md5")])
def test_a_known_set_is_downloaded_once_and_then_read_without_a_network(
    home, publish, mirror, tiny, tiny_gz, name, algorithm
):
    server = mirror(tiny_gz)
    publish(name, server.url, algorithm=algorithm)
    first = load(name)
    assert sorted(path.name for path in (home / name).iterdir()) == sorted(tiny_gz)
    second = load(name)
    assert len(server.asked) == 4
    assert first.sha256 == second.sha256
    assert equals_tiny(first, tiny)
    assert (first.name, first.train.name, first.test.name, first.classes, first.note) == (
        name, f"{name} train", f"{name} test", 10, "",
    )  # fmt: skip


def test_only_what_is_missing_is_downloaded(home, publish, mirror, tiny, tiny_gz, write_set):
    server = mirror(tiny_gz)
    publish("mnist", server.url)
    write_set({FILES[0]: tiny[FILES[0]], FILES[1] + ".gz": tiny_gz[FILES[1] + ".gz"]}, "home/mnist")
    assert equals_tiny(load("mnist"), tiny)
    assert server.asked == [f"{FILES[2]}.gz", f"{FILES[3]}.gz"]


@pytest.mark.parametrize("packing", [packed, dict])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_the_user_is_refused_with_both_hashes_and_left_alone(
    home, publish, mirror, tiny, tiny_gz, write_set, packing, file
):
    server = mirror(tiny_gz)
    publish("mnist", server.url)
    files = packing(tiny)
    (spelled,) = (name for name in files if name.startswith(file))
    right = hashlib.sha256(files[spelled]).hexdigest()
    files[spelled] = files[spelled][:-1] + bytes([files[spelled][-1] ^ 1])
    folder = write_set(files, "home/mnist")
    wrong = hashlib.sha256(files[spelled]).hexdigest()
    for reader in (load, load_or_digits):
        with pytest.raises(DataError, match=f"/{spelled} is not .* expected sha256:{right}, but sha256:{wrong} came"):
            reader("mnist")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert server.asked == []


def test_the_hash_is_checked_under_the_dotted_spelling_too(home, publish, tiny, write_set):
    publish("mnist")
    other = tiny_files(train=13)
    write_set({name.replace("-idx", ".idx"): content for name, content in other.items()}, "home/mnist")
    with pytest.raises(DataError, match=r"train-images.idx3-ubyte is not the file"):
        load("mnist")


def test_a_folder_by_its_path_is_read_unchecked(publish, tiny, write_set):
    publish("mnist")
    other = tiny_files(train=13)
    assert len(load(write_set(other, "home/mnist")).train) == 13
    assert len(load(str(write_set(other, "home/mnist"))).train) == 13


def test_folder_says_where_a_known_set_lies(publish, tiny, write_set):
    publish("mnist")
    assert equals_tiny(load("mnist", folder=write_set()), tiny)


def test_without_a_network_the_error_says_what_was_tried_and_what_to_do(home, publish, dead_mirror):
    publish("mnist", dead_mirror, "http://no.such/")
    with pytest.raises(DataError) as caught:
        load("mnist")
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        f"{dead_mirror} (Connection refused)",
        "http://no.such/ (Name or service not known)",
        f"put {FILES[0]}.gz, {FILES[1]}.gz, {FILES[2]}.gz, {FILES[3]}.gz into {home / 'mnist'}",
        "NEURAL_MICROSCOPE_DATA",
        "load('digits')",
    ):
        assert part in text


def test_download_can_be_forbidden(home, publish, mirror, tiny_gz):
    server = mirror(tiny_gz)
    publish("mnist", server.url)
    with pytest.raises(DataError, match=r"mnist is not in .*download=False; put"):
        load("mnist", download=False)
    assert server.asked == []


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"no data set 'mnits'.*did you mean.*'mnist'.*path of a folder"):
        load("mnits")
    with pytest.raises(UnknownName, match="no data set ''"):
        load("")
    with pytest.raises(DataError, match="there is no folder mnits"):
        load(Path("mnits"))


def test_a_name_wins_over_a_folder_called_the_same(monkeypatch, tmp_path, write_set):
    monkeypatch.chdir(tmp_path)
    write_set(folder="digits")
    write_set(folder="mine")
    assert load("digits").image_shape == (8, 8)
    assert load("./digits").image_shape == load("mine").image_shape == (3, 2)


@pytest.mark.parametrize("what", ["digits", Path("somewhere")])
def test_folder_with_what_is_not_published_is_refused(what):
    with pytest.raises(DataError, match="folder= goes with one of mnist, fashion-mnist, kmnist, not with"):
        load(what, folder="elsewhere")


def test_the_data_folder_is_the_users_cache_unless_the_variable_names_one(monkeypatch, tmp_path):
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", "~/data")
    assert data_folder() == Path.home() / "data"
    for unset in (lambda: monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", ""), lambda: monkeypatch.undo()):
        unset()
        monkeypatch.delenv("NEURAL_MICROSCOPE_DATA", raising=False)
        assert data_folder() == Path(pooch.os_cache("neural-microscope"))


def test_digits_are_scikit_learns_each_once_scaled_to_bytes():
    bunch, data = load_digits(), load("digits")
    scale = {level: (level * 255 + 8) // 16 for level in range(17)}
    ours = [
        (image.tobytes(), int(label))
        for part in (data.train, data.test)
        for image, label in zip(part.images, part.labels, strict=True)
    ]
    theirs = [
        (bytes(scale[int(value)] for value in image.ravel()), int(label))
        for image, label in zip(bunch.images, bunch.target, strict=True)
    ]
    assert sorted(ours) == sorted(theirs)
    assert (len(data.train), len(data.test), data.classes, data.image_shape) == (1437, 360, 10, (8, 8))
    assert "1797 digits of 8 x 8" in data.note


def test_the_digits_split_is_stratified_and_always_the_same():
    data = load("digits")
    whole = np.bincount(load_digits().target)
    assert np.abs(np.bincount(data.test.labels) - whole * 360 / 1797).max() < 1
    assert data.sha256 == "c8ddb19de7560ca319377e535041d595c7ef1107b079d31c832129d2f2c8cfcc"


def test_where_mnist_cannot_be_had_digits_come_with_a_loud_warning(home, publish, dead_mirror):
    publish("mnist", dead_mirror)
    with pytest.warns(UserWarning, match=r"NOT mnist, .*8 x 8.*Connection refused") as caught:
        data = load_or_digits("mnist")
    assert caught[0].filename == __file__
    assert "\n" not in str(caught[0].message)
    assert data.name == "digits"
    assert data.sha256 == load("digits").sha256
    assert data.note.startswith("NOT mnist")


def test_where_mnist_lies_in_the_data_folder_no_network_is_asked(home, publish, mirror, tiny, tiny_gz, write_set):
    server = mirror(tiny_gz)
    publish("mnist", server.url)
    write_set(folder="home/mnist")
    assert equals_tiny(load_or_digits(), tiny)
    assert server.asked == []


def test_load_or_digits_takes_what_load_takes(write_set):
    assert load_or_digits("digits").name == "digits"
    assert load_or_digits(str(write_set())).name == "set"


def test_importing_data_loads_neither_scikit_learn_nor_pooch():
    code = "import sys, neural_microscope.data; print({'sklearn', 'pooch', 'requests', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "set()\n"


def test_a_gzip_file_packed_again_is_not_the_published_one(home, publish, tiny, write_set):
    """Its pixels may be right, but only the published bytes can be known to be."""
    publish("mnist")
    again = {f"{name}.gz": gzip.compress(content, compresslevel=1, mtime=1) for name, content in tiny.items()}
    with pytest.raises(DataError, match="is not the file that mnist was published with"):
        load("mnist", folder=write_set(again))


def test_what_the_classes_are_called_is_known_where_they_have_names(home, publish, tiny_gz, write_set):
    for name in ("mnist", "fashion-mnist", "kmnist"):
        publish(name)
        write_set(tiny_gz, home / name)
    assert [load(name).test.class_name(1) for name in ("mnist", "fashion-mnist", "kmnist")] == ["1", "trouser", "ki"]
    assert all(len(KNOWN[name].class_names) == 10 for name in ("fashion-mnist", "kmnist"))
