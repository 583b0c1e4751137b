"""Shared helpers of the notebooks: data with a fallback, cached runs, recorded guesses, checked exercises.

>>> from neural_microscope import lessons
>>> lesson = lessons.start("03")                           # doctest: +SKIP
>>> run = lesson.run("mlp", nm.MLPConfig())                # doctest: +SKIP
"""

from __future__ import annotations

import builtins
import dis
import itertools
import json
import linecache
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import metadata
from pathlib import Path
from types import CodeType
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import torch
import xarray as xr
from filelock import FileLock
from msgspec import Struct

from . import documents, files
from .config import MLPConfig, NetworkConfig, RecordConfig, TrainConfig
from .data import Dataset, load, load_or_digits
from .doors import door
from .errors import DataError, unknown
from .models import build
from .recording import Recorder, resume
from .run import Run, commits
from .training import Sampler, train

Form = Literal["full", "short", "digits"]
FORMS: tuple[Form, ...] = ("full", "short", "digits")
_T = TypeVar("_T")


class _Tries(Struct, forbid_unknown_fields=True):
    wrong: int = 0
    right: int = 0


class _Answers(Struct, forbid_unknown_fields=True):
    """A reader's answers in one lesson."""

    guesses: dict[str, Any] = {}
    found: dict[str, Any] = {}
    """The answers that were shown, by question."""
    checks: dict[str, _Tries] = {}


class Shown(int):
    """True or false, as the last line of a cell without an output of its own."""

    def _ipython_display_(self) -> None:
        pass


