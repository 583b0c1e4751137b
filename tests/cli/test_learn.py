"""``microscope learn``: the notebooks in a folder of the reader's, and JupyterLab there."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from command_line import microscope
from neural_microscope import lessons

ROOT = Path(__file__).parents[2]
MADE = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_it_copies_the_exercises_and_on_request_the_answers(tmp_path: Path) -> None:
    done = microscope("learn", tmp_path / "mine", "--no-open")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'mine'}: 12 notebooks copied\n"
    assert {path.name for path in (tmp_path / "mine").iterdir()} == MADE
    microscope("learn", tmp_path / "mine", "--solved", "--no-open")
    assert {path.name for path in (tmp_path / "mine" / "solved").iterdir()} == MADE
    text = (tmp_path / "mine" / "00_MLP_from_scratch_PyTorch.ipynb").read_text("utf-8")
    assert "raise NotImplementedError" in text


def test_what_is_there_is_kept_and_named(tmp_path: Path) -> None:
    mine = tmp_path / "00_MLP_from_scratch_PyTorch.ipynb"
    mine.write_text("my work")
    (tmp_path / "01_MLP_for_Interpretability.ipynb").symlink_to("nowhere")
    done = microscope("learn", tmp_path, "--no-open")
    assert "10 notebooks copied" in done.stdout
    assert f"kept, because they were there: {mine.name}, 01_MLP_for_Interpretability.ipynb" in done.stdout
    assert mine.read_text() == "my work"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("repository", ["", "https://example.org/me/microscope"])
def test_links_to_the_documentation_lead_to_the_repository_or_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str
) -> None:
    monkeypatch.setattr(lessons, "_repository", lambda: repository)
    copied, _ = lessons.copy(tmp_path, solved=True)
    assert len(copied) == 24
    for path in copied:
        nbformat.validate(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
        text = path.read_text("utf-8")
        assert "../docs/" not in text
        assert (f"({repository}/blob/main/docs/glossary.md)" in text) == bool(repository)
        assert "glossary" in text


def test_it_opens_jupyterlab_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    find = importlib.util.find_spec
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: name == "jupyterlab" or find(name, *more))
    monkeypatch.setattr(os, "execv", lambda program, words: opened.append((program, words, Path.cwd())))
    assert microscope("learn", "mine").returncode == 0
    assert opened == [(sys.executable, [sys.executable, "-m", "jupyterlab"], tmp_path / "mine")]


def test_without_jupyterlab_it_copies_and_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "jupyterlab" else find(name, *more)
    )
    done = microscope("learn", tmp_path)
    assert done.returncode == 1
    assert "pip install 'neural-microscope[notebooks]'" in done.stderr
    assert len(list(tmp_path.glob("*.ipynb"))) == 12
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert any(need.startswith("jupyterlab") for need in extras["notebooks"])


def test_the_wheel_holds_the_notebooks_and_nothing_else_of_their_folder() -> None:
    pytest.importorskip("hatchling", reason="the dev extra has it")
    packed = runpy.run_path(str(ROOT / "hatch_build.py"))["packed"]()
    folder = "neural_microscope/notebooks"
    assert sorted(packed.values()) == sorted(f"{folder}/{part}{name}" for part in ("", "exercises/") for name in MADE)
    assert all((ROOT / path).is_file() for path in packed)
