"""Makes the notebooks from their sources: ``python notebooks/build.py [00 03 …]``, all of them unless named.

A source is a jupytext percent script. The tags of its cells say what becomes of them:

    setup      replaced by the one setup cell
    hint       only in the exercise version, folded
    stub       only in the exercise version
    solution   run in the notebook, its code folded; in the exercise version folded below the check
    check      the check of an exercise
    right      a right answer to the exercise, wrong: a wrong one; both only for the tests of its check
    card       its last picture stands on the notebook's card in the documentation
    varies     its numbers may differ on another processor

A line that ends in ``# your guess`` has None in the exercise version. Cell ids come from the cells' text, so a change shows as one cell.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from PIL import Image

HERE = Path(__file__).parent
SOURCES = sorted((HERE / "sources").glob("[0-9][0-9]_*.py"))
Notebook = nbformat.NotebookNode

SETUP = """\
# Setup. If the package is missing, this cell installs it from the clone that holds this notebook, or else from {named}.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("neural_microscope") is None:
    above = [Path.cwd(), *Path.cwd().parents]
    source = next((str(folder) for folder in above if (folder / "src" / "neural_microscope").is_dir()), None)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    if source is None:
{elsewhere}
    subprocess.run([*pip, source], check=True)

import neural_microscope as nm
from neural_microscope import lessons

lesson = lessons.start("{number}")  # a teacher opens every answer with reveal_all=True"""

WHEEL = """\
        source = "neural-microscope"  # its wheel first, with no index: there this name may be another package's
        wheel = subprocess.run([*pip, "--no-index", "--no-deps", source], capture_output=True)
        if wheel.returncode != 0:
            raise SystemExit(
                "The package neural-microscope is missing. Open this notebook in a clone of the project, or set "
                "PIP_FIND_LINKS to the folder that holds the project's wheel, and run this cell again."
            )"""

TRIED = {"right", "wrong"}
ADDRESS = runpy.run_path(str(HERE.parent / "address.py"))


def setup(number: str, repository: str) -> str:
    """The setup cell of a notebook. Outside a clone it installs from the repository, if that has an address, or from a wheel."""
    if repository:
        return SETUP.format(number=number, named="its repository", elsewhere=f'        source = "git+{repository}"')
    return SETUP.format(number=number, named="a wheel in PIP_FIND_LINKS", elsewhere=WHEEL)


def notebook(source: Path) -> Notebook:
    """The notebook of a source, not yet run."""
    cells = []
    for cell in _cells(source):
        tags = set(cell.metadata.get("tags", []))
        if tags & {"hint", "stub", *TRIED}:
            continue
        if "solution" in tags:
            cell.metadata = {"tags": ["solution", "hide-input"], "jupyter": {"source_hidden": True}}
        cells.append(cell)
    return _made(_opened(cells, target(source)))


