"""The notebooks are what their sources say, they run on any data, and their exercises can be failed and solved."""

from __future__ import annotations

import ast
import contextlib
import dis
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import jupytext
import nbformat
import pytest
from mutants.operators import Mutation, mutations

import neural_microscope as nm

FOLDER = Path(__file__).parents[1] / "notebooks"


def _builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_notebooks", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = _builder()
SOURCES: list[Path] = build.SOURCES
sources = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
IN_FULL = [source for source in SOURCES if source.name[:2] <= "05"]
SHORT = ("01",)
"""Those that `make test` runs whole: they train nothing."""


def kept(source: Path, exercise: bool = False) -> Any:
    return nbformat.read(build.target(source, exercise), as_version=4)  # type: ignore[no-untyped-call]


def verdicts(made: Any) -> list[str]:
    """The message of each check of an exercise."""
    return [build.text_of(cell).splitlines()[-1] for cell in made.cells if "check" in cell.metadata.get("tags", [])]


NUMBER = re.compile(r"[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def same_words(found: str, before: str, varies: bool) -> bool:
    """The same words and numbers within 2%; of a cell whose numbers depend on the processor, anything that says something."""
    found, before = " ".join(found.split()), " ".join(before.split())
    if varies:
        return bool(found) == bool(before)  # a sentence may say here that something holds, and there that it does not
    if NUMBER.sub("#", found) != NUMBER.sub("#", before):
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(before), strict=True)
    return all(_number(a) == pytest.approx(_number(b), rel=0.02, abs=1e-9) for a, b in pairs)


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def test_there_are_twelve() -> None:
    assert [source.name[:2] for source in SOURCES] == [f"{number:02}" for number in range(12)]


@sources
def test_what_is_kept_is_what_the_source_makes(source: Path) -> None:
    for exercise, make in ((False, build.notebook), (True, build.exercises)):
        made, there = make(source), kept(source, exercise)
        assert [cell.id for cell in there.cells] == [cell.id for cell in made.cells], "run make notebooks"
        assert [cell.source for cell in there.cells] == [cell.source for cell in made.cells]
        assert [cell.metadata for cell in there.cells] == [cell.metadata for cell in made.cells]
        assert there.metadata.kernelspec == made.metadata.kernelspec


@sources
def test_the_kept_notebook_is_clean_and_small(source: Path) -> None:
    there = kept(source)
    assert build.debris(there) == []
    assert build.target(source).stat().st_size < 1_000_000
    assert "<iframe" not in build.target(source).read_text("utf-8"), "a frame that a saved notebook can't show"
    assert all(cell.execution_count for cell in there.cells if cell.cell_type == "code")
    for cell in there.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                words = output.metadata.get("image/png", {}).get("alt") or output.data.get("text/plain", "")
                assert len(words) > 20, "a picture without words"


@sources
def test_a_sentence_near_each_picture_says_what_to_look_at(source: Path) -> None:
    cells = kept(source).cells
    told = [build.text_of(cell) if cell.cell_type == "code" else cell.source for cell in cells]
    for number, cell in enumerate(cells):
        shown = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
        if any(kind.startswith("image/") for kind in shown):
            assert any("*What to look at" in text for text in told[max(0, number - 1) : number + 3]), cell.source


@sources
def test_its_form_is_the_one_a_learner_knows(source: Path) -> None:
    cells = build._cells(source)
    text = "\n".join(cell.source for cell in cells)
    for part in (
        "**You will be able to**",
        "**Minutes:**",
        "**You need:**",
        "What you have seen",
        "Further reading",
        "glossary.md",
        "seed",
    ):
        assert part in text, part
    assert text.count("  # your guess") >= 3
    assert text.count("lesson.reveal(") >= text.count("  # your guess")
    tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
    exercises = len(re.findall(r"^### Exercise", text, re.M))
    assert exercises >= 3
    assert len(re.findall(r"^\*Difficulty [●○]{4} · \d+ minutes\*", text, re.M)) == exercises
    for tag in ("stub", "solution", "check"):
        assert tags.count(tag) == exercises, tag
    assert tags.count("hint") >= exercises


@sources
def test_links_lead_somewhere(source: Path) -> None:
    for exercise in (False, True):
        text = "\n".join(cell.source for cell in kept(source, exercise).cells if cell.cell_type == "markdown")
        for target in re.findall(r"\]\(([^)#\s]+)\)", text):
            if not target.startswith("http"):
                assert (build.target(source, exercise).parent / target).exists(), target


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a data folder nor a way to fetch one: whoever tries is refused at once."""
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", str(tmp_path / "none"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@dataclass
class Exercise:
    stub: CodeType
    solution: CodeType
    check: CodeType
    written: str
    """The solution's text."""
    right: list[CodeType]
    wrong: list[tuple[str, CodeType]]
    """The reason that an answer is wrong, by its first line, and the answer."""