@dataclass(frozen=True)
class Lesson:
    """One notebook."""

    number: str
    """The two digits at the start of its file name."""
    form: Form
    """``full``: all of MNIST. ``short``: 6,000 of its training images. ``digits``: scikit-learn's digits, without a network connection.
    The prose describes the full form."""
    data: Dataset
    folder: Path
    """The folder for runs, answers and pages."""
    reveal_all: bool = False
    """Shows answers to which there is no guess, for teachers."""

    @property
    def full(self) -> bool:
        return self.form == "full"

    def pick(self, full: _T, short: _T) -> _T:
        """One value for the full form, another, faster one for the others."""
        return full if self.full else short

    def run(
        self,
        name: str,
        network: NetworkConfig | None = None,
        training: TrainConfig | None = None,
        record: RecordConfig | None = None,
        sampler: Sampler | None = None,
    ) -> Run:
        """The finished run of a network: opened if it exists, continued if it was interrupted, otherwise trained.

        The network takes the images and classes of the lesson's data; ``training.seed`` is also that of its initial weights.
        Its epochs are those of the full form; the short one has a quarter of them, the digits three times as many.
        ``sampler``: the order of the batches, as in `neural_microscope.train`. A run of another network under the same name
        is kept, and a number is added to the name.
        """
        network = replace(network or MLPConfig(), image_shape=self.data.image_shape, classes=self.data.classes)
        training = training or TrainConfig()
        epochs = {"full": training.epochs, "short": -(-training.epochs // 4), "digits": 3 * training.epochs}[self.form]
        training = replace(training, epochs=epochs)
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = self.folder / (name if number == 1 else f"{name}-{number}")
            with FileLock(self.folder / f"{folder.name}.lock"):
                if not commits.read(folder).snapshots:
                    train(
                        build(network, training.seed),
                        self.data,
                        training,
                        observers=[Recorder(folder, record)],
                        sampler=sampler,
                    )
                    return Run.open(folder)
                found = Run.open(folder)
                if found.made_from(network, training, self.data):
                    if found.status != "finished":
                        resume(folder, data=self.data, sampler=sampler)
                    return Run.open(folder)
        raise AssertionError("unreachable")

    def say(self, text: str) -> None:
        """Shows a sentence with numbers computed by the cell."""
        from IPython.display import Markdown, display

        display(Markdown(_typeset(" ".join(text.split()))))

    def guess(self, key: str, answer: Any) -> None:
        """Keeps a prediction before its answer is shown.

        Args:
            key: Name of the question.
            answer: The prediction; None: there is none yet.
        """
        _restored(vars(sys.modules["__main__"]))
        if answer is None:
            print("No guess yet. Replace None with your guess and run this cell again.")
        else:
            print(_typeset(f"Kept: {answer}"))
        with self._answers() as kept:
            kept.guesses.pop(key, None)
            if answer is not None:
                kept.guesses[key] = answer

    def reveal(self, key: str, found: Any = None) -> Shown:
        """True if there is a guess, which is then printed with the answer: what tells the answer belongs under an ``if``.

        Args:
            key: Name of the question.
            found: The answer; None: a cell above has shown it, so nothing is printed.
        """
        with self._answers() as kept:
            if key not in kept.guesses and not self.reveal_all:
                print("Make your guess in the cell above, run it, and then run this cell again.")
                return Shown(False)
            if found is None:
                return Shown(True)
            kept.found[key] = found
            guessed = f"Guessed: {kept.guesses[key]}. " if key in kept.guesses else ""
        print(_typeset(f"{guessed}Found: {f'{found:.3g}' if isinstance(found, float) else found}."))
        return Shown(True)

    def check(self, test: Callable[[np.random.Generator], None]) -> bool:
        """Runs an exercise's check at once, as a decorator, and prints whether it passed or the reason that it did not.

        An unsolved exercise does not stop the cells below it.

        Args:
            test: Function of a random generator, named after the exercise. It asserts what must hold, each with a reason.
        """
        reason = _refused(test)
        print("Right." if reason is None else f"Not yet: {' '.join(reason.split())}.")
        with self._answers() as kept:
            tries = kept.checks.setdefault(test.__name__, _Tries())
            tries.wrong += reason is not None
            tries.right += reason is None
        return reason is None

    def export(self, path: str | Path | None = None) -> Path:
        """Writes guesses, answers and the tries at each exercise to one JSON file, for a class; returns its path.

        Args:
            path: The file; None: ``lesson-NN.json`` in the current folder.
        """
        path = Path(path or f"lesson-{self.number}.json")
        with self._answers() as kept, files.whole(path) as partial:
            about = {"lesson": self.number, "form": self.form, **msgspec.to_builtins(kept, enc_hook=_plain)}
            partial.write_text(json.dumps(about, indent=1), "utf-8")
        return path

    @contextmanager
    def _answers(self) -> Iterator[_Answers]:
        """The kept answers of this lesson, written back after the block."""
        file = self.folder / "answers.json"
        kept = documents.read(file, dict[str, _Answers], DataError) if file.exists() else {}
        yield kept.setdefault(self.number, _Answers())
        self.folder.mkdir(parents=True, exist_ok=True)
        with files.whole(file) as partial:
            partial.write_text(json.dumps(msgspec.to_builtins(kept, enc_hook=_plain), indent=1), "utf-8")


def _typeset(text: str) -> str:
    """The text with a minus sign, and no hyphen, before negative numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def _plain(value: Any) -> Any:
    """A guess or answer as JSON can hold it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _refused(test: Callable[[np.random.Generator], None]) -> str | None:
    """The reason that a check fails; None if it passes. What the answer replaced or switched off is restored."""
    reason = None
    replaced, precision = _restored(test.__globals__), torch.get_default_dtype()
    written = [one for one in test.__globals__.values() if getattr(one, "__globals__", None) is test.__globals__]
    looking = any({"f_locals", "f_back"} & {*inner.co_names} for one in written for inner in _codes(one.__code__))
    shadowed = [name for name in _names(test.__code__) if hasattr(builtins, name) and name in test.__globals__]
    with torch.enable_grad():
        try:
            test(np.random.default_rng(0))
        except NotImplementedError as error:
            reason = str(error) or "the body is still to be written"
        except AssertionError as error:
            reason = str(error)
        except Exception as error:
            reason = _stopped(error, test)
        switched, changed = not torch.is_grad_enabled(), torch.get_default_dtype()
    torch.set_default_dtype(precision)
    replaced += _restored(test.__globals__)
    if shadowed:
        name = min(shadowed)
        return f"this notebook gives `{name}` another meaning, and the check needs Python's own: run `del {name}` and take another name"
    if looking:
        return "your code looks into frames, where the check's own variables are: use what your function gets"
    if replaced:
        return f"your code replaces {replaced[0]}, on which checks rely: leave it as it is"
    if switched:
        return "your code leaves gradients switched off: write `with torch.no_grad():`, which switches them on again"
    if changed != precision:
        return f"your code sets the default of all new tensors to {changed}: leave it at {precision}, and give a tensor its dtype"
    return reason


@contextmanager
def unchanged(network: torch.nn.Module | None = None, /, **values: Any) -> Iterator[None]:
    """For checks: refuses an answer, called in the block, that leaves what it gets other than it was.

    Args:
        network: A network that the answer gets.
        values: Tensors, arrays, lists, mappings of these, or networks that the answer gets, by the names that a reason gives them.

    Raises:
        AssertionError: A value, or hooks, modes, forward functions, parameters or gradients of a network, differ when the block ends.
    """
    given = values if network is None else {"the network": network, **values}
    before = {name: _content(value) for name, value in given.items()}
    yield
    for name, value in given.items():
        was, now = before[name], _content(value)
        if isinstance(value, torch.nn.Module):
            for what in now:
                if now[what] != was[what]:
                    raise AssertionError(f"{name} has {what} than before: leave it as it was")
        elif now != was:
            raise AssertionError(f"{name} has changed: work on a copy")


def _state(module: torch.nn.Module) -> dict[str, list[Any]]:
    """The parts of a module that `unchanged` compares, by the words for a difference."""
    parts, weights = [*module.modules()], [*module.parameters()]
    return {
        "other hooks": [
            [*part._forward_hooks.values(), *part._forward_pre_hooks.values(), *getattr(part, "attached", ())]
            for part in parts
        ],
        "parts in another mode": [part.training for part in parts],
        "another forward function": ["forward" in vars(part) for part in parts],
        "parameters of another dtype or requires_grad": [(w.dtype, w.requires_grad) for w in weights],
        "other parameters": [_content(w) for w in weights],
        "other gradients": [None if w.grad is None else _content(w.grad) for w in weights],
    }


def _content(value: Any) -> Any:
    """A value in a form that `unchanged` compares."""
    if isinstance(value, torch.nn.Module):
        return _state(value)
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name="values")
    if isinstance(value, Mapping):
        return {key: _content(one) for key, one in getattr(value, "variables", value).items()}
    if isinstance(value, torch.Tensor):
        return value.requires_grad, _content(value.detach().numpy())
    array = np.asarray(value)
    return array.shape, array.dtype, array.tobytes()


def _stopped(error: Exception, test: Callable[[np.random.Generator], None]) -> str:
    """An error with the notebook's line that met it: a line of the answer, or one of the check that can't use what came back."""
    at = {}
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_globals is test.__globals__:
            at[frame.f_code in _codes(test.__code__)] = linecache.getline(frame.f_code.co_filename, number).strip()
    who = "your code stopped" if False in at else "the check can't use what came back, and stopped"
    return f"{who} with {type(error).__name__}: {error} (at: {at.get(False, at[True])})"


def _codes(code: CodeType) -> set[CodeType]:
    """The code of a function and of those in it."""
    return {code}.union(*(_codes(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _names(code: CodeType) -> set[str]:
    """The names that a function reads from outside."""
    read = (one for inner in _codes(code) for one in dis.get_instructions(inner) if one.opname == "LOAD_GLOBAL")
    return {one.argval for one in read}


def _functions(owner: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if callable(value)}


_MODULES = [one for one in vars(torch.nn).values() if isinstance(one, type)]
_RELIED_ON: dict[Any, dict[str, Any]] = {
    one: _functions(one) for one in (builtins, math, np, torch, torch.Tensor, torch.nn.functional, *_MODULES)
}
"""The functions that checks rely on, as they are before a notebook can replace them; with the library's, once it is imported, and those
of a notebook's own classes."""


def _package(function: Any) -> str:
    return str(getattr(function, "__module__", None)).split(".")[0]


def _restored(notebook: dict[str, Any]) -> list[str]:
    """Restores the functions that a notebook has replaced, also in classes of its own; their names."""
    own = notebook["__name__"]
    library = [module for name, module in [*sys.modules.items()] if name.startswith(f"{__package__}.")]
    classes = [one for one in notebook.values() if isinstance(one, type) and one.__module__ == own]
    for owner in (*library, *classes):
        _RELIED_ON.setdefault(owner, _functions(owner))
    replaced = []
    for owner, functions in _RELIED_ON.items():
        for name, function in functions.items():
            now = vars(owner).get(name)
            by = _package(now)
            if now is not function and (by == own or by != _package(function)):  # PyTorch replaces some of its own
                setattr(owner, name, function)
                replaced.append(f"{owner.__name__}.{name}")
    return replaced


@door
def copy(folder: str | Path, *, solved: bool = False) -> tuple[list[Path], list[Path]]:
    """Copies the notebooks to a folder, and returns the files that it wrote and those that were there, which it keeps.

    Links to the documentation lead to the repository, where the package knows its address.

    Args:
        folder: The folder for the exercise versions, made where it is missing.
        solved: Also copies the notebooks with their answers, to the subfolder ``solved``.
    """
    packed, cloned = Path(__file__).parent / "notebooks", Path(__file__).parents[2] / "notebooks"
    source, folder = packed if packed.is_dir() else cloned, Path(folder)
    wanted = {path: folder / path.name for path in sorted((source / "exercises").glob("*.ipynb"))}
    if solved:
        wanted |= {path: folder / "solved" / path.name for path in sorted(source.glob("*.ipynb"))}
    if not wanted:
        raise DataError(f"this installation has no notebooks: neither {packed} nor {cloned} holds any")
    kept = [target for target in wanted.values() if os.path.lexists(target)]
    for path, target in wanted.items():
        if target not in kept:
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.whole(target) as partial:
                partial.write_text(_linked(path.read_text("utf-8"), _repository()), "utf-8")
    return [target for target in wanted.values() if target not in kept], kept


def _linked(notebook: str, repository: str) -> str:
    """A notebook outside the repository: its links to the documentation lead there; without an address only their words stay."""
    target = rf"[\1]({repository}/blob/main/docs/\2)" if repository else r"\1"
    return re.sub(r"\[([^\[\]]*)\]\((?:\.\./)+docs/([^)\s]*)\)", target, notebook)


def _repository() -> str:
    """The repository's address by the package's metadata; empty if it has none."""
    urls = metadata("neural-microscope").get_all("Project-URL") or []
    return dict(url.split(", ", 1) for url in urls).get("Repository", "")


@door
def start(number: str, *, reveal_all: bool = False) -> Lesson:
    """Prepares the data and settings of a notebook, and prints which images it uses.

    The form is set by the environment variable NEURAL_MICROSCOPE_LESSON: ``full`` (the default), ``short`` or ``digits``.
    If MNIST is neither in the data folder nor downloadable, it is ``digits``. Runs are kept in ``runs/`` next to the
    notebooks. One thread: two threads with another busy process can be 20 times slower.

    Args:
        number: The two digits at the start of the notebook's file name.
        reveal_all: Shows answers to which there is no guess, for teachers, as NEURAL_MICROSCOPE_LESSON_OPEN=1 does.
    """
    torch.set_num_threads(1)
    asked = os.environ.get("NEURAL_MICROSCOPE_LESSON", "full")
    if asked not in FORMS:
        raise unknown("form of a lesson", asked, FORMS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warning is the data's note, which is printed here
        data = load("digits") if asked == "digits" else load_or_digits("mnist")
    form: Form = "digits" if data.name == "digits" else "short" if asked == "short" else "full"
    if form == "short":
        train_part, test_part = data.train.balanced(6000, seed=0), data.test.balanced(2000, seed=0)
        data = Dataset(data.name, train_part, test_part, "")
    if data.note:
        print(f"NOTE: {data.note}")
    height, width = data.image_shape
    print(
        f"{data.name}: {len(data.train):,} training images, {len(data.test):,} test images of {height} × {width} pixels"
    )
    if form != "full":
        print("This is a short form: the numbers in the text come from all of MNIST and may differ here.")
    here = Path("../runs") if Path.cwd().name in ("exercises", "solved") else Path("runs")
    opened = reveal_all or os.environ.get("NEURAL_MICROSCOPE_LESSON_OPEN", "0") not in ("", "0")
    return Lesson(number, form, data, here / form, opened)
