"""Every link to the repository is made from one setting; here it is made up."""

from __future__ import annotations

import runpy
import shutil
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = runpy.run_path(str(ROOT / "address.py"))
BUILD = runpy.run_path(str(ROOT / "notebooks" / "build.py"))
MADE_UP = "https://code.example/somebody/neural-microscope"


@pytest.mark.parametrize("name", ADDRESS["FILES"])
def test_a_file_with_links_is_as_the_setting_says(name: str) -> None:
    text, filled = (ROOT / name).read_text("utf-8"), ADDRESS["FILES"][name]
    assert filled(text, ADDRESS["repository"]()) == text, "run: python address.py"
    assert MADE_UP in filled(text, MADE_UP)
    assert filled(filled(text, MADE_UP), MADE_UP) == filled(text, MADE_UP)
    assert filled(filled(text, MADE_UP), "") == filled(text, "")


def test_the_packages_links_are_made_from_the_setting(tmp_path: Path) -> None:
    core = pytest.importorskip("hatchling.metadata.core", reason="the dev extra has it")
    from hatchling.plugin.manager import PluginManager

    for name in ("pyproject.toml", "hatch_build.py", "address.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    settings = (tmp_path / "pyproject.toml").read_text("utf-8")
    for address, count in (("", 0), (MADE_UP, 3)):
        changed = settings.replace(f'repository = "{ADDRESS["repository"]()}"', f'repository = "{address}"')
        (tmp_path / "pyproject.toml").write_text(changed, "utf-8")
        urls = core.ProjectMetadata(str(tmp_path), PluginManager()).core.urls
        assert len(urls) == count
        assert all(url.startswith(MADE_UP) for url in urls.values())


def test_the_documentation_links_to_the_repository_where_it_has_an_address() -> None:
    assert ADDRESS["theme_options"]("") == {}
    assert ADDRESS["theme_options"](MADE_UP)["footer_icons"][0]["url"] == MADE_UP


def test_a_notebook_outside_a_clone_installs_from_the_repository() -> None:
    assert "PIP_FIND_LINKS" in BUILD["setup"]("03", "")
    cell = BUILD["setup"]("03", MADE_UP)
    compile(cell, "setup", "exec")
    assert f'source = "git+{MADE_UP}"' in cell
    assert "SystemExit" not in cell
    assert "PIP_FIND_LINKS" not in cell
    assert 'lessons.start("03")' in cell


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("", {}),
        (
            MADE_UP,
            {
                "Binder": "https://mybinder.org/v2/git/https%3A%2F%2Fcode.example%2Fsomebody%2Fneural-microscope/main?labpath={quoted}"
            },
        ),
        (
            "https://github.com/some/body",
            {
                "Colab": "https://colab.research.google.com/github/some/body/blob/main/{path}",
                "Binder": "https://mybinder.org/v2/gh/some/body/main?labpath={quoted}",
            },
        ),
    ],
)
def test_each_notebook_has_links_that_open_it_where_the_repository_has_an_address(
    repository: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILD["ADDRESS"], "repository", lambda: repository)
    for source in BUILD["SOURCES"]:
        for exercise, folder in ((False, "notebooks"), (True, "notebooks/exercises")):
            path = f"{folder}/{source.stem}.ipynb"
            links = {name: link.format(path=path, quoted=path.replace("/", "%2F")) for name, link in expected.items()}
            assert ADDRESS["opens"](repository, path) == links
            (head,) = BUILD["_opened"]([nbformat.v4.new_markdown_cell("Title")], BUILD["target"](source, exercise))  # type: ignore[no-untyped-call]
            said = " · ".join(f"[{name}]({link})" for name, link in links.items())
            assert head.source == "Title" + f"\n\nOpen in {said}" * bool(links)


@pytest.mark.parametrize("make", ["notebook", "exercises"])
def test_a_notebook_starts_with_its_links(make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILD["ADDRESS"], "repository", lambda: MADE_UP)
    head = BUILD[make](BUILD["SOURCES"][1]).cells[0].source
    assert head.startswith("# ")
    assert "\n\nOpen in [Binder](https://mybinder.org/" in head


def test_what_binder_installs_is_the_project_as_it_is_tested() -> None:
    """Binder itself needs a public repository; tests/install installs what its files name."""
    lines = (ROOT / ".binder" / "requirements.txt").read_text("utf-8").splitlines()
    assert lines[-1] == "."
    (constraints,) = (line.removeprefix("-c ") for line in lines if line.startswith("-c "))
    assert (ROOT / ".binder" / constraints).resolve() == ROOT / "constraints.txt"
    python = (ROOT / ".binder" / "runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert [*map(int, python.split("."))] >= [*map(int, needed.removeprefix(">=").split("."))]