class Statement:
    """A statement of a notebook: the names it gives, those whose content it changes, and those it asks for."""

    def __init__(self, node: ast.stmt, file: str) -> None:
        self.code = compile(ast.Module([node], []), file, "exec")
        self.gives = {one.argval for one in dis.get_instructions(self.code) if one.opname == "STORE_NAME"}
        self.changes = {name for part in ast.walk(node) if (name := changed(part))}
        self.asks = asked(self.code)


def changed(part: ast.AST) -> str | None:
    """The name of which an attribute or an entry is set, or a method is called for what it does and not for what it returns."""
    match part:
        case ast.Attribute(ast.Name(name), ctx=ast.Store()) | ast.Subscript(ast.Name(name), ctx=ast.Store()):
            return name
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name)))) if name != "lesson":  # whose methods only tell
            return name
    return None


def asked(code: CodeType) -> set[str]:
    """The notebook's names that some code reads, also inside of its functions."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    return names.union(*(asked(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def needed(source: Path) -> list[Statement | Exercise]:
    """A notebook's exercises, and before each the statements that it needs of what stands above it."""
    whole: list[Statement | Exercise] = []
    kept: set[Statement] = set()
    cells: dict[str, Any] = {}
    for cell in (cell for cell in build._cells(source) if cell.cell_type == "code"):
        (part,) = {"stub", "solution", "check", "right", "wrong"} & {*cell.metadata.get("tags", [])} or {"given"}
        if part == "given":
            whole += [Statement(node, str(source)) for node in ast.parse(cell.source).body]
            continue
        code = compile(cell.source, str(source), "exec")
        if part in ("right", "wrong"):  # behind the check
            exercise = next(one for one in reversed(whole) if isinstance(one, Exercise))
            if part == "right":
                exercise.right.append(code)
            else:
                exercise.wrong.append((cell.source.splitlines()[0], code))
            _keep(asked(code), whole, kept)
            continue
        cells[part] = code
        if part == "solution":
            cells["written"] = cell.source
        if part == "check":
            _keep(set().union(*(asked(one) for one in cells.values() if isinstance(one, CodeType))), whole, kept)
            whole.append(Exercise(**cells, right=[], wrong=[]))
    return [one for one in whole if isinstance(one, Exercise) or one in kept]


def _keep(wanted: set[str], whole: list[Statement | Exercise], kept: set[Statement]) -> None:
    """Keeps the statements of ``whole`` that give what is wanted, and what they need in turn."""
    for statement in (one for one in reversed(whole) if isinstance(one, Statement)):
        if (statement.gives | statement.changes) & wanted:
            wanted = wanted - statement.gives | statement.asks
            kept.add(statement)


def verdict(names: dict[str, Any], answer: CodeType, check: CodeType, capsys: pytest.CaptureFixture[str]) -> str:
    """The check's message about an answer; the answer's names are then forgotten."""
    names = {**names}
    try:
        exec(answer, names)
    except Exception as error:
        return f"Not yet: the answer's own cell stops with {type(error).__name__}: {error}."
    capsys.readouterr()
    exec(check, names)
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture(scope="session")
def lessons(shared: Any) -> Path:
    """The folder of the exercises' runs: several notebooks begin with the same one."""
    return shared("lessons", Path.mkdir)


