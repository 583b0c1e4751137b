"""The lint of words finds each wording that the project has left behind, and passes the same words in their other senses."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from lint import words

from neural_microscope.glossary import TERMS, glosses

AVOIDED = [
    "reads 97.97 % of the test images rightly",
    "97.97 %",
    "the network misreads it",
    "cut out a unit",
    "put everything back",
    "hold at 0",
    "as on image 12",
    "says 8 with",
    "what is taken for what: a 4 is taken for a 9",
    "snapshot 3, the moment at which",
    "the random start already has the final shape",
    "untaught, before the first step",
    "7 images lost, 0 won",
    "what excites it, from most to least",
    "the unit likes loops",
    "what it answers to each class",
    "the dearest cut",
    "it costs most",
    "the network is righter than it is sure",
    "surer than it is right",
    "learning has brought the images of a class together",
    "the images of a class draw together",
    "units tell the classes apart worse than random directions do",
    "the activation after the bend",
    "more than chance gives",
    "is no better than the null",
    "learnt by heart first",
    "talked out of the truth",
    "every byte is as it was written",
    "the network's whole life",
    "how far the measures rank the units alike",
    "Steps. Who forgets to set gradients back adds yesterday's",
    "colour",
    "the neighbours",
    "normalisation",
    "optimiser",
    "grey",
    "centred",
    "labelled",
]
ALLOWED = [
    "Adam's moments are part of the state",
    "the optimizer's moments",
    "the first and second moments of the gradient",
    "for a moment",
    "97.97%",
    "an exercise, otherwise pairwise",
    "precise, noise, likewise",
    "it costs one forward pass of time",
    "Who is afraid of unit 7?",
    "clamp to 0; restore; snapshot 20 of 20",
    "would you like to see it",
    "the center of a color map",
]


@pytest.mark.parametrize("text", AVOIDED)
def test_a_wording_left_behind_is_found(text: str) -> None:
    assert words.of_text(text)


@pytest.mark.parametrize("text", ALLOWED)
def test_the_same_words_in_another_sense_pass(text: str) -> None:
    assert not words.of_text(text)


@pytest.mark.parametrize(
    ("name", "source", "lines"),
    [
        ("a.py", 'x = 1\ndef f():\n    """What it is."""\n', [3]),
        ("a.py", 'x = "colour"  # colour\n', [1]),  # the string is a name, the comment is prose
        ("a.py", 'raise ValueError(\n    f"no {x} in this colour"\n)\n', [2]),
        ("a.py", "def f(neighbours):\n    return neighbours.are_grey\n", [1, 2]),
        ("a.ts", "let shown;\nlet nearestNeighbours;\n", [2]),
        ("a.md", "fine\n\n```python\ncolour = 1\n```\n\ntwo\nthe `colour` of a colour\n", [8]),
        ("a.tsx", "const colour = 1; // grey\nreturn <p>the neighbours</p>;\nf(`a colour of ${grey}`)\n", [1, 1, 2, 3]),
        ("CHANGELOG.md", "# Changes\n\n## Unreleased\n\ncolour\n\n## 0.1\n\ngrey\n", [5]),
    ],
)
def test_prose_and_identifiers_are_read_and_other_code_is_not(
    tmp_path: Path, name: str, source: str, lines: list[int]
) -> None:
    (tmp_path / name).write_text(source, encoding="utf-8")
    assert [fault.line for fault in words.of_file(tmp_path / name)] == lines


def test_a_term_names_no_wording_that_the_lint_misses() -> None:
    for one in TERMS:
        assert not words.of_text(f"{one.gloss} {one.more}"), one.term
        assert all(words.of_text(wording) for wording in one.avoid), one.term


def test_every_term_that_a_page_marks_is_in_the_glossary() -> None:
    names = [name for one in TERMS for name in (one.term, *one.marked)]
    assert len(names) == len({*names})
    front = "".join(path.read_text("utf-8") for path in (words.ROOT / "web" / "src").rglob("*.ts*"))
    lines = (words.ROOT / "web" / "src" / "words.ts").read_text("utf-8").splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith(("//", "/*", "*")))
    spoken = re.findall(r'"[^"\n]*"|`[^`]*`', code)
    plain = "\n".join(re.sub(r"\$\{[^{}]*\}", "…", text) for text in spoken)
    marked = re.findall(r"<Term word=\"([^\"]+)\"", front)
    marked += [name for name in re.findall(r"(?<!\})\[([^\]|\n]+)(?:\|[^\]\n]+)?\]", plain) if name != "…"]
    assert len({*marked}) > 10
    assert glosses(marked).keys() == {*marked}


def test_the_glossary_page_is_made_of_it_and_there_is_no_other() -> None:
    made = runpy.run_path(str(words.ROOT / "docs" / "tables.py"))
    assert made["glossary"]() == made["GLOSSARY"].read_text("utf-8"), "run docs/tables.py"
    places = [*(words.ROOT / "src").rglob("*.py"), *(words.ROOT / "web" / "src").glob("*.ts*")]
    text = "".join(path.read_text("utf-8") for path in places if path.name != "glossary.py")
    assert not [one.term for one in TERMS if one.gloss in text]
