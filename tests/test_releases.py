"""Change fragments, the changelog they are collected into, and the hosted workflow."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

import neural_microscope

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
CHANGELOG = (ROOT / SETTINGS["filename"]).read_text("utf-8")
KINDS = [kind["directory"] for kind in SETTINGS["type"]]
FRAGMENTS = sorted(path for path in (ROOT / SETTINGS["directory"]).iterdir() if path.name != "README.md")


def test_every_fragment_has_a_kind_and_says_something() -> None:
    for path in FRAGMENTS:
        assert re.fullmatch(rf"(\+[a-z0-9-]+|\d+)\.({'|'.join(KINDS)})\.md", path.name), path.name
        assert path.read_text("utf-8").strip().endswith("."), path.name


def test_the_changelog_opens_with_this_version() -> None:
    _, found, releases = CHANGELOG.partition(SETTINGS["start_string"])
    assert found
    versions = re.findall(r"^## (\S+) \(", releases, re.M)
    assert versions[0] == neural_microscope.__version__
    assert len(set(versions)) == len(versions)


def test_citations_name_the_day_and_the_year_of_this_version() -> None:
    released = re.search(rf"^## {re.escape(neural_microscope.__version__)} \(([\d-]+)\)", CHANGELOG, re.M)
    assert released
    assert f"date-released: {released[1]}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert released[1] == neural_microscope.RELEASED
    assert f"year = {{{released[1][:4]}}}" in neural_microscope.report.bibtex()


def test_fragments_become_an_entry_of_the_changelog(tmp_path: Path) -> None:
    build = pytest.importorskip("towncrier.build", reason="the dev extra has it")
    from click.testing import CliRunner

    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "changes").mkdir()
    for kind in KINDS:
        (tmp_path / "changes" / f"+of-{kind}.{kind}.md").write_text(f"Something was {kind}.", "utf-8")
    command = ["--draft", "--version", "9.9.9", "--date", "2030-01-02", "--dir", str(tmp_path)]
    said = CliRunner().invoke(build._main, command).output
    assert "## 9.9.9 (2030-01-02)" in said
    for kind in KINDS:
        assert f"### {kind.capitalize()}" in said
        assert f"- Something was {kind}." in said


def test_the_hosted_workflow_runs_the_same_checks() -> None:
    yaml = pytest.importorskip("yaml")
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    job = yaml.safe_load(text)["jobs"]["ci"]
    assert job["steps"][-1]["run"] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert job["env"].keys() >= set(re.findall(r"\{(NEURAL_\w+):-", (ROOT / ".ci" / "run").read_text("utf-8")))
    assert "://" not in text
