"""A network in the folder form of the Hugging Face hub: config.json, model.safetensors and a model card."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch

from .. import __version__, files
from ..config import from_json, to_json
from ..errors import RunError
from ..models import Network, build
from ..run import Run

KIND = "neural-microscope"


def to_hub(run: Run, folder: str | Path, *, step: int | None = None) -> Path:
    """Writes the network of a run, as it was at ``step`` (default: the last), with a card that says how it came to be.

    The folder must be new or empty. It can be uploaded as it is; nothing is uploaded here. Errors: RunError for a run of a
    foreign module, which has no config to build it from, and for a folder that holds something; FileError where nothing can be written.
    """
    folder = files.writable(Path(folder) / "config.json").parent
    model = run.model(step)
    if not isinstance(model, Network):
        raise RunError(f"{run.folder}: only networks that were built from a config go into a folder of this form")
    if any(folder.iterdir()):
        raise RunError(f"{folder} is not empty; a model is not written over another")
    about = {
        "model_type": KIND,
        "architectures": [type(model).__name__],
        "seed": model.seed,
        "network": to_json(model.config),
    }
    (folder / "config.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "README.md").write_text(_card(run, model, run.steps[-1] if step is None else step), "utf-8")
    return folder


def from_hub(folder: str | Path) -> Network:
    """The network of such a folder, in evaluation mode. Errors: RunError for a folder of another form."""
    folder = Path(folder)
    try:
        about = json.loads(files.read(folder / "config.json"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder} has no config.json that can be read: {error}") from None
    if about.get("model_type") != KIND:
        raise RunError(f"{folder} holds a {about.get('model_type')!r} model; this reads {KIND!r}")
    model = build(from_json(about["network"]), about["seed"])
    model.load_state_dict(safetensors.torch.load(files.read(folder / "model.safetensors")))
    return model.eval()


def _card(run: Run, model: Network, step: int) -> str:
    data, train = run.description["data"], run.description["train"]
    at = run.steps.index(step)
    right, loss = float(run.log["test_accuracy"][at]), float(run.log["test_loss"][at])
    points = ", ".join(f"`{name}`" for name in model.hook_points)
    settings = "\n".join(f"| {name} | {value} |" for name, value in {**run.description["model"], **train}.items())
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
it reads {100 * right:.2f} % of the test images rightly (loss {loss:.4f} nat), one seed ({model.seed}). {data["note"]}

```python
import neural_microscope as nm

model = nm.interop.from_hub(".")
logits, cache = model.run_with_cache(images)   # float32 [example, 1, {model.config.image_shape[0]}, {model.config.image_shape[1]}] in 0..1
```

Hook points: {points}.

| setting | value |
|---|---|
{settings}

A network this small is made to be looked into, not to be used.
"""
