"""The same methods on a module that nobody wrote for it."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import HookError
from .model import HookedModel
from .point import HookPoint, Site, refuse_compiled


class HookedModule(HookedModel):
    """Any torch module with a hook point at the output of each of its submodules.

    ``<module path>.hook_out`` is what that submodule returned; plain ``hook_out`` is the whole module's output. What the
    original code does between modules has no name here. The module itself is not copied and not changed.
    """

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise HookError(f"hooked() takes a torch module; got {type(module).__name__}")
        refuse_compiled(module)
        super().__init__()
        self.module = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _root(self) -> nn.Module:
        return self.module

    def _sites(self) -> dict[str, Site]:
        if self._found is None:
            self._found = {}
            for path, module in self.module.named_modules():
                name = f"{path}.hook_out" if path else "hook_out"
                self._found[name] = Site(name, module, HookPoint(name), copy=True)
        return self._found


def hooked(module: nn.Module) -> HookedModel:
    """``module`` with `run_with_cache`, `hooks` and the rest. A HookedModel is returned as it is."""
    return module if isinstance(module, HookedModel) else HookedModule(module)
