"""A network as an ONNX file whose outputs are the logits and every hook point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import files
from ..doors import door
from ..hooks import evaluation, hooked
from .needed import needed


class _Everything(nn.Module):
    """Output first, then every hook point that was asked for, as a plain function of the images."""

    def __init__(self, lens: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.lens, self.names = lens, list(names)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        kept: dict[str, Tensor] = {}

        def keep(tensor: Tensor, hook: Any) -> None:
            kept[hook.name] = tensor

        with self.lens.hooks([(name, keep) for name in self.names]):
            output = self.lens(images)
        return output, *(kept[name] for name in self.names)


@door
def to_onnx(
    model: nn.Module, path: str | Path, images: Tensor, *, hook_points: Sequence[str] | None = None, opset: int = 18
) -> list[str]:
    """Writes the network, in evaluation mode, as an ONNX file for any number of images; returns its outputs' names.

    Args:
        model: Any torch module.
        path: File to write; an existing one is replaced.
        images: Two or more examples of what it takes.
        hook_points: Outputs in addition to ``output``, the logits; None: all that the network reaches with a tensor.
            Those of a foreign module are the outputs of its submodules, as in `hooked`.
        opset: Version of ONNX's operators.

    Raises:
        MicroscopeError: onnx or onnxscript is not installed.
        UnknownName: There is no such hook point.
        FileError: The path can't be written; raised before anything is traced.

    >>> nm.interop.to_onnx(model, "model.onnx", images[:2])  # doctest: +SKIP
    ['output', 'input', 'layers.0.hook_pre', 'layers.0.hook_post', ...]
    """
    files.writable(path)
    onnx = needed("onnx", "onnx")
    needed("onnxscript", "onnxscript")
    lens: Any = hooked(model)
    with torch.no_grad(), evaluation(lens):
        if hook_points is None:
            hook_points = list(lens.run_with_cache(images)[1])
        names = ["output", *hook_points]
        program = torch.onnx.export(
            _Everything(lens, hook_points).eval(),
            (images,),
            input_names=["images"],
            output_names=names,
            dynamic_shapes={"images": {0: torch.export.Dim("example")}},
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    # Not program.save: where nnsight was imported, it puts a method of that name on every object.
    with files.whole(path) as partial:
        onnx.save(program.model_proto, str(partial))  # type: ignore[union-attr]
    return names
