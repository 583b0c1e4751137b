"""Links to the repository, all made from one setting: ``repository`` under [tool.neural-microscope] in pyproject.toml.

While the setting is empty there are no links. After changing it, run ``python address.py``, which updates the README's badges and
CITATION.cff, and ``make notebooks``. The package's metadata (hatch_build.py) and the documentation (docs/conf.py) read it themselves.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parent


def repository() -> str:
    """The repository's address, or an empty string."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(settings["tool"]["neural-microscope"]["repository"]).rstrip("/")


def urls(repository: str) -> dict[str, str]:
    """The package's [project.urls]."""
    if not repository:
        return {}
    return {
        "Repository": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
    }


def opens(repository: str, notebook: str) -> dict[str, str]:
    """Links that open a notebook, named by its path in the repository, where it can run: Binder, and from GitHub also Colab."""
    if not repository:
        return {}
    name = repository.removeprefix("https://github.com/")
    if name == repository:
        return {"Binder": f"https://mybinder.org/v2/git/{quote(repository, '')}/main?labpath={quote(notebook, '')}"}
    return {
        "Colab": f"https://colab.research.google.com/github/{name}/blob/main/{notebook}",
        "Binder": f"https://mybinder.org/v2/gh/{name}/main?labpath={quote(notebook, '')}",
    }


def theme_options(repository: str) -> dict[str, list[dict[str, str]]]:
    """Options of the documentation's theme that put a link to the repository at the foot of each page."""
    link = {"name": "Repository", "url": repository, "html": "Repository", "class": ""}
    return {"footer_icons": [link]} if repository else {}


def readme(text: str, repository: str) -> str:
    """The README with its badges."""
    workflow = f"{repository}/actions/workflows/ci.yml"
    badges = f"\n[![Tests]({workflow}/badge.svg)]({workflow})\n" if repository else "\n"
    return re.sub(r"(?s)(?<=<!-- badges -->).*?(?=<!-- end -->)", lambda _: badges, text)


def citation(text: str, repository: str) -> str:
    """CITATION.cff with the repository."""
    text = re.sub(r"(?m)^repository-code: .*\n", "", text)
    return text + f"repository-code: {repository}\n" if repository else text


FILES = {"README.md": readme, "CITATION.cff": citation}
"""The files that hold links, each with the function that writes them."""

if __name__ == "__main__":
    for name, filled in FILES.items():
        path = ROOT / name
        path.write_text(filled(path.read_text("utf-8"), repository()), "utf-8")
