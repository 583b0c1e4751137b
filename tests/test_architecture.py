"""The import table of ARCHITECTURE.md: a room imports from rooms below it, never upwards and never from a neighbor."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import neural_microscope

ROOT = Path(neural_microscope.__file__).parent
ROWS = [
    ["__main__"],
    ["cli"],
    ["demonstration", "lessons", "usage"],
    ["report", "explorer", "interop", "sweep"],
    ["phantoms"],
    ["analysis.findings"],
    ["analysis.look", "analysis.streaming", "loops", "replays", "influence", "edits"],
    ["analysis.*", "plots", "recording"],
    ["measure"],
    ["claim", "recordable", "changes"],
    ["statistics", "training", "run"],
    ["models"],
    ["interventions"],
    ["hooks"],
    ["data"],
    ["named", "devices"],
    ["config", "axes", "glossary"],
    ["documents"],
    ["processes", "files"],
    ["doors", "stops"],
    ["errors", "wording"],
]
"""From the top of the house to its ground."""
ABOVE_MEASURES = ("analysis.look", "analysis.streaming", "analysis.findings")


@cache
def modules() -> list[str]:
    """Every module of the package, dotted, without the package's own name."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py")]
    return [name.removesuffix(".__init__") for name in names if name != "__init__"]


def room(module: str) -> str:
    """The room of the table that a module is in: its own, that of a measure, or its top package's."""
    if module.startswith("analysis."):
        own = ".".join(module.split(".")[:2])
        return own if own in ABOVE_MEASURES else "analysis.*"
    return "analysis" if module == "analysis" else module.split(".")[0]


@cache
def imports(module: str) -> set[str]:
    """The package's own modules that a module imports anywhere in its text, type checking apart."""
    path = ROOT / Path(*module.split("."))
    package = path.is_dir()
    tree = ast.parse((path / "__init__.py" if package else path.with_suffix(".py")).read_text("utf-8"))
    skipped = {n for node in ast.walk(tree) if _type_checking(node) for n in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node in skipped or not node.level:
            continue
        above = module.split(".")[: len(module.split(".")) - node.level + package]
        base = [*above, *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            whole = ".".join([*base, alias.name])
            found.add(whole if whole in modules() else ".".join(base))
    return found - {""}


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def height(name: str) -> int:
    return next(i for i, row in enumerate(ROWS) if name in row)


@pytest.mark.parametrize("module", modules())
def test_every_module_imports_only_from_rooms_below_its_own(module: str) -> None:
    here = room(module)
    for imported in imports(module):
        there = room(imported)
        if here == there or "analysis" in (here, there):  # the package analysis only lists its measures
            continue
        if here == "cli" and there in ("train", "Recorder", "resume"):  # names of the lazy front door
            continue
        assert "scalar" not in (here, there), f"{module} imports {imported}: the scalar engine stands apart"
        assert height(there) > height(here), f"{module} ({here}) imports {imported} ({there}), which is not below it"


@pytest.mark.parametrize("module", [m for m in modules() if room(m) == "analysis.*"])
def test_no_measure_imports_another(module: str) -> None:
    own = module.split(".")[1]
    assert not {name for name in imports(module) if name.startswith("analysis.") and name.split(".")[1] != own}


def test_every_module_has_a_room() -> None:
    known = {name for row in ROWS for name in row} | {"analysis", "scalar"}
    assert {room(module) for module in modules()} <= known


def test_no_module_gives_one_name_two_values() -> None:
    """The second would hold for the first's users too."""
    for path in ROOT.rglob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        names = [
            name.id for one in body if isinstance(one, ast.Assign) for name in one.targets if isinstance(name, ast.Name)
        ]
        assert len(names) == len(set(names)), (path, sorted(names))


@pytest.mark.parametrize("statement", ["import neural_microscope", "import neural_microscope.cli"])
def test_the_front_doors_import_nothing_heavy(statement: str) -> None:
    heavy = {"torch", "msgspec", "zarr", "xarray", "matplotlib", "sklearn", "scipy", "pandas"}
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_help_of_every_command_is_there_without_torch() -> None:
    commands = (
        [],
        ["demo"],
        ["train"],
        ["train", "mlp"],
        ["resume"],
        ["verify"],
        ["report"],
        ["explore"],
        ["learn"],
        ["calibrate"],
        ["sweep"],
        ["sweep", "mlp"],
    )
    code = (
        "import sys\nfrom neural_microscope.cli import main\n"
        f"for command in {commands}:\n"
        "    sys.argv = ['microscope', *command, '--help']\n"
        "    try: main()\n"
        "    except SystemExit as end: assert end.code == 0, command\n"
        "    assert 'torch' not in sys.modules, command\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [" ".join(["usage: microscope", *command]) in done.stdout for command in commands] == [True] * len(commands)


def test_the_lazy_front_door_gives_every_name_it_lists_and_refuses_others() -> None:
    for name in neural_microscope.__all__:
        assert getattr(neural_microscope, name) is not None
    with pytest.raises(AttributeError, match="it has"):
        neural_microscope.nothing_of_the_kind  # noqa: B018
