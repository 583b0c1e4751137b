"""The scalar package stands alone, and its worked example prints what it says."""

from __future__ import annotations

import ast
import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

from neural_microscope import scalar

FOLDER = Path(scalar.__file__).parent

IMPORTED = """
import json, sys
before = set(sys.modules)
import neural_microscope.scalar
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_it_loads_only_the_standard_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=120)
    loaded = json.loads(done.stdout)
    assert "neural_microscope.scalar.engine" in loaded
    foreign = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"neural_microscope"}
    assert not foreign


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_its_files_import_nothing_from_the_rest_of_the_project(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            assert (FOLDER / f"{node.module}.py").exists()
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_worked_example_prints_what_the_docstring_says() -> None:
    outcome = doctest.testmod(scalar)
    assert outcome.attempted >= 14
    assert outcome.failed == 0


def test_all_public_names_are_there() -> None:
    assert {"Value", "Neuron", "Layer", "MLP", "draw_graph"} <= set(scalar.__all__)
    assert all(hasattr(scalar, name) for name in scalar.__all__)