@sources
def test_a_stub_is_refused_with_a_reason_and_the_solution_is_right(
    source: Path, lessons: Path, no_network: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a kernel, and without what the exercises don't need; `make test-slow` runs each notebook from top to bottom."""
    monkeypatch.chdir(lessons)
    monkeypatch.setenv("NEURAL_MICROSCOPE_LESSON", "digits")
    names: dict[str, Any] = {"__name__": "__main__"}
    for one in needed(source):
        if isinstance(one, Statement):
            exec(one.code, names)
            continue
        for said, wrong in [("the stub", one.stub), *one.wrong]:
            refused = verdict(names, wrong, one.check, capsys)
            assert refused.startswith("Not yet: "), f"{said}: {refused}"
            assert "your code stopped" not in refused or "stops" in said, f"{said}: {refused}"
            assert len(refused) > 30, f"{refused!r} helps nobody"
        for right in [one.solution, *one.right]:
            assert verdict(names, right, one.check, capsys) == "Right."
        assert len(one.right) >= 2
        assert len(one.wrong) >= 5


def tries(source: Path, number: int) -> list[tuple[bool, str, CodeType]]:
    """Answers to an exercise by others than the notebook's author: whether each is right, its first line, and its code."""
    found = []
    for cell in jupytext.read(FOLDER / "tries" / source.name).cells:
        if cell.cell_type == "code" and cell.metadata["exercise"] == number:
            (tag,) = {"right", "wrong"} & {*cell.metadata["tags"]}
            said = cell.source.splitlines()[0]
            found.append((tag == "right", said, compile(cell.source, f"{source.stem}: {said}", "exec")))
    return found


def slips(text: str) -> list[Mutation]:
    """Mutations of a solution; of one that holds a loop without end, none that would not end."""
    return [one for one in mutations("solution", text) if "while" not in text or one.operator != "comparison"]


@pytest.mark.slow
@sources
def test_a_check_judges_what_others_tried_as_it_should_and_refuses_every_slip_in_its_solution(
    source: Path, lessons: Path, no_network: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lessons)
    monkeypatch.setenv("NEURAL_MICROSCOPE_LESSON", "digits")
    names: dict[str, Any] = {"__name__": "__main__"}
    equivalent = (FOLDER / "equivalent.txt").read_text("utf-8").splitlines()
    number, misjudged, missed = 0, [], []
    for one in needed(source):
        if isinstance(one, Statement):
            exec(one.code, names)
            continue
        number += 1
        tried = tries(source, number)
        for right, said, code in tried:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judged = verdict(names, code, one.check, capsys)
            if (judged == "Right.") != right or not judged.startswith(("Right.", "Not yet: ")):
                misjudged.append(f"exercise {number}, {said} -> {judged}")
        assert len(tried) >= 5
        for slip in slips(one.written):
            changed = one.written[slip.start : slip.end]
            line = one.written.splitlines()[slip.line - 1].strip()
            name = f"{source.name[:2]} | {line} | {changed} -> {slip.new}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = verdict(names, compile(slip.applied(one.written), name, "exec"), one.check, capsys)
            if said == "Right." and not any(name == known.partition(" # ")[0] for known in equivalent):
                missed.append(name)
    assert not misjudged, "\n".join(misjudged)
    assert not missed, "\n".join(missed)


@pytest.fixture(scope="session")
def trained(shared: Any) -> Path:
    """The networks that whole notebooks have trained, by form: several notebooks begin with the same ones."""
    return shared("trained", Path.mkdir)


def executed(made: Any, folder: Path, form: str, trained: Path) -> Any:
    """A notebook, run with the networks that others have trained; those it has trained are there for others."""
    own = folder / "runs" / form
    theirs = trained / form
    theirs.mkdir(exist_ok=True)
    for run in [run for run in theirs.iterdir() if run.suffix != ".partial"]:
        shutil.copytree(run, own / run.name, copy_function=os.link)
    made = build.execute(made, folder, form)
    for run in (path.parent for path in own.glob("*/run.json") if not (theirs / path.parent.name).exists()):
        if nm.Run.open(run).status == "finished":
            partial = Path(shutil.copytree(run, theirs / f"{run.name}.{os.getpid()}.partial", copy_function=os.link))
            with contextlib.suppress(OSError):  # another worker was faster
                partial.rename(theirs / run.name)
    return made


def answered(*cells: Any) -> list[Any]:
    """Cells as a notebook's author answers them; then every name is what it was."""
    before, after = (
        nbformat.v4.new_code_cell(text)  # type: ignore[no-untyped-call]
        for text in (
            "_names = {**globals()}",
            "for _new in [one for one in globals() if one not in _names and one[0] != '_']:\n    del globals()[_new]\n"
            "globals().update(_names)",
        )
    )
    written = [nbformat.v4.new_code_cell(cell.source, metadata={"tags": ["answered"]}) for cell in cells]  # type: ignore[no-untyped-call]
    return [before, *written, after]


def both(source: Path) -> Any:
    """The code of the exercise version. Behind each check the solution and the check come, behind each answer that was not shown the
    guess and the answer; then the guess is taken back.
    """
    made = build.exercises(source)
    learner, author = (
        [one for one in cells if one.cell_type == "code"] for cells in (made.cells, build.notebook(source).cells)
    )
    made.cells = []
    for cell, other in zip(learner, author, strict=True):
        made.cells.append(cell)
        if "lesson.guess(" in cell.source:
            guess, none = other, cell
        elif "stub" in cell.metadata.get("tags", []):
            solution = other
        elif "check" in cell.metadata.get("tags", []):
            made.cells += answered(solution, other)
        elif "lesson.reveal(" in cell.source:
            made.cells += [*answered(guess, other), nbformat.v4.new_code_cell(none.source)]  # type: ignore[no-untyped-call]
    return made


@pytest.mark.parametrize(
    "source",
    [source if source.name[:2] in SHORT else pytest.param(source, marks=pytest.mark.slow) for source in SOURCES],
    ids=lambda source: source.stem,
)
def test_on_the_bundled_digits_solutions_are_right_and_stubs_are_refused_with_a_reason_and_stop_nothing(
    source: Path, tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "exercises").mkdir()
    made = build.execute(both(source), tmp_path / "exercises", "digits")
    assert build.debris(made) == []
    wait = "Make your guess in the cell above, run it, and then run this cell again."
    judged = []
    for cell in made.cells:
        said, by_author = build.text_of(cell).strip(), "answered" in cell.metadata.get("tags", [])
        if "lesson.reveal(" in cell.source and by_author:
            assert wait not in said
        elif "lesson.reveal(" in cell.source:
            assert said == wait  # a kernel may send a line and its end apart
            assert all("image/png" not in output.get("data", {}) for output in cell.outputs)
        elif "@lesson.check" in cell.source:
            judged.append((by_author, said.splitlines()[-1]))
    assert [by_author for by_author, _ in judged] == [False, True] * (len(judged) // 2)
    for by_author, verdict in judged:
        if by_author:
            assert verdict == "Right."
        else:
            assert verdict.startswith("Not yet: "), verdict
            assert "your code stopped" not in verdict, verdict
            assert len(verdict) > 30, f"{verdict!r} helps nobody"


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source not in IN_FULL], ids=lambda source: source.stem
)
def test_it_runs_in_its_short_form(source: Path, tmp_path: Path, trained: Path, mnist_folder: Path) -> None:
    made = executed(build.notebook(source), tmp_path, "short", trained)
    assert build.debris(made) == []
    assert set(verdicts(made)) == {"Right."}


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("source", IN_FULL, ids=lambda source: source.stem)
def test_in_full_it_says_what_the_kept_notebook_says(
    source: Path, tmp_path: Path, trained: Path, mnist_folder: Path
) -> None:
    made, there = executed(build.notebook(source), tmp_path, "full", trained), kept(source)
    assert build.debris(made) == []
    assert set(verdicts(made)) == {"Right."}
    for cell, before in zip(made.cells, there.cells, strict=True):
        varies = "varies" in cell.metadata.get("tags", [])
        assert same_words(build.text_of(cell), build.text_of(before), varies), (
            f"{cell.source}\n\n{build.text_of(cell)}\n\n{build.text_of(before)}"
        )


