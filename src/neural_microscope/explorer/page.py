"""The page: the built front end, its data, and a security policy without network access."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from torch import nn

from .. import files
from ..analysis.look import FirstLook, Progress
from ..doors import door
from ..errors import RunError
from ..plots.style import html_page
from ..run import Run
from .payload import payload


@door
def write(
    runs: Sequence[Run | FirstLook],
    path: str | Path,
    *,
    snapshots: int = 20,
    models: Sequence[nn.Module | None] = (),
    progress: Progress | None = None,
) -> Path:
    """Writes the explorer of the runs to ``path`` (whole or not at all); returns the path.

    Runs that differ only in seed are one network of the page, the first; the claims state on how many seeds they are
    shown. Of a `FirstLook` the measures that are there already are used. ``snapshots``: how many snapshots of each network the
    page can show, at most. ``models``: for each network of the page that was not built from a config, an
    instance to load its weights into, else None. ``progress(part, done, total)`` counts the layers of each network.

    No run, runs probed with different images, weights that float16 can't hold, and a front end that was not built are
    RunErrors; a layer that the page can't compute is an UnsupportedLayer; a path that can't be written is a FileError,
    before anything is measured.
    """
    path, built = files.writable(path), front_end()
    data = payload(runs, snapshots=snapshots, models=models, progress=progress)
    data["title"] = "Explorer: " + " and ".join(network["name"] for network in data["networks"])
    with files.whole(path) as partial:
        partial.write_text(document(data, *built), "utf-8")
    return path


def front_end() -> tuple[str, str]:
    """(script, style) from the build."""
    folder = resources.files(__package__).joinpath("static")
    script, style = folder.joinpath("explorer.js"), folder.joinpath("explorer.css")
    if not (script.is_file() and style.is_file()):
        raise RunError(
            "the explorer's front end was not built. Reinstalling builds it (pip install -e .); in a checkout: make web"
        )
    return script.read_text("utf-8"), style.read_text("utf-8")


def document(data: dict[str, Any], script: str, style: str) -> str:
    """A complete self-contained document. Nothing in the data can end its element or become markup."""
    script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    plain = json.dumps(_shown(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    body = (
        '<div id="app"><noscript>This page computes in the browser; it needs JavaScript.</noscript></div>'
        f'<script type="application/json" id="data">{plain}</script><script>{script}</script>'
    )
    return html_page(data["title"], style, body, policy)


def _shown(value: Any) -> Any:
    """The page's data with every text escaped for display, names and keys."""
    if isinstance(value, dict):
        return {_shown(key): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return files.shown(value) if isinstance(value, str) else value
