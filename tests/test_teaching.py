"""The pages for teachers: quizzes whose answers are true, lessons that fit into their minutes, names that the explorer shows."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

import neural_microscope as nm
from neural_microscope import cli, lessons, scalar, statistics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
TEACHING, QUIZZES, CONTACT = (
    (DOCS / f"{name}.md").read_text("utf-8") for name in ("teaching", "quizzes", "first-contact")
)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?%?")
EXERCISE = re.compile(r"^\*Difficulty [●○]{4} · (\d+) minutes\*", re.M)


@cache
def cells(number: str) -> Any:
    return nbformat.read(NOTEBOOKS[number], as_version=4).cells  # type: ignore[no-untyped-call]


def text_of(number: str) -> str:
    """The text of a notebook, without its further reading."""
    text = "\n".join(cell.source for cell in cells(number) if cell.cell_type == "markdown")
    return text.partition("**Further reading.**")[0]


@cache
def outputs(number: str) -> str:
    """The text that the cells of a notebook print and say."""
    found = [output for cell in cells(number) for output in cell.get("outputs", [])]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/markdown", "") for one in found)


def anchors(text: str) -> set[str]:
    """The headings of a page as its links name them."""
    heads = re.findall(r"^#{2,3} (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@dataclass
class Question:
    lesson: str
    number: str
    text: str
    options: dict[str, str]
    answer: str
    link: str


def questions() -> list[Question]:
    asked = r"^\*\*((\d\d)\.\d)\*\* (.+?)\n\n((?:\* \*\*\w\*\* .+\n)*)\n?"
    answered = r"<details>\n<summary>Answer</summary>\n\n(.+) \[.+\]\((.+)\)\n\n</details>$"
    found = re.findall(asked + answered, QUIZZES, re.M)
    return [
        Question(lesson, number, text, dict(re.findall(r"^\* \*\*(\w)\*\* (.+)$", options, re.M)), answer, link)
        for number, lesson, text, options, answer, link in found
    ]


by_number = pytest.mark.parametrize("question", questions(), ids=lambda question: question.number)


def test_each_lesson_has_five_questions() -> None:
    wanted = [f"{lesson}.{number}" for lesson in NOTEBOOKS for number in range(1, 6)]
    assert len(wanted) == 60
    assert re.findall(r"^\*\*(\d\d\.\d)\*\*", QUIZZES, re.M) == wanted
    assert [question.number for question in questions()] == wanted, "a question without its answer and section"
    for number, quiz in zip(NOTEBOOKS, re.findall("^## .*$", QUIZZES, re.M), strict=True):
        title = re.match("# (.*)", cells(number)[0].source)
        assert title is not None
        assert quiz == f"## {number}: {title[1]}"
        assert f"(../docs/quizzes.md#{anchors(quiz).pop()})" in text_of(number)


@by_number
def test_an_answer_is_one_of_the_options_and_leads_to_its_lesson(question: Question) -> None:
    chosen = re.match(r"\*\*(.+?)\.\*\* (.+)$", question.answer)
    assert chosen is not None
    assert len(chosen[2].split()) > 5, "an answer without a reason"
    assert question.link.startswith(f"../notebooks/{NOTEBOOKS[question.lesson].name}#")
    if question.options:
        assert [*question.options] == list("abcd"[: len(question.options)])
        assert len(question.options) >= 3
        assert chosen[1] in question.options
    else:
        assert len(chosen[1]) > 1


def test_no_letter_gives_an_answer_away() -> None:
    right = Counter(question.answer[2] for question in questions() if question.options)
    assert max(right[letter] for letter in "abc") < right.total() / 2
    assert min(right[letter] for letter in "abc") > right.total() / 6


@by_number
def test_the_numbers_of_an_answer_are_in_its_notebook_or_computed(question: Question) -> None:
    told = question.answer + " " + question.options.get(question.answer[2], "")
    known = {*NUMBER.findall(outputs(question.lesson)), *COMPUTED.get(question.number, [])}
    assert set(NUMBER.findall(told)) - known == set()


def computed() -> dict[str, list[str]]:
    """Numbers of answers that no notebook prints, by question."""
    a = scalar.Value(3.0)
    y = a * a
    y.backward()
    once = a.grad
    y.backward()
    assert 1 - math.tanh(10) ** 2 < 0.0000001
    inputs = [scalar.Value(2.0), scalar.Value(0.0)]
    neuron = scalar.MLP(2, [1], activation="tanh", seed=0)
    (neuron(inputs)[0] - 5.0).backward()
    silent = [weight.grad for weight in neuron.parameters() if weight.grad == 0]
    assert len(silent) == 1

    def f(x: float) -> float:
        return 3 * x**2 - 4 * x + 5

    four = [sum(signs) for signs in itertools.product((1, -1), repeat=4)]
    extreme = sum(abs(total) == 4 for total in four)
    fewest = next(n for n in range(1, 20) if 2 / 2**n < 0.05)
    null = np.random.default_rng(0).normal(size=(199, 16))
    value = np.zeros(16)
    value[3] = 100.0
    q = statistics.false_discovery(statistics.p_values(value, null, side="both"))
    return {
        "00.1": [f"{once:g}", f"{a.grad:g}"],
        "00.2": ["0.0000001", "1"],
        "00.3": ["0"],
        "00.4": [f"{(f(2.1) - f(1.9)) / 0.2:.2f}"],
        "01.4": [f"{0 * 0.5:g}", f"{3 * 0.1:.1f}"],
        "02.5": [f"{len(four)}", f"{extreme}", f"{extreme / len(four):g}"],
        "08.5": [f"{2 / 2**5:g}", f"{2 / 2**fewest:g}", f"{fewest}"],
        "09.4": ["199", "16", f"{q.min():.2f}"],
        "09.5": [f"{1 - 0.95**16:.0%}", "16", "1", "0.95"],
    }


COMPUTED = computed()


@pytest.mark.parametrize("page", ["teaching", "quizzes", "first-contact"])
def test_links_lead_to_a_heading(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text("utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]+)#([^)\s]+)\)", text):
        path = (DOCS / target).resolve()
        there = text_of(path.name[:2]) if path.suffix == ".ipynb" else path.read_text("utf-8")
        assert anchor in anchors(there), f"{target}#{anchor}"


def plans() -> list[tuple[str, str]]:
    """(notebook, plan) of each lesson."""
    parts = re.findall(r"^## Lesson (\d+): [^\n]*\n(.*?)(?=^## )", TEACHING, re.M | re.S)
    return [(f"{int(number) - 1:02}", plan) for number, plan in parts]


@pytest.mark.parametrize(("number", "plan"), plans())
def test_a_lesson_takes_90_minutes_and_names_parts_that_exist(number: str, plan: str) -> None:
    assert sum(int(minutes) for minutes in re.findall(r"^\| (\d+) \|", plan, re.M)) == 90
    assert NOTEBOOKS[number].name in plan
    assert f"[Quiz {number}](quizzes.md#{number}-" in plan
    for part in ("*At home:*", "*Misconceptions:*", "*Listen for:*"):
        assert part in plan, part
    exercises = len(EXERCISE.findall(text_of(number)))
    heads = [int(n) for n in re.findall(r"^## (\d+)\. ", text_of(number), re.M)]
    for kind, there in (("section", heads), ("exercise", [*range(1, exercises + 1)])):
        named = re.findall(rf"{kind}s? ([1-9]\d*)(?:(, | and | to )(\d+))?(?: and (\d+))?", plan, re.I)
        assert named
        for first, between, last, more in named:
            numbers = {int(n) for n in (first, last, more) if n}
            numbers |= {*range(int(first), int(last))} if between == " to " else set()
            assert numbers <= {*there}, f"{kind}s {numbers}; there are {there}"


def test_there_is_a_plan_for_each_notebook() -> None:
    assert [number for number, _ in plans()] == [*NOTEBOOKS]


WORDS, LINES, EACH, RUNNING = 200, 10, 0.5, 2


def minutes(number: str) -> float:
    """Computed minutes to read and run a notebook; docs/teaching.md states the rates."""
    total = len((text_of(number) + outputs(number)).split()) / WORDS + RUNNING
    for cell in cells(number):
        if cell.cell_type == "code" and not {"check", "solution"} & {*cell.metadata.get("tags", [])}:
            code = "" if cell.source.startswith("# Setup") else cell.source
            total += sum(bool(line.strip()) for line in code.splitlines()) / LINES + EACH * code.count("# your guess")
            pictures = [kind for one in cell.outputs for kind in one.get("data", {}) if kind.startswith("image/")]
            total += EACH * len(pictures)
    return total


def test_the_rates_are_stated() -> None:
    said = " ".join(TEACHING.split())
    for words in (
        f"{WORDS} words of text a minute",
        f"{LINES} lines of code a minute",
        "half a minute for each guess and each figure",
        "two minutes for the cells to run",
    ):
        assert words in said, words
    assert (EACH, RUNNING) == (0.5, 2)


@pytest.mark.parametrize("number", NOTEBOOKS)
def test_the_minutes_of_a_notebook_are_computed(number: str) -> None:
    head = re.search(r"\*\*Minutes:\*\* (\d+) to read and run, (\d+) more for the exercises", text_of(number))
    assert head is not None
    reading, solving = (int(one) for one in head.groups())
    assert reading % 5 == 0
    assert abs(reading - minutes(number)) <= 5, f"computed: {minutes(number):.1f}"
    assert solving == sum(int(one) for one in EXERCISE.findall(text_of(number)))
    (row,) = re.findall(rf"^\| \[{number}\].*\| (\d+) \| (\d+) \| (\d+) \|$", TEACHING, re.M)
    seconds = nbformat.read(NOTEBOOKS[number], as_version=4).metadata.cpu_seconds  # type: ignore[no-untyped-call]
    assert row == (*head.groups(), str(seconds)), "run notebooks/build.py"


def test_the_python_lists_a_classs_guesses_and_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("collected").mkdir()
    digits = nm.data.load("digits")
    for name, guess, answers in (("anna", 3, [1, 2]), ("ben", None, [1])):
        lesson = lessons.Lesson("00", "digits", digits, tmp_path / name)
        lesson.guess("flat", 0.5)
        lesson.guess("twice", guess)
        for answer in answers:

            def exercise_1(rng: np.random.Generator, answer: int = answer) -> None:
                assert answer == 2, "1 + 1 is 2"

            lesson.check(exercise_1)
        lesson.export(f"collected/{name}.json")
    (block,) = re.findall(r"```python\n(.*?)```", TEACHING, re.S)
    capsys.readouterr()
    exec(block, {})
    assert capsys.readouterr().out.splitlines() == [
        *("flat", "  anna: 0.5", "  ben: 0.5", "twice", "  anna: 3", "  ben: no guess"),
        "exercise_1: solved by 1 of 2, 2 wrong tries",
    ]


def test_the_forms_and_the_command_are_as_told(
    mnist_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for form in lessons.FORMS:
        assert f"runs/{form}" in TEACHING
    monkeypatch.setenv("NEURAL_MICROSCOPE_LESSON", "short")
    short = lessons.start("00")
    assert short.folder == Path("runs/short")
    assert f"`NEURAL_MICROSCOPE_LESSON=short` ({len(short.data.train):,} training images)" in TEACHING
    learn = inspect.signature(cli.learn).parameters
    assert {*learn} == {"folder", "solved", "open"}
    assert f"the folder `{learn['folder'].default}`" in TEACHING


def test_the_first_contact_names_what_the_explorer_shows() -> None:
    shown = " ".join(path.read_text("utf-8") for path in (ROOT / "web" / "src").glob("*.ts*"))
    named = set(re.findall(r"\*\*(.+?)\*\*", CONTACT))
    assert len(named) > 12
    for name in named:
        assert name in shown, name


def test_the_first_contact_takes_20_minutes() -> None:
    spans = [(int(a), int(b)) for a, b in re.findall(r"^## Minutes (\d+) to (\d+)", CONTACT, re.M)]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == 20


def test_the_page_counts_the_answers_that_others_tried() -> None:
    """`test_notebooks` tries them."""
    tried = {path.name[:2]: path.read_text("utf-8") for path in (ROOT / "notebooks" / "tries").glob("*.py")}
    counts = {
        number: tuple(text.count(f'tags=["{tag}"]') for tag in ("wrong", "right")) for number, text in tried.items()
    }
    rows = re.findall(r"^\| (\d\d) \| (\d+) \| (\d+) \|$", TEACHING, re.M)
    assert {number: (int(wrong), int(right)) for number, wrong, right in rows} == counts
    wrong, right = (sum(each) for each in zip(*counts.values(), strict=True))
    assert f"all {wrong:,} wrong answers below" in TEACHING
    assert f"all {right:,} right ones accepted" in TEACHING
