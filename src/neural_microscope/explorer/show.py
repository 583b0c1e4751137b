"""The explorer in a notebook: the page in a frame while the notebook runs, a picture and a link in a static view."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import nn

from ..analysis.look import FirstLook
from ..doors import door
from ..hooks import evaluation, hooked
from ..plots import Plot, one_image
from ..run import Run, network_names, same_but_seed
from .graph import operations
from .opening import opening
from .page import write
from .payload import shown


@dataclass(frozen=True)
class Shown:
    """The notebook's display of a written explorer.

    The page itself is not in the notebook, which stays small: the frame loads it by its path from the working folder. Where
    frames are removed, as on GitHub, the picture under it and the link remain.
    """

    path: Path
    """The page."""
    picture: bytes
    """PNG: one image, and each network's prediction for it."""
    alt: str
    """The picture's text alternative."""
    height: int = 760
    """Of the frame, in pixels."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        png = base64.b64encode(self.picture).decode()
        address = html.escape(quote(Path(os.path.relpath(self.path)).as_posix()))
        return {
            "text/plain": f"The explorer: {self.path.name}",
            "image/png": png,
            "text/html": (
                f'<div style="position:relative;min-height:{self.height}px">'
                f'<a href="{address}"><img src="data:image/png;base64,{png}" alt="{html.escape(self.alt)}" style="max-width:100%"></a>'
                f'<iframe src="{address}" title="The explorer" style="position:absolute;inset:0;width:100%;height:100%;border:0"></iframe>'
                f'</div><p><a href="{address}" target="_blank">Open the explorer on a page of its own</a></p>'
            ),
        }


@door
def show(
    runs: Run | FirstLook | Sequence[Run | FirstLook],
    path: str | Path = "explorer.html",
    *,
    height: int = 760,
    models: Sequence[nn.Module | None] = (),
    **settings: Any,
) -> Shown:
    """Writes the explorer of a run, or of several, and shows it in a notebook: put it last in a cell.

    Args:
        runs: A run or several, as in `explorer.write`, whose errors it shares.
        path: File to write. A frame and a link lead there, so it should lie in the notebook's folder or below.
        height: Height of the frame in pixels.
        models: As in `explorer.write`.
        **settings: Further arguments of `explorer.write`.

    >>> nm.explorer.show(run, snapshots=2)  # doctest: +SKIP
    """
    given = [runs] if isinstance(runs, Run | FirstLook) else list(runs)
    page = write(given, path, models=models, **settings)
    plot = overview([one.run if isinstance(one, FirstLook) else one for one in given], models)
    picture = io.BytesIO()
    plot.savefig(picture, format="png", dpi=110)
    return Shown(page, picture.getvalue(), plot.alt, height)


def overview(runs: Sequence[Run], models: Sequence[nn.Module | None] = ()) -> Plot:
    """A picture of the page's initial state: its opening image, and each network's prediction for it at the end of training."""
    first = [runs[group[0]] for group in same_but_seed(runs)]
    into = [*models, *[None] * (len(first) - len(models))]
    trained = [run.model(into=given) for run, given in zip(first, into, strict=True)]
    drawn = [shown(operations(model), model) for model in trained]
    index = opening(list(zip(trained, drawn, strict=True)), runs[0].probe)
    layers, answers = {}, {}
    for run, name, model, names in zip(first, network_names(first), trained, drawn, strict=True):
        lens: Any = hooked(model)
        with torch.no_grad(), evaluation(lens):
            logits, cache = lens.run_with_cache(run.probe.subset([index]).tensor())
        layers[name] = {
            layer.removesuffix(".hook_post").removesuffix(".hook_out"): cache[layer][0].numpy() for layer in names[-4:]
        }
        answers[name] = logits[0].softmax(0).numpy()
    return one_image(runs[0].probe.images[index] / 255, layers, answers)
