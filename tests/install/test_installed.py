"""The package as people install it, from a wheel and a source distribution, into empty environments; and each extra alone.

``make test-install`` runs it, once for each Python that it finds (or is given, ``make test-install PYTHONS="python3.12 …"``).
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = os.environ.get("INSTALL_PYTHONS", "").split() or [sys.executable]
INDEX = os.environ.get("INSTALL_TORCH_INDEX")
OUTSIDE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
TORCH = re.findall(
    r"^torch==.*", (ROOT / "constraints.txt").read_text("utf-8"), re.M
)  # of all else, what pip chooses today
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

pytestmark = pytest.mark.install


def ran(*words: object, cwd: Path | None = None, fails: bool = False, **settings: str) -> str:
    """The output of a command, or its end where it was to work and failed (or the other way round)."""
    ended = subprocess.run(
        [*map(str, words)], cwd=cwd, env=OUTSIDE | settings, capture_output=True, text=True, check=False
    )
    printed = ended.stdout + ended.stderr
    assert (ended.returncode != 0) == fails, printed[-3000:]
    return printed


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and an empty folder to work in."""

    folder: Path
    work: Path

    @classmethod
    def made(cls, python: object, folder: Path) -> Environment:
        ran(python, "-m", "venv", folder)
        work = folder.parent / f"{folder.name} work"
        work.mkdir()
        return cls(folder, work)

    @property
    def packages(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def python(self, *words: object, fails: bool = False) -> str:
        return ran(self.folder / "bin" / "python", *words, cwd=self.work, fails=fails)

    def microscope(self, *words: object) -> str:
        return ran(self.folder / "bin" / "microscope", *words, cwd=self.work)

    def install(self, *what: object) -> None:
        self.python("-m", "pip", "install", "--quiet", *what)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "hatchling", "build", "-d", folder, "-t", "wheel", "-t", "sdist", cwd=ROOT)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="session", params=PYTHONS)
