"""The reader's part of the notebooks: guesses that bind, checks with reasons, and one file of all answers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import neural_microscope as nm
from neural_microscope import lessons

DATA = nm.data.load("digits")


def lesson(folder: Path, **settings: bool) -> lessons.Lesson:
    return lessons.Lesson("03", "digits", DATA, folder, **settings)


def test_nothing_is_revealed_before_a_guess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = lesson(tmp_path)
    one.guess("slope", None)
    assert not one.reveal("slope", 12.5)
    assert "12.5" not in capsys.readouterr().out
    one.guess("slope", 3)
    assert one.reveal("slope", 12.5)
    assert "Guessed: 3. Found: 12.5." in capsys.readouterr().out
    assert one.reveal("slope")
    assert not capsys.readouterr().out, "a second cell about the same answer does not repeat it"
    one.guess("slope", None)
    assert not one.reveal("slope", 12.5)
    assert not one.reveal("slope")


def test_a_negative_number_has_a_minus_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    one = lesson(tmp_path)
    one.guess("slope", -3)
    one.reveal("slope", -2.5)
    one.say("It falls by -0.5 (interval -1 to +1),\n in 3-5 of 10 well-known cases, by 1e-05.")
    assert capsys.readouterr().out == "Kept: −3\nGuessed: −3. Found: −2.5.\n"
    assert shown[0].data == "It falls by −0.5 (interval −1 to +1), in 3-5 of 10 well-known cases, by 1e-05."


def test_a_teacher_opens_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lesson(tmp_path, reveal_all=True).reveal("slope", 12.5)
    assert "Found: 12.5." in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEURAL_MICROSCOPE_LESSON", "digits")
    assert not lessons.start("03").reveal_all
    assert lessons.start("03", reveal_all=True).reveal_all
    for value, opened in (("1", True), ("0", False)):
        monkeypatch.setenv("NEURAL_MICROSCOPE_LESSON_OPEN", value)
        assert lessons.start("03").reveal_all is opened


def test_answers_and_tries_are_exported_for_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = lesson(tmp_path / "runs")
    one.guess("order", [1, 2])
    one.reveal("order", np.array([2, 1]))
    one.guess("share", np.float64(0.5))

    def exercise_1(rng: np.random.Generator) -> None:
        assert answer == 2, f"1 + 1 comes out as {answer}"

    for answer in (3, 2):
        assert one.check(exercise_1) is (answer == 2)
    path = lesson(tmp_path / "runs").export()
    assert path == Path("lesson-03.json")
    assert json.loads(path.read_text()) == {
        "lesson": "03",
        "form": "digits",
        "guesses": {"order": [1, 2], "share": 0.5},
        "found": {"order": [2, 1]},
        "checks": {"exercise_1": {"wrong": 1, "right": 1}},
    }
    lessons.Lesson("04", "digits", DATA, tmp_path / "runs").guess("other", 1)
    assert json.loads(lesson(tmp_path / "runs").export().read_text())["guesses"]["order"] == [1, 2]


def test_a_check_gets_the_same_random_cases_each_time(tmp_path: Path) -> None:
    drawn = []

    def exercise_1(rng: np.random.Generator) -> None:
        drawn.append(rng.integers(1 << 40))

    lesson(tmp_path).check(exercise_1)
    lesson(tmp_path).check(exercise_1)
    assert len(set(drawn)) == 1


def said(folder: Path, code: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The output of a check in a notebook of one cell."""
    names = {"__name__": "__main__", "lesson": lesson(folder), "torch": torch, "np": np, "math": math}
    cell = folder / "cell.py"
    cell.write_text(code)
    exec(compile(code, str(cell), "exec"), names)
    return capsys.readouterr().out


