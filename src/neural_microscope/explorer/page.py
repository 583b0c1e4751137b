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
from ..data import Dataset
from ..doors import door
from ..errors import RunError
from ..plots.style import html_page
from ..run import Run
from .payload import payload
from .trained import Influence


@door
def write(
    runs: Sequence[Run | FirstLook],
    path: str | Path,
    *,
    snapshots: int = 20,
    models: Sequence[nn.Module | None] = (),
    influence: Influence | Sequence[Influence] = (),
    data: Dataset | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the explorer of the runs (whole or not at all); returns its path.

    Runs that differ only in seed are one network of the page, the first; the claims state on how many seeds they are
    shown. The second seed is there too, to be shown beside the first, if the page is then no larger than 6 MB.

    Complete replays beside a run (`replay`) are on its page: the loss of branches and twins over training, and their claims.

    Args:
        runs: Recorded runs of the same probe images, or results of `analysis.look.first_look`, whose measures are used. Results kept in
            a run's folder are used where they are still valid.
        path: File to write; an existing one is replaced.
        snapshots: Number of snapshots of each network that the page can show, at most.
        models: For each network of the page an instance to load its weights into if it was not built from a config,
            else None.
        influence: Results of `influence.estimate`, `influence.verify`, or both, of the first run: the page shows the
            training images that raise and lower each of the first 30 targets most, and each method's agreement with retraining.
        data: The data of the first run, for the pictures of ``influence``; None: the set that `load` knows by the recorded name.
        progress: Function of the network, how many of its layers are done, and their total.

    Raises:
        RunError: There is no run, the runs were probed with different images or with inputs that are no images in
            0..1, weights are not finite, or the front end was not built.
        UnsupportedLayer: The page can't compute a layer.
        DataError: Influence of something else than the first run's training images.
        FileError: The path can't be written; raised before anything is measured.

    >>> nm.explorer.write([run], "explorer.html", snapshots=2).name  # doctest: +SKIP
    'explorer.html'
    """
    path, built = files.writable(path), front_end()
    page = payload(runs, snapshots=snapshots, models=models, influence=influence, data=data, progress=progress)
    page["title"] = "Explorer: " + " and ".join(network["name"] for network in page["networks"])
    with files.whole(path) as partial:
        partial.write_text(document(page, *built), "utf-8")
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
        f"default-src 'none'; script-src 'sha256-{digest}' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
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
