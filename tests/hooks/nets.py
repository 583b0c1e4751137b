"""Plain modules, not written for hooks, and a census of everything that is attached to a module tree."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_microscope import HookPoint, MLPConfig
from neural_microscope.models import MLP

HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SMALL = MLPConfig(image_shape=(3, 3), classes=4, hidden=(6, 5))


def small_mlp(**settings: object) -> MLP:
    return MLP(MLPConfig(**{"image_shape": (3, 3), "classes": 4, "hidden": (6, 5), **settings}), seed=1)


def small_images(examples: int = 7, seed: int = 0) -> Tensor:
    return torch.rand(examples, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def census(*roots: nn.Module) -> dict[tuple[int, str, str], list[int]]:
    """Everything attached anywhere: (root, module path, kind) -> the ids of what is there, in order."""
    found = {}
    for number, root in enumerate(roots):
        for path, module in root.named_modules():
            for table in HOOK_TABLES:
                found[number, path, table] = [id(hook) for hook in getattr(module, table).values()]
            if isinstance(module, HookPoint):
                found[number, path, "attached"] = [id(run) for run in module.attached]
    return found


def size(counted: dict[tuple[int, str, str], list[int]]) -> int:
    return sum(map(len, counted.values()))


NAMES = ["input", *(f"layers.{i}.hook_{k}" for i in (0, 1) for k in ("pre", "post")), "logits"]


def by_hand(model: MLP, images: Tensor) -> dict[str, Tensor]:
    """Every hook point's tensor, written out in plain torch and kept in the graph."""
    first, second, last = model.layers[0].linear, model.layers[1].linear, model.output
    values = {"input": images.detach().clone().requires_grad_(True)}
    values[NAMES[1]] = values["input"].flatten(1) @ first.weight.T + first.bias
    values[NAMES[2]] = values[NAMES[1]].clamp(min=0)
    values[NAMES[3]] = values[NAMES[2]] @ second.weight.T + second.bias
    values[NAMES[4]] = values[NAMES[3]].clamp(min=0)
    values["logits"] = values[NAMES[4]] @ last.weight.T + last.bias
    return values


class InPlace(nn.Module):
    """dense -> ReLU -> dense, the ReLU in place or not."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(9, 6)
        self.act = nn.ReLU(inplace=inplace)
        self.last = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x.flatten(1))))


class Residual(nn.Module):
    """The block of a residual network: ``out += identity`` and a ReLU in place, or both out of place."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.inplace = inplace
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.down = nn.Conv2d(1, 3, 1)
        self.act = nn.ReLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        out, identity = self.norm(self.conv(x)), self.down(x)
        if self.inplace:
            out += identity
        else:
            out = out + identity
        return self.act(out)


class Twice(nn.Module):
    """One ReLU used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(9, 6), nn.Linear(6, 5), nn.Linear(5, 4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.relu(self.second(self.relu(self.first(x.flatten(1))))))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x + 1


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"value": x * 2}


class Odd(nn.Module):
    """Submodules that return a tuple and a dict, a nested one, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.pair, self.named = Pair(), Named()
        self.body = nn.Sequential(nn.Linear(9, 6), nn.Sequential(nn.Tanh(), nn.Linear(6, 5)))
        self.unused = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.pair(x.flatten(1))
        return self.body(self.named(left)["value"] + right)