def test_a_saved_notebook_holds_a_picture_in_place_of_a_frame() -> None:
    page = '<div><a href="page.html"><img src="data:," alt="The page"></a><iframe src="page.html"></iframe></div>'
    saved = build.without_frame(page)
    assert '<img src="data:," alt="The page">' in saved
    assert "Run this cell" in saved
    assert "page.html" not in saved
    assert build.without_frame("<table></table>") == "<table></table>"


def test_the_comparison_of_outputs_can_fail() -> None:
    assert same_words("of 10 images 95.8%", "of 10 images 95.9%", varies=False)
    assert not same_words("of 10 images 95.8%", "of 10 images 75.9%", varies=False)
    assert not same_words("of 10 images", "of 10 pictures", varies=False)
    assert same_words("of 10 images", "of 12 images", varies=True)
    assert not same_words("", "of 12 images", varies=True)
    assert same_words("1,000 pixels in 0..1, by −0.50", "1,000 pixels in 0..1,  by −0.501", varies=False)


@pytest.mark.parametrize("found", [False, True])
def test_the_setup_cell_without_a_clone_asks_no_index_and_says_what_to_do(
    found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands are only looked at: tests/install runs them."""
    code = build.setup("03", "").split("import neural_microscope as nm")[0].replace('"neural_microscope"', '"not_here"')
    asked: list[list[str]] = []

    def run(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        asked.append(words[4:])
        return subprocess.CompletedProcess(words, 0 if found else 1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    if found:
        exec(code, {})
        assert asked[1:] == [["--quiet", "neural-microscope"]]
    else:
        with pytest.raises(SystemExit, match=r"in a clone of the project, or set PIP_FIND_LINKS to the folder"):
            exec(code, {})
        assert len(asked) == 1
    assert asked[0] == ["--quiet", "--no-index", "--no-deps", "neural-microscope"]
