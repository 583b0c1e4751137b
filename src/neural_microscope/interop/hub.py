"""A network in the folder form of the Hugging Face hub: config.json, model.safetensors and a model card."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
from msgspec import Meta, Struct

from .. import __version__, documents, files
from ..config import from_json, to_json
from ..doors import door
from ..errors import MicroscopeError, RunError, reason
from ..models import Network, build
from ..run import Run

KIND = "neural-microscope"
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@door
def to_hub(run: Run, folder: str | Path, *, step: int | None = None) -> Path:
    """Writes the network of a run into a folder, with a card that describes its training; returns the folder.

    The folder is ready to upload; nothing is uploaded here.

    Args:
        run: A run whose network was built from a config.
        folder: A new or an empty folder.
        step: Step of a recorded snapshot; None: the last.

    Raises:
        RunError: The run is of a foreign module, which has no config to build it from, or the folder is not empty.
        FileError: The folder can't be written.

    >>> nm.interop.to_hub(run, "model").name
    'model'
    """
    folder = files.writable(Path(folder) / CONFIG).parent
    model = run.model(step)
    if not isinstance(model, Network):
        raise RunError(f"{run.folder}: only networks that were built from a config go into a folder of this form")
    if any(folder.iterdir()):
        raise RunError(f"{folder} is not empty; a model is not written over another")
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(weights, {"format": "pt"})
    about = {
        "model_type": KIND,
        "sha256": documents.UNSEALED,
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "architectures": [type(model).__name__],
        "seed": model.seed,
        "network": to_json(model.config),
    }
    card = _card(run, model, run.steps[-1] if step is None else step)
    with ExitStack() as stack:  # all or none
        readme, config, tensors = (
            stack.enter_context(files.whole(folder / name)) for name in ("README.md", CONFIG, WEIGHTS)
        )
        tensors.write_bytes(content)
        config.write_bytes(documents.sealed((json.dumps(about, indent=2) + "\n").encode()))
        readme.write_text(card, "utf-8")
    return folder


@door
def from_hub(folder: str | Path) -> Network:
    """The network of a folder that `to_hub` wrote, in evaluation mode.

    Args:
        folder: The folder, or a download of it.

    Raises:
        RunError: A folder of another form, one whose weights are not those of its config, or one of which a byte has
            changed.

    >>> nm.interop.from_hub(nm.interop.to_hub(run, "shared")).config.hidden
    (16, 8)
    """
    folder = files.place(folder)
    content = _read(folder, CONFIG)
    kind = documents.decode(content, _Kind, folder / CONFIG, RunError).model_type
    if kind != KIND:
        raise RunError(f"{folder} holds a {kind!r} model; this reads {KIND!r}")
    about = documents.decode(content, _Config, folder / CONFIG, RunError)
    documents.check_seal(content, about.sha256, folder / CONFIG, RunError, required=about.weights_sha256 is not None)
    weights = _weights(folder, about.weights_sha256)
    try:
        config = from_json(about.network)
        with torch.device("meta"):  # which takes no memory, whatever the config asks for
            expected = build(config).state_dict()
    except (MicroscopeError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise RunError(f"{folder / CONFIG} describes no network: {reason(error)}") from None
    shapes = [{name: (t.dtype, t.shape) for name, t in found.items()} for found in (expected, weights)]
    for name in dict.fromkeys((*expected, *weights)):
        if shapes[0].get(name) != shapes[1].get(name):
            wanted, came = (
                "no such tensor" if one is None else f"{one[0]} {list(one[1])}" for one in (s.get(name) for s in shapes)
            )
            raise RunError(
                f"{folder / WEIGHTS} does not fit {CONFIG}: of {name!r} it holds {came}; the network has {wanted}"
            )
    model = build(config, about.seed)
    model.load_state_dict(weights)
    return model.eval()


class _Kind(Struct):
    model_type: documents.Text = ""


class _Config(Struct, forbid_unknown_fields=True):
    """The content of config.json as written by `to_hub`."""

    model_type: documents.Text
    architectures: list[documents.Text]
    seed: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    network: dict[str, Any]
    sha256: documents.Digest | None = None
    weights_sha256: documents.Digest | None = None


def _read(folder: Path, name: str) -> bytes:
    try:
        with files.opened(folder / name, below=folder) as file:
            return file.read()
    except OSError as error:
        linked = "; snapshot_download(…, local_dir=…) of huggingface_hub leaves files and no links"
        way = linked if (folder / name).is_symlink() else ""
        raise RunError(f"{folder} has no {name} that can be read: {reason(error)}{way}") from None


def _weights(folder: Path, digest: str | None) -> dict[str, torch.Tensor]:
    content = _read(folder, WEIGHTS)
    documents.header(content, folder / WEIGHTS, RunError)
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise RunError(
            f"{folder / WEIGHTS} is not what {CONFIG} says that it is; where you have changed it yourself, take sha256 and "
            f"weights_sha256 out of {CONFIG}"
        )
    return safetensors.torch.load(content)


def _card(run: Run, model: Network, step: int) -> str:
    data, train = run.description["data"], run.description["train"]
    at = run.steps.index(step)
    right, loss = float(run.log["test_accuracy"][at]), float(run.log["test_loss"][at])
    points = ", ".join(f"`{name}`" for name in model.hook_points)
    settings = "\n".join(f"| {name} | {value} |" for name, value in {**run.description["model"], **train}.items())
    shape = ", ".join(map(str, (model.config.image_channels, *model.config.image_shape)))
    return f"""---
library_name: {KIND}
tags:
- interpretability
- image-classification
datasets:
- {json.dumps(data["name"])}
metrics:
- accuracy
---
# A {type(model).__name__} trained on {data["name"]}

Recorded by {KIND} {__version__}. At step {step:,} of {run.description["total_steps"]:,}
test accuracy {100 * right:.2f}% (loss {loss:.4f} nats), one seed ({model.seed}). {data["note"]}

```python
import neural_microscope as nm

model = nm.interop.from_hub(".")
logits, cache = model.run_with_cache(images)   # float32 [example, {shape}] in 0..1
```

Hook points: {points}.

| setting | value |
|---|---|
{settings}

A network this small is made to be looked into, not to be used.
"""
