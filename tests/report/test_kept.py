"""Results that are kept in the run's folder: the same page with them and without them, and no trust in a file that is not just so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import safetensors.numpy

import neural_microscope as nm
from neural_microscope import report
from neural_microscope.analysis import findings
from neural_microscope.analysis.look import FirstLook, kept, looking, looks
from neural_microscope.processes import one_by_one
from neural_microscope.run import RESULTS

DIGITS = nm.data.load("digits")
RECORD = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=60, norms_every=0)


def train(folder: Path, seed: int = 0, **settings: object) -> Path:
    net = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(4,)), seed)
    training = nm.TrainConfig(epochs=1, batch_size=256, seed=seed, **settings)  # type: ignore[arg-type]
    nm.train(net, DIGITS, training, observers=[nm.Recorder(folder, RECORD)])
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose results are kept."""
    folder = train(tmp_path_factory.mktemp("kept") / "run")
    look(folder)
    return folder


@pytest.fixture
def folder(known: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(known, tmp_path / "run"))


def look(folder: Path, keep: bool = True) -> FirstLook:
    return one_by_one(looking(nm.Run.open(folder), keep=keep), lambda *said: None)  # type: ignore[no-any-return]


def counted(folder: Path) -> int:
    """The number of measures that a look takes."""
    told: list[object] = []
    one_by_one(looking(nm.Run.open(folder), keep=True), lambda *said: told.append(said))
    return len(told)


@pytest.mark.usefixtures("undrawn")
def test_a_page_is_the_same_to_the_byte_with_and_without_kept_results(folder: Path, tmp_path: Path) -> None:
    (folder / RESULTS).unlink()
    pages = [report.write([nm.Run.open(folder)], tmp_path / f"{turn}.html").read_bytes() for turn in range(2)]
    assert (folder / RESULTS).is_file()
    assert counted(folder) == 0
    assert pages[0] == pages[1]


def test_kept_results_are_those_that_are_computed(folder: Path) -> None:
    there, anew = look(folder), look(folder, keep=False)
    for one, other in zip((there, *there.layers), (anew, *anew.layers), strict=True):
        assert one.results.keys() == other.results.keys()
        for name, result in one.results.items():
            assert result is other.results[name] is None or result.identical(other.results[name]), name


def test_what_the_claims_need_is_kept_and_a_page_computes_the_rest(folder: Path) -> None:
    all_of_them = counted_anew(folder)
    (folder / RESULTS).unlink()
    claims = report.claims([nm.Run.open(folder)])
    part = kept.decoded((folder / RESULTS).read_bytes(), str(kept.key(nm.Run.open(folder))))
    assert 0 < sum(map(len, part.values())) < all_of_them
    written = (folder / RESULTS).stat().st_mtime_ns
    assert report.claims([nm.Run.open(folder)]).identical(claims)
    assert (folder / RESULTS).stat().st_mtime_ns == written, "nothing to add"
    whole = look(folder)
    assert sum(len(at.results) for at in (whole, *whole.layers)) == all_of_them
    assert counted(folder) == 0


def counted_anew(folder: Path) -> int:
    anew = look(folder, keep=False)
    return sum(len(at.results) for at in (anew, *anew.layers))


def test_of_other_seeds_only_what_the_claims_need_is_computed(tmp_path: Path) -> None:
    runs = [nm.Run.open(train(tmp_path / str(seed), seed)) for seed in range(2)]
    first, second = report.paper.looked(runs, None)
    assert "similarity.matrix" in first.results
    assert "similarity.matrix" not in second.results
    assert second.results.keys() < first.results.keys()


TELL: dict[str, Callable[[nm.Run, Path], object]] = {
    "claims": lambda run, page: findings.findings([run]),
    "explorer": lambda run, page: nm.explorer.write([run], page),
}


@pytest.mark.parametrize("name", TELL)
def test_claims_and_the_explorer_take_what_is_kept_and_nothing_stale(name: str, folder: Path, tmp_path: Path) -> None:
    with patch.object(looks, "MEASURES", {}):  # nothing can be computed
        TELL[name](nm.Run.open(folder), tmp_path / "page.html")
        _flip(folder / RESULTS)
        with pytest.raises(nm.errors.UnknownName):
            TELL[name](nm.Run.open(folder), tmp_path / "page.html")


def test_a_run_with_kept_results_is_whole_and_can_be_read(folder: Path) -> None:
    assert nm.run.verify(folder) == []
    assert nm.Run.open(folder).status == "finished"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """With another description and a seal that is right."""
    content = path.read_bytes()
    header = kept.documents.header(content, path, nm.errors.RunError)
    about = kept.json.loads(header.metadata["about"])
    change(about)
    about["sha256"] = kept.documents.UNSEALED
    tensors = safetensors.numpy.load(content)
    path.write_bytes(kept.documents.sealed(safetensors.numpy.save(tensors, {"about": kept.json.dumps(about)})))


def _dangling(about: dict[str, Any]) -> None:
    next(iter(about["results"][""]["predictions.confusion"]["variables"].values()))["tensor"] = 10**6


ODD: dict[str, Callable[[Path], object]] = {
    "a flipped bit": _flip,
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing": lambda path: path.write_bytes(b""),
    "no seal": lambda path: path.write_bytes(safetensors.numpy.save({"0": np.zeros(3)}, {"about": "{}"})),
    "another key": lambda path: _rewritten(path, lambda about: about.update(key="0" * 64)),
    "no layer": lambda path: _rewritten(path, lambda about: about["results"].popitem()),
    "a tensor that is not there": lambda path: _rewritten(path, _dangling),
    "a link": lambda path: (path.rename(path.with_name("elsewhere")), path.symlink_to("elsewhere")),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("name", ODD)
def test_results_that_are_not_just_as_they_were_written_are_computed_again(name: str, folder: Path) -> None:
    ODD[name](folder / RESULTS)
    with patch.object(kept, "write"):
        assert counted(folder) > 0


def test_results_of_another_commit_are_not_taken(folder: Path, tmp_path: Path) -> None:
    other = train(tmp_path / "other", seed=1)
    shutil.copy(folder / RESULTS, other / RESULTS)
    assert counted(other) > 0
    assert counted(other) == 0, "now its own are kept"


def test_results_of_other_code_are_not_taken(folder: Path) -> None:
    with patch.object(kept, "_package", lambda: "other code"), patch.object(kept, "write"):
        assert counted(folder) > 0


def test_where_results_cant_be_kept_the_page_is_made_all_the_same(folder: Path) -> None:
    (folder / RESULTS).unlink()
    (folder / RESULTS).mkdir()
    assert counted(folder) > 0
    assert (folder / RESULTS).is_dir()


def test_a_writer_that_is_stopped_leaves_the_old_results(folder: Path) -> None:
    before = (folder / RESULTS).read_bytes()
    with patch("os.replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        kept.write(nm.Run.open(folder), b"new")
    assert (folder / RESULTS).read_bytes() == before
    assert nm.run.verify(folder) == []