def installed(
    request: pytest.FixtureRequest, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The wheel in an empty environment, and in ``run`` of its working folder a network that its console script has recorded."""
    environment = Environment.made(request.param, tmp_path_factory.mktemp("wheel") / "venv")
    environment.install(*TORCH, *(["--index-url", INDEX] if INDEX else []))
    environment.install(built[0], *TORCH)
    environment.microscope("train", "--out", "run", "--data", "digits", "--epochs", 1, "mlp", "--hidden", 8)
    return environment


def test_the_console_script_does_the_whole_job(installed: Environment) -> None:
    where = installed.python("-c", "import neural_microscope as nm; print(nm.__file__, nm.Run.open('run').config)")
    assert str(installed.packages) in where
    assert "every byte" in installed.microscope("verify", "run")
    installed.microscope("report", "run", "-o", "report.html")
    installed.microscope("explore", "run", "-o", "explorer.html", "--snapshots", 2)
    for page in ("report.html", "explorer.html"):
        assert (installed.work / page).stat().st_size > 100_000
    assert "conflict" not in installed.python("-m", "pip", "check")


def test_the_source_distribution_installs_the_same_files(
    installed: Environment, built: tuple[Path, Path], tmp_path: Path
) -> None:
    wheel, source = built
    installed.install("--no-deps", "--target", tmp_path / "there", source)
    with zipfile.ZipFile(wheel) as files:
        ours = {name: files.read(name) for name in files.namelist() if ".dist-info/" not in name}
    assert "neural_microscope/explorer/static/explorer.js" in ours
    assert sum(name.startswith("neural_microscope/notebooks/") for name in ours) == 20
    package = tmp_path / "there" / "neural_microscope"
    found = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {name for name in found if "__pycache__" not in name} == set(ours)
    assert all((tmp_path / "there" / name).read_bytes() == content for name, content in ours.items())


NETCDF = "nm.interop.to_netcdf(nm.Run.open('run'), 'log.nc')"
UMAP = "nm.analysis.geometry.embed(nm.Run.open('run').log['layers.0.hook_post'], method='umap', seeds=(0,))"
SWEEP = "nm.sweep.connect(1).__enter__()"
JOBS = {"netcdf": NETCDF, "umap": UMAP, "sweep": SWEEP}


@pytest.mark.parametrize("extra", ["netcdf", "umap", "sweep", "notebooks"])
def test_each_extra_alone_does_its_job_and_its_absence_is_one_sentence(
    installed: Environment, built: tuple[Path, Path], tmp_path: Path, extra: str
) -> None:
    """In an environment that sees the packages of the other one, and that one's run."""
    environment = Environment.made(installed.folder / "bin" / "python", tmp_path / "venv")
    (environment.packages / "wheel.pth").write_text(f"{installed.packages}\n", "utf-8")
    (environment.work / "run").symlink_to(installed.work / "run")
    if extra == "notebooks":
        environment.install(*EXTRAS[extra])
        assert "python3" in environment.python("-m", "jupyter", "kernelspec", "list")
        return
    program = environment.work / "job.py"
    program.write_text(
        f"import neural_microscope as nm\nif __name__ == '__main__':\n    {JOBS[extra]}\n",
        "utf-8",
    )
    said = environment.python(program, fails=True).strip().splitlines()[-1]
    assert re.fullmatch(rf".*MicroscopeError: .*pip install '?neural-microscope\[{extra}\].*", said)
    environment.install(*EXTRAS[extra])
    environment.python(program)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last commit as a repository that pip can install from."""
    folder = tmp_path_factory.mktemp("repository") / "project.git"
    ran("git", "clone", "--quiet", "--bare", ROOT, folder)
    for allowed in ("allowFilter", "allowAnySHA1InWant"):  # pip asks for no more than it needs
        ran("git", "-C", folder, "config", f"uploadpack.{allowed}", "true")
    return folder


def test_the_setup_cell_of_a_notebook_installs_the_project(
    built: tuple[Path, Path], repository: Path, tmp_path: Path
) -> None:
    """In an environment that has a kernel and nothing else: never from an index, but from a wheel, a clone or the repository."""
    environment = Environment.made(PYTHONS[0], tmp_path / "venv")
    environment.install("nbclient", "ipykernel")
    (tmp_path / "torch.txt").write_text("\n".join(TORCH), "utf-8")
    settings = {
        "NEURAL_MICROSCOPE_LESSON": "digits",
        "PIP_CONSTRAINT": str(tmp_path / "torch.txt"),
        "PYTHONNOUSERSITE": "1",
    }
    if INDEX:
        settings["PIP_EXTRA_INDEX_URL"] = INDEX
    packed = "neural_microscope/notebooks/exercises/03_Analyze_Activations.ipynb"
    with zipfile.ZipFile(built[0]) as files:
        cells = nbformat.reads(files.read(packed).decode(), as_version=4).cells  # type: ignore[no-untyped-call]
    cell = next(cell.source for cell in cells if cell.cell_type == "code")

    def opened(cell: str, folder: Path, fails: bool = False, **more: str) -> str:
        """Runs a notebook that starts with the cell in a folder; returns the command's output and the notebook."""
        asked = nbformat.v4.new_code_cell("print(nm.__file__)")  # type: ignore[no-untyped-call]
        first = nbformat.v4.new_code_cell(cell)  # type: ignore[no-untyped-call]
        one = nbformat.v4.new_notebook(cells=[first, asked])  # type: ignore[no-untyped-call]
        nbformat.write(one, folder / "one.ipynb")  # type: ignore[no-untyped-call]
        jupyter = environment.folder / "bin" / "jupyter-execute"
        said = ran(jupyter, "--inplace", "one.ipynb", cwd=folder, fails=fails, **settings, **more)
        return said + (folder / "one.ipynb").read_text("utf-8")

    assert "or set PIP_FIND_LINKS to the folder" in opened(cell, environment.work, fails=True)
    assert "neural-microscope" not in environment.python("-m", "pip", "list")

    here = f"{OUTSIDE.get('PIP_FIND_LINKS', '')} {built[0].parent}"
    said = opened(cell, environment.work, PIP_FIND_LINKS=here)
    assert "training images" in said
    assert str(environment.packages) in said
    assert "10 notebooks copied" in environment.microscope("learn", "mine", "--no-open")
    assert len(list((environment.work / "mine").glob("*.ipynb"))) == 10
    assert "conflict" not in environment.python("-m", "pip", "check")

    ran("git", "clone", "--quiet", repository, tmp_path / "clone")
    binder = [environment.folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--dry-run"]
    ran(*binder, "-r", ".binder/requirements.txt", cwd=tmp_path / "clone", PIP_RETRIES="0", PIP_TIMEOUT="10")
    addressed = runpy.run_path(str(ROOT / "notebooks" / "build.py"))["setup"]("03", f"file://{repository}")
    for one, folder in ((cell, tmp_path / "clone" / "notebooks" / "exercises"), (addressed, environment.work)):
        environment.python("-m", "pip", "uninstall", "--quiet", "--yes", "neural-microscope")
        assert str(environment.packages) in opened(one, folder)
