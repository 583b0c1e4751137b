"""The docstrings of the API reference: their examples run, and their arguments are those of the signature."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neural_microscope as nm

ROOT = Path(__file__).parents[1]
SHOWN = sorted(
    {
        name
        for page in ROOT.glob("docs/api/*.md")
        for name in re.findall(r"^\.\. automodule:: neural_microscope\.(\S+)", page.read_text("utf-8"), re.M)
    }
)
FINISHED = ROOT / "tests" / "fixtures" / "run-0.1" / "finished"
HOW = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
TUTORIALS = [
    ROOT / "README.md",
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/how-to/*.md"),
    *ROOT.glob("notebooks/sources/*.py"),
]


@pytest.fixture(scope="session")
def names(shared: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Any]:
    """The names that the examples start from, as docs/api/index.md lists them."""
    digits, model = nm.data.load("digits"), nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(32, 16)), seed=0)
    nm.train(model, digits, nm.TrainConfig(epochs=2, learning_rate=0.005))
    run = nm.Run.open(shared("example-run", lambda path: shutil.copytree(FINISHED, path)))
    kept = shared("example-kept", _kept)
    test = {"images": digits.test.tensor(), "labels": digits.test.label_tensor()}
    return {
        "nm": nm,
        "np": np,
        "torch": torch,
        "digits": digits,
        "model": model.eval(),
        **test,
        "run": run,
        "kept": nm.Run.open(kept),
        "acts": run.activations("layers.1.hook_post"),
    }


def _kept(folder: Path) -> None:
    """A run of 24 steps with the states of all snapshots."""
    record = nm.RecordConfig(per_octave=0, probe_size=100, keep_states=True)
    mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(mlp, nm.data.load("digits"), nm.TrainConfig(epochs=2), observers=[nm.Recorder(folder, record)])


def public(room: str) -> Iterator[tuple[str, Any]]:
    """The public names of a module: functions, classes, their methods and properties."""
    module = importlib.import_module(f"neural_microscope.{room}")
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    for name in getattr(module, "__all__", own):
        thing = getattr(module, name)
        if name.startswith("_") or not (inspect.isfunction(thing) or inspect.isclass(thing)):
            continue
        yield name, thing
        if inspect.isclass(thing):
            for method, found in vars(thing).items():
                function = found.__func__ if isinstance(found, classmethod | staticmethod) else found
                if (
                    method[0] != "_"
                    and method != "forward"
                    and inspect.isfunction(function)
                    and function.__module__.startswith("neural_")
                ):
                    yield f"{name}.{method}", function


def listed(thing: Any) -> list[str]:
    """The arguments that a docstring lists."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(thing) or "", re.M)
    return re.findall(r"^    (\*{0,2}\w+): \S", section[1], re.M) if section else []


def first_result(thing: Any) -> str:
    """The first line of what a docstring says is returned, without code: napoleon takes what stands before a colon for a type."""
    section = re.search(r"^(?:Returns|Yields):\n    (.*)", inspect.getdoc(thing) or "", re.M)
    return re.sub(r"``.*?``|`.*?`", "", section[1]) if section else ""


def taken(thing: Any) -> list[str]:
    """The arguments of the signature; none for a class whose fields say what they are."""
    if inspect.isclass(thing) and (
        dataclasses.is_dataclass(thing)
        or issubclass(thing, tuple | BaseException)
        or getattr(thing, "_is_protocol", False)
        or "__init__" not in vars(thing)
    ):
        return []
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    given = inspect.signature(thing).parameters.values()
    return [stars.get(one.kind, "") + one.name for one in given if one.name not in ("self", "cls")]


@pytest.mark.parametrize("room", SHOWN)
def test_a_docstring_lists_the_arguments_of_its_signature(room: str) -> None:
    found = dict(public(room))
    assert found
    for name, thing in found.items():
        assert listed(thing) == taken(thing), name
        assert ":" not in first_result(thing), name
        first = (inspect.getdoc(thing) or "").partition("\n\n")[0]
        assert re.search(r"[.:]$", first), f"{name}: {first!r}"
        assert not re.match(r"(What|How|Whether|When|Which|Who|Where|Why)\b", first), f"{name}: {first!r}"


@pytest.mark.usefixtures("looked_once", "undrawn")
@pytest.mark.parametrize("room", SHOWN)
def test_the_examples_run(room: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = shutil.copytree(names["kept"].folder, tmp_path / "kept")  # replays lie beside it
    names = {**names, "kept": nm.Run.open(kept)}
    runner, said = doctest.DocTestRunner(optionflags=HOW), list[str]()
    for name, thing in public(room):
        example = doctest.DocTestParser().get_doctest(inspect.getdoc(thing) or "", {**names}, name, None, None)
        runner.run(example, out=said.append)
    assert not said, "".join(said)


def test_what_a_tutorial_names_has_an_example() -> None:
    text = "\n".join(page.read_text("utf-8") for page in TUTORIALS)
    called = set(re.findall(r"(?<![\w.])((?:\w+\.)+\w+)\(", text))
    without = []
    for room in SHOWN:
        owners = ["nm", f"nm.{room}", *[room.rpartition(".")[2]] * room.startswith("analysis")]
        for name, thing in public(room):
            if called & {f"{owner}.{name}" for owner in owners} and ">>>" not in (inspect.getdoc(thing) or ""):
                without.append(f"{room}.{name}")
    assert not without
    assert {"nm.Run.open", "nm.analysis.geometry.pca"} <= called


def test_the_reference_says_what_its_examples_start_from(names: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "api" / "index.md").read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []
