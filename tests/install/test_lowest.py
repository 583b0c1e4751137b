"""The lowest versions that `make test-lowest` installs are those of pyproject.toml, one for each requirement."""

from __future__ import annotations

from pathlib import Path

import lowest
import pytest

ROOT = lowest.ROOT

PROJECT = """[project]
name = "us"
dependencies = ["torch>=2", "numpy>=2.0,<3", "a-b_c.d[extra] >= 1.2.3"]
[project.optional-dependencies]
more = ["numpy>=2.0", "us[most]", "rich>=14"]
bare = ["rich"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, "utf-8")
    (tmp_path / "constraints.txt").write_text("# why\ntorch==2.1\nrich==15\n", "utf-8")
    monkeypatch.setattr(lowest, "ROOT", tmp_path)


@pytest.mark.usefixtures("project")
def test_every_bound_is_taken_once_and_pytorch_is_the_pinned_one() -> None:
    assert lowest.lowest(["more"]) == ["a-b_c.d==1.2.3", "numpy==2.0", "rich==14", "torch==2.1"]


@pytest.mark.usefixtures("project")
def test_a_requirement_without_a_lowest_version_is_named() -> None:
    with pytest.raises(ValueError, match="'rich' declares no lowest version"):
        lowest.lowest(["bare"])


def test_the_projects_own_requirements_all_declare_one() -> None:
    assert len(lowest.lowest(["netcdf", "sweep", "umap", "notebooks", "test", "interop", "docs", "dev"])) > 30


def test_what_make_test_installs_is_pinned() -> None:
    pinned = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    names = {line.partition("==")[0] for line in lowest.lowest(["test", "sweep", "dev", "docs"])}
    assert names == {line.partition("==")[0] for line in pinned if "==" in line}
