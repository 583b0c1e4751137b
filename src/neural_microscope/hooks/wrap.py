"""HookedModel's methods for any nn.Module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.fx
from torch import nn

from ..errors import HookError
from .model import HookedModel
from .point import HookPoint, Site, Tree, refuse_compiled


class HookedModule(HookedModel):
    """Any torch module with a hook point at the output of each of its submodules.

    ``<module path>.hook_out`` is that submodule's output; plain ``hook_out`` is the whole module's output. What the
    original code does between modules has no name here. The module itself is not copied and not changed.
    """

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            way = "; give the module that was exported" if type(module).__name__ == "ExportedProgram" else ""
            raise HookError(f"hooked() takes a torch module; got {type(module).__name__}{way}")
        refuse_compiled(module)
        _refuse_closed(module)
        super().__init__()
        self.module = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _root(self) -> nn.Module:
        return self.module

    def _find(self, tree: Tree) -> Iterator[Site]:
        for paths, again in ((tree.first, False), (tree.again, True)):
            for path, module in paths.items():
                name = f"{path}.hook_out" if path else "hook_out"
                yield Site(name, module, HookPoint(name), copy=True, again=again)


def _refuse_closed(module: nn.Module) -> None:
    """Raises for a module whose parts are not torch modules that run one by one and return tensors of numbers."""
    kinds = [base.__module__ for base in type(module).__mro__]
    if isinstance(module, torch.jit.ScriptModule):
        raise HookError(
            "a ScriptModule runs its parts where no hook sees them: hook the module that was scripted or traced"
        )
    if any(kind.split(".")[0] in ("keras", "tf_keras") for kind in kinds):
        raise HookError(
            "a Keras model's layers are no torch submodules, so none has a name here: build it as a torch module"
        )
    if isinstance(module, torch.fx.GraphModule):
        called = {node.target for node in module.graph.nodes if node.op == "call_module"}
        if called <= {"_guards_fn"} and next(module.children(), None) is not None:
            raise HookError("an exported graph calls none of its submodules: hook the module that was exported")
    for path, part in module.named_modules():
        kind = type(part).__module__.split(".")
        if (
            kind[0] == "torch"
            and "quantized" in kind
            and "dynamic" not in kind
            and not type(part).__name__.endswith("PackedParams")
        ):
            raise HookError(
                f"{path or 'the module'!r} is statically quantized ({type(part).__name__}): it returns packed integers, not activations. "
                "Hook the module before torch.ao.quantization.convert"
            )


def hooked(module: nn.Module) -> HookedModel:
    """``module`` with `run_with_cache`, `hooks` and the rest. A HookedModel is returned unchanged.

    ``<module path>.hook_out`` is a submodule's output; plain ``hook_out`` is the whole module's output. The module is
    not copied and not changed.

    Args:
        module: Any torch module that is not compiled, scripted, exported or statically quantized.

    Raises:
        HookError: Any other object.

    >>> lens = nm.hooked(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))
    >>> list(lens.hook_points)
    ['hook_out', '0.hook_out', '1.hook_out']
    """
    return module if isinstance(module, HookedModel) else HookedModule(module)


def bare(model: nn.Module) -> nn.Module:
    """The user's module, whose names weights and hook points have.

    Args:
        model: A module, perhaps inside `hooked`, DataParallel or the result of torch.compile.
    """
    while True:
        if isinstance(model, HookedModule | nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model