def exercises(source: Path) -> Notebook:
    """The exercise version: stubs in place of solutions, hints and solutions folded, guesses to be made."""
    cells, folded, answered = [], None, False
    for cell in _cells(source):
        tags = set(cell.metadata.get("tags", []))
        if tags & TRIED:
            continue
        if "solution" in tags:
            folded = nbformat.v4.new_markdown_cell(_details("Solution", f"```python\n{cell.source}\n```"))
            continue
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../", "](../../")
        if "hint" in tags:
            cell.source = _details("Hint", cell.source)
        elif answered and cell.cell_type == "markdown":
            told, cell.source = _told(cell.source)
            if told:
                cells.append(nbformat.v4.new_markdown_cell(_details("After your guess", told)))
        answered = cell.cell_type == "code" and "lesson.reveal(" in cell.source
        cell.source = re.sub(r"(?m)^(\w+ = ).*(?=  # your guess$)", r"\1None", cell.source)
        if cell.source:
            cells.append(cell)
        if "check" in tags and folded is not None:
            cells.append(folded)
            folded = None
    return _made(_opened(cells, target(source, exercise=True)))


def _opened(cells: list[Notebook], path: Path) -> list[Notebook]:
    """The cells; the first one gets links that open the notebook, if the repository has an address."""
    links = ADDRESS["opens"](ADDRESS["repository"](), path.relative_to(HERE.parent).as_posix())
    if links:
        cells[0].source += "\n\nOpen in " + " · ".join(f"[{where}]({link})" for where, link in links.items())
    return cells


def _told(text: str) -> tuple[str, str]:
    """The part of a markdown cell about the answer above it, and the rest, from the first heading or bold question on."""
    rest = re.search(r"(?m)^(#|\*\*)", text)
    start = rest.start() if rest else len(text)
    return text[:start].strip(), text[start:]


def target(source: Path, exercise: bool = False) -> Path:
    """The path of a source's notebook."""
    return HERE / ("exercises" if exercise else "") / f"{source.stem}.ipynb"


def execute(made: Notebook, folder: Path, form: str = "full") -> Notebook:
    """Runs a notebook in ``folder``, and keeps the CPU seconds of its kernel in its metadata; raises where a cell does."""
    from nbclient import NotebookClient

    def spent() -> float:
        times = os.times()
        return times.children_user + times.children_system

    env = {**os.environ, "NEURAL_MICROSCOPE_LESSON": form, "OMP_NUM_THREADS": "1"}
    where = {"metadata": {"path": str(folder)}}
    before = spent()
    NotebookClient(made, timeout=None, kernel_name="python3", resources=where).execute(env=env)
    made.metadata.cpu_seconds = round(spent() - before)
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _smaller(output.data["image/png"])
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = without_frame(output.data["text/html"])
    made.metadata.language_info = {"name": "python"}
    return made


def without_frame(html: str) -> str:
    """The picture of a page that a saved notebook could not show, and how to open it; other HTML as it is."""
    picture = re.search(r"<img[^>]*>", html)
    if picture is None or "<iframe" not in html:
        return html
    return f"{picture[0]}<p>Run this cell to open the explorer here.</p>"


def text_of(cell: Notebook) -> str:
    """The text of a cell's outputs."""
    said = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        said.append((output.get("text") or data.get("text/markdown") or data.get("text/plain") or "").strip())
    return "\n".join(part for part in said if part)  # a busy kernel sends a line and its end as two outputs


def debris(made: Notebook) -> list[str]:
    """Outputs that a kept notebook must not hold: errors, warnings, progress bars, paths of one machine."""
    found = []
    unwanted = (
        r"\x1b|\r",
        r"Warning\b",
        r"it/s\b",
        r"(?<![\w.])/(?:home|root|tmp|work|usr|Users)/",
        r" at 0x[0-9a-f]+",
    )
    for number, cell in enumerate(made.cells):
        words = text_of(cell)
        bad = [
            str(o.get("text") or o.get("evalue"))
            for o in cell.get("outputs", [])
            if o.output_type == "error" or o.get("name") == "stderr"
        ]
        bad += [words[:200] for what in unwanted if re.search(what, words)]
        found += [f"cell {number}: {what}" for what in bad]
    return found


def _cells(source: Path) -> list[Notebook]:
    cells = jupytext.reads(source.read_text("utf-8"), fmt="py:percent").cells
    for cell in cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = setup(source.name[:2], ADDRESS["repository"]())
    return list(cells)


def _made(cells: list[Notebook]) -> Notebook:
    taken: set[str] = set()
    for cell in cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        while name in taken:
            name = hashlib.sha256(name.encode()).hexdigest()[:8]
        taken.add(name)
        cell.id = name
    metadata: dict[str, Any] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    made.nbformat_minor = 5
    return made


def _details(summary: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def _smaller(png: str) -> str:
    """The same picture in at most 256 colors."""
    before = base64.b64decode(png)
    after = io.BytesIO()
    Image.open(io.BytesIO(before)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        after, "png", optimize=True
    )
    return base64.b64encode(min(before, after.getvalue(), key=len)).decode()


def tell(number: str, seconds: int) -> None:
    """Writes the CPU seconds of a notebook into the table of the teachers' page."""
    page = HERE.parent / "docs" / "teaching.md"
    row = rf"(?m)^(\| \[{number}\].*\| )\d+ \|$"
    page.write_text(re.sub(row, rf"\g<1>{seconds} |", page.read_text("utf-8")), "utf-8")


def write(made: Notebook, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    nbformat.validate(made)
    path.write_text(nbformat.writes(made) + "\n", "utf-8")


def main(wanted: list[str]) -> int:
    for source in SOURCES:
        if wanted and source.name[:2] not in wanted:
            continue
        write(exercises(source), target(source, exercise=True))
        with tempfile.TemporaryDirectory() as empty:  # where no network is trained yet
            made = execute(notebook(source), Path(empty))
        write(made, target(source))
        tell(source.name[:2], made.metadata.cpu_seconds)
        size = target(source).stat().st_size
        print(f"{target(source).name}: {size / 1e3:.0f} kB, {made.metadata.cpu_seconds} s of CPU", flush=True)
        problems = debris(made) + ([f"{size} bytes, more than 1 MB"] if size > 1_000_000 else [])
        if problems:
            print("\n".join(problems))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
