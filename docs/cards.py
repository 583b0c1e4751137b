"""The cards of notebooks.md. All that they say and show is read from the notebooks: conf.py fills them in when the site is built."""

from __future__ import annotations

import base64
import json
import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ADDRESS = runpy.run_path(str(ROOT / "address.py"))
HEAD = re.compile(
    r"# (?P<title>.+?)\n\n\*(?P<topic>.+?)\*\n\n.*?\*\*Minutes:\*\* (?P<minutes>.+?)\. \*\*You need:\*\* (?P<needs>.+?)(?=\n\n|\Z)",
    re.S,
)


def head(notebook: Path) -> dict[str, str]:
    """The title, topic, minutes and prerequisites that the first cell of a notebook names."""
    found = HEAD.match("".join(_cells(notebook)[0]["source"]))
    if found is None:
        raise ValueError(
            f"{notebook.name}: its first cell has no title, topic, minutes and prerequisites (docs/cards.py)"
        )
    return {name: " ".join(text.split()) for name, text in found.groupdict().items()}


def picture(notebook: Path) -> tuple[bytes, str]:
    """The last picture of the cell with the tag ``card``, and its words."""
    (cell,) = (cell for cell in _cells(notebook) if "card" in cell["metadata"].get("tags", []))
    output = [output for output in cell["outputs"] if "image/png" in output.get("data", {})][-1]
    words = output["metadata"].get("image/png", {}).get("alt") or "".join(output["data"]["text/plain"])
    return base64.b64decode(output["data"]["image/png"]), words


def card(notebook: Path, repository: str) -> str:
    """A notebook's card in MyST. Its picture is expected as notebooks/cards/*.png."""
    named, stem = head(notebook), notebook.stem
    links = [f"[Notebook](notebooks/{stem}.ipynb)", f"[Exercises](notebooks/exercises/{stem}.ipynb)"]
    for kind, path in (("", f"notebooks/{stem}.ipynb"), ("Exercises in ", f"notebooks/exercises/{stem}.ipynb")):
        opened = ADDRESS["opens"](repository, path)
        links += [f"[{kind or 'Notebook in '}{where}]({link})" for where, link in opened.items()]
    words = re.sub(r"([\[\]])", r"\\\1", picture(notebook)[1])
    needs = re.sub(r"\]\((\d\d_)", r"](notebooks/\1", named["needs"])
    lines = [
        f"[![{words}](notebooks/cards/{stem}.png)](notebooks/{stem}.ipynb)",
        f"**[{stem[:2]} · {named['title']}](notebooks/{stem}.ipynb)**",
        named["topic"],
        f"**Minutes:** {named['minutes']}. **You need:** {needs}",
        " · ".join(links),
    ]
    return "```{container} card\n" + "\n\n".join(lines) + "\n```"


def cards(notebooks: list[Path], repository: str) -> str:
    """All cards, one beside the other where there is room."""
    return "````{container} cards\n" + "\n".join(card(notebook, repository) for notebook in notebooks) + "\n````"


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return list(json.loads(notebook.read_text("utf-8"))["cells"])