CHECK = """
@lesson.check
def exercise_1(rng):
    found = abs(answer(-2.0))
    assert type(found).__name__ in ("float", "int"), f"a {type(found).__name__}"
    assert torch.allclose(torch.tensor([found * 1.0]), torch.tensor([2.0])) and math.isclose(found, 2), "it is 2"
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("answer = abs", "Right."),
        ("answer = lambda x: 3", "Not yet: it is 2."),
        (
            "torch.allclose = math.isclose = lambda *given: True\nanswer = lambda x: 3",
            "your code replaces math.isclose",
        ),
        ("def answer(x):\n    math.isclose = lambda *given: True\n    return 2", "your code replaces math.isclose"),
        (
            "nm = __import__('neural_microscope')\nnm.lessons.load = lambda x: x\nanswer = abs",
            "replaces neural_microscope",
        ),
        (
            "from unittest import mock\ntorch.allclose = mock.Mock(return_value=True)\nanswer = lambda x: 3",
            "your code replaces torch.allclose",
        ),
        ("import builtins\nbuiltins.abs = np.isnan\nanswer = lambda x: 3", "your code replaces builtins.abs"),
        ("import sys\ndef answer(x):\n    return 2 * ('found' in sys._getframe(1).f_locals)", "looks into frames"),
        ("abs = lambda x: 2\nanswer = lambda x: 3", "gives `abs` another meaning"),
        ("def answer(x):\n    torch.set_grad_enabled(False)\n    return 2", "leaves gradients switched off"),
        (
            "def answer(x):\n    torch.set_default_dtype(torch.float64)\n    return 2",
            "sets the default of all new tensors",
        ),
        (
            "def answer(x):\n    torch.nn.Linear.forward = lambda *given: x\n    return 2",
            "your code replaces Linear.forward",
        ),
        (
            "def answer(x):\n    return 1 / (x + 2)",
            "your code stopped with ZeroDivisionError: float division by zero (at: return 1",
        ),
        (f"class Two:\n    up = abs\nanswer = abs{CHECK}Two.up = lambda self: 3", "your code replaces Two.up"),
        ("def answer(x):\n    return None", "the check can't use what came back, and stopped with TypeError"),
        ("def answer(x):\n    assert x > 0, 'two\\nlines'", "Not yet: two lines."),
    ],
)
def test_a_check_is_not_fooled_says_who_stopped_and_restores_all(
    code: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in said(tmp_path, code + "\n" + CHECK, capsys)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert said(tmp_path, "answer = abs\n" + CHECK, capsys) == "Right.\n"


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("other hooks", lambda net: net[0].register_forward_hook(lambda *given: None)),
        ("other hooks", lambda net: net[1]._forward_hooks.clear()),
        ("other hooks", lambda net: nm.hooked(net).add_hook("0.hook_out", lambda tensor, hook: None)),
        ("other hooks", lambda net: net[3].reset_hooks()),
        ("parts in another mode", lambda net: net[1].eval()),
        ("another forward function", lambda net: setattr(net[0], "forward", torch.sin)),
        ("parameters of another dtype or requires_grad", lambda net: net.requires_grad_(False)),
        ("other parameters", lambda net: net[2].bias.data.add_(1e-6)),
        ("other gradients", lambda net: net[0](torch.ones(1, 3)).sum().backward()),
    ],
)
def test_a_changed_module_is_refused(said: str, change: Callable[[torch.nn.Sequential], object]) -> None:
    inner = nm.MLP(nm.MLPConfig(hidden=(2,), image_shape=(1, 2)))
    inner.add_hook("layers.0.hook_post", lambda tensor, hook: None)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2), inner)
    net[1].register_forward_hook(lambda *given: None)
    with lessons.unchanged(net):
        nm.hooked(net[0]).run_with_cache(torch.ones(1, 3))
    with pytest.raises(AssertionError, match=f"the network has {said} than before"), lessons.unchanged(net):
        change(net)


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (torch.ones(2), lambda value: value.add_(1e-6)),
        (torch.ones(2), lambda value: value.requires_grad_()),
        (np.array([np.nan, 0.0]), lambda value: value.__setitem__(1, np.nan)),
        ([1, 2], lambda value: value.append(3)),
        ({"a": torch.ones(2)}, lambda value: value["a"].zero_()),
        ({"a": 1}, lambda value: value.update(b=2)),
        (xr.DataArray([1, 2]), lambda value: value.values.fill(0)),
        (xr.DataArray([1, 2], {"label": ("x", [1, 0])}, "x"), lambda value: value.label.values.sort()),
        (xr.Dataset({"a": ("x", [1, 2])}, {"step": ("x", [1, 0])}), lambda value: value["step"].values.sort()),
        (torch.nn.ReLU(), lambda value: value.eval()),
    ],
)
def test_a_changed_value_is_refused(value: Any, change: Callable[[Any], object]) -> None:
    with lessons.unchanged(values=value):
        pass
    with pytest.raises(AssertionError, match=r"^values has "), lessons.unchanged(values=value):
        change(value)


def test_a_class_is_known_from_the_first_guess_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    names = vars(notebook) | {"lesson": lesson(tmp_path), "torch": torch, "math": math, "answer": abs}
    exec("class Two:\n    def up(self):\n        return 2", names)
    vars(notebook).update(names)
    names["lesson"].guess("two", 2)
    exec("Two.up = lambda self: 3\nTwo.down = lambda self: 1\n" + CHECK, names)
    assert capsys.readouterr().out.endswith("your code replaces Two.up, on which checks rely: leave it as it is.\n")
    assert (names["Two"]().up(), names["Two"]().down()) == (2, 1)
