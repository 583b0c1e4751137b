"""HookedModel's methods for any nn.Module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.fx
from torch import nn

from ..errors import HookError
from .model import HookedModel
from .order import checked
from .point import HookPoint, Site, Tree, refuse_compiled
from .select import select


class HookedModule(HookedModel):
    """Any torch module with a hook point at the output of each of its submodules.

    ``<module path>.hook_out`` is that submodule's output; plain ``hook_out`` is the whole module's output. Of a tuple, a
    dict or a dataclass each tensor is a part: ``lstm.hook_out.0``, ``hook_out.logits``. ``<module path>.hook_in``, read
    only by name, is the first tensor of its positional arguments, ``hook_in.1`` the second; ``<module path>.hook_pattern``,
    also read only by name, holds the attention weights [example, head, query, key] of an ``nn.MultiheadAttention``, or of a
    module that calls ``scaled_dot_product_attention``. What the original code does between modules has no name here. The
    module itself is not copied and not changed. A scripted submodule is no hook point.
    """

    def __init__(self, module: nn.Module, axes: Mapping[str, Sequence[str]] | None = None) -> None:
        if not isinstance(module, nn.Module):
            way = "; give the module that was exported" if type(module).__name__ == "ExportedProgram" else ""
            raise HookError(f"hooked() takes a torch module; got {type(module).__name__}{way}")
        refuse_compiled(module)
        _refuse_closed(module)
        super().__init__()
        self.module = module
        self.training = module.training
        self.axes = checked(axes or {})
        """Axes of hook points, as the caller named them."""
        for name in self.axes:
            select(self._sites(), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _root(self) -> nn.Module:
        return self.module

    def _find(self, tree: Tree) -> Iterator[Site]:
        found: dict[Any, tuple[str, ...]] = {}
        for paths, again in ((tree.first, False), (tree.again, True)):
            for path, module in paths.items():
                name = f"{path}.hook_out" if path else "hook_out"
                closed = isinstance(module, torch.jit.ScriptModule)
                yield Site(
                    name,
                    module,
                    HookPoint(name),
                    True,
                    closed=closed,
                    again=again,
                    stated=self.axes,
                    around=self.module,
                    found=found,
                )


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


def hooked(module: nn.Module, axes: Mapping[str, Sequence[str]] | None = None) -> HookedModel:
    """``module`` with `run_with_cache`, `hooks` and the rest. A HookedModel is returned unchanged.

    ``<module path>.hook_out`` is a submodule's output; plain ``hook_out`` is the whole module's output. The module is
    not copied and not changed.

    Args:
        module: Any torch module that is not compiled, scripted, exported or statically quantized.
        axes: Names of the axes by hook point, where they do not follow from the layers: for a map with its channels last
            ``("example", "row", "col", "channel")``, for a sequence with its tokens first ``("token", "example", "unit")``.
            Measures, named arrays and recordings of this model use them.

    Raises:
        HookError: Any other object; axes that name no examples, or with unknown words.
        UnknownName: Axes of no hook point.

    >>> lens = nm.hooked(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))
    >>> list(lens.hook_points)
    ['hook_out', '0.hook_out', '1.hook_out']
    """
    if axes is None:
        return module if isinstance(module, HookedModel) else HookedModule(module)
    if isinstance(module, HookedModel) and not isinstance(module, HookedModule):
        raise HookError(f"the axes of a {type(module).__name__} are known; leave axes out")
    return HookedModule(bare(module), {**stated(module), **checked(axes)})


def stated(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The axes that `hooked` was given, by hook point.

    Args:
        model: A module, perhaps inside `hooked`.
    """
    return model.axes if isinstance(model, HookedModule) else {}


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
