"""Shared helpers of the notebooks: data with a fallback, cached runs, recorded guesses, checked exercises.

>>> from neural_microscope import lessons
>>> lesson = lessons.start("03")                           # doctest: +SKIP
>>> run = lesson.run("mlp", nm.MLPConfig())                # doctest: +SKIP
"""

from __future__ import annotations

import itertools
import json
import os
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from filelock import FileLock

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
    """The folder for runs, guesses and pages."""

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

        display(Markdown(" ".join(text.split())))

    def guess(self, key: str, answer: Any) -> None:
        """Records a prediction before its answer is shown; None means no prediction yet."""
        kept = self._guesses()
        own = kept.setdefault(self.number, {})
        if answer is None:
            own.pop(key, None)
            print("No guess yet. Replace None with your guess: writing it down lets you see whether it was wrong.")
        else:
            own[key] = answer
            print(f"Kept: {answer}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with files.whole(self._file) as partial:
            partial.write_text(json.dumps(kept, indent=1), "utf-8")

    def reveal(self, key: str, found: Any) -> None:
        """Shows the answer and the guess."""
        guesses = self._guesses().get(self.number, {})
        guessed = f"Guessed: {guesses[key]}" if key in guesses else "No guess was made"
        print(f"{guessed}. Found: {f'{found:.3g}' if isinstance(found, float) else found}.")

    def check(self, test: Callable[[], None]) -> bool:
        """Runs an exercise's check at once, as a decorator, and prints whether it passed or the reason that it did not.

        A check asserts what must hold, each with a reason. An unsolved exercise does not stop the cells below it.
        """
        try:
            test()
        except NotImplementedError as error:
            print(f"Not yet: {error or 'the body is still to be written'}.")
        except AssertionError as error:
            print(f"Not yet: {error}.")
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            print(f"Not yet: your code stopped with {type(error).__name__}: {error} (at: {line.line}).")
        else:
            print("Right.")
            return True
        return False

    @property
    def _file(self) -> Path:
        return self.folder / "guesses.json"

    def _guesses(self) -> dict[str, dict[str, Any]]:
        return documents.read(self._file, dict[str, dict[str, Any]], DataError) if self._file.exists() else {}


@door
def start(number: str) -> Lesson:
    """Prepares the data and settings of a notebook, and prints which images it uses.

    The form is set by the environment variable NEURAL_MICROSCOPE_LESSON: ``full`` (the default), ``short`` or ``digits``.
    If MNIST is neither in the data folder nor downloadable, it is ``digits``. Runs are kept in ``runs/`` next to the
    notebooks. One thread: two threads with another busy process can be 20 times slower.
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
    here = Path("../runs") if Path.cwd().name == "exercises" else Path("runs")
    return Lesson(number, form, data, here / form)
