"""Checks of each architecture of the corpus. The expected values come from plain torch hooks, written here."""

from __future__ import annotations

import copy
import dataclasses
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from architectures import CLASSES, Architecture, main, tensors
from torch import Tensor, nn
from torch.nn import functional

import neural_microscope as nm

COUNT = 23
"""Examples: no axis of any architecture has this length."""
TOLERANCE = 1e-5
STEPS = 4


@dataclass
class Row:
    """A line of the table. A step that was refused is empty, and its reason is in ``reasons``."""

    architecture: Architecture
    hook_points: int = 0
    activations: str = ""
    gradients: str = ""
    ablation: str = ""
    effects: str = ""
    recorded: str = ""
    reported: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    """The library's reason for each step that it refused."""
    left: list[str] = field(default_factory=list)
    """Hook points that are not recorded, with reasons."""

    def step(self, name: str, run: Callable[[], str]) -> None:
        """Runs a step; the library's own errors are refusals, anything else goes on."""
        try:
            setattr(self, name, run())
        except nm.errors.MicroscopeError as error:
            inner = re.search(r"can't use .* \((\w+: .*)\)$", str(error))
            raised = "" if name == "reported" else "the model raises "
            self.reasons[name] = raised + inner[1] if inner else str(error)


CHECKED_EXACTLY = ("activations", "gradients", "ablation", "effects", "recorded")


def looked_at(row: Row) -> Row:
    """The steps that take milliseconds."""
    row.step("activations", lambda: _activations(row))
    row.step("gradients", lambda: _gradients(row.architecture))
    row.step("ablation", lambda: _ablation(row.architecture))
    return row


def examined(architecture: Architecture, folder: Path) -> Row:
    """All steps on one architecture. A wrong value is an AssertionError."""
    row = looked_at(Row(architecture))
    row.step("effects", lambda: _effects(architecture))
    row.step("recorded", lambda: _recorded(architecture, folder, row))
    if row.recorded:
        row.step("reported", lambda: _reported(architecture, folder))
    else:
        row.reasons["reported"] = "there is no run"
    return row


def seen(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Values that torch's own forward hooks see at each module, by the name that it should have in a cache."""
    found: dict[str, list[Tensor]] = {}

    def note(name: str, output: Any) -> None:
        for path, part in tensors(output):
            found.setdefault(".".join([name, *path]), []).append(part.clone())

    with hooked(model, note), torch.no_grad():
        model(*copies(inputs))
    return numbered(found)


def copies(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.clone() for part in inputs)


def numbered(found: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """A module that runs several times has a name for each call."""
    several = {name for name, calls in found.items() if len(calls) > 1}
    return {
        f"{name}@{call}" if name in several else name: part
        for name, calls in found.items()
        for call, part in enumerate(calls)
    }


@contextmanager
def hooked(model: nn.Module, run: Callable[[str, Any], Any]) -> Iterator[None]:
    """Plain hooks on every module, as anyone would write them."""
    with ExitStack() as stack:
        for path, module in model.named_modules():
            name = f"{path}.hook_out" if path else "hook_out"
            handle = module.register_forward_hook(lambda module, given, out, name=name: run(name, out))
            stack.callback(handle.remove)
        yield


def equal(one: Tensor, other: Tensor) -> bool:
    """The same bits."""
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and one.numpy(force=True).tobytes() == other.numpy(force=True).tobytes()


# --- steps ---------------------------------------------------------------------------------------------------------------------------


def _activations(row: Row) -> str:
    """Every activation has the bits that plain hooks see, none is missing, none is more, and the caller's inputs are as they were."""
    model, inputs = row.architecture.made(COUNT)
    expected = seen(model, inputs)
    before, attached = copies(inputs), _attached(model)
    with torch.no_grad():
        output, cache = nm.hooked(model).run_with_cache(*inputs)
    row.hook_points = len(cache)
    assert all(map(equal, inputs, before)), "the inputs were changed"
    assert sorted(cache) == sorted(expected), set(cache) ^ set(expected)
    wrong = [name for name, part in expected.items() if not equal(cache[name], part)]
    assert not wrong, wrong
    ends = dict(tensors(output))
    assert all(equal(part, expected[".".join(["hook_out", *path])]) for path, part in ends.items())
    assert attached == _attached(model), "hooks are left"
    return "equal"


def _attached(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def _gradients(architecture: Architecture) -> str:
    """Gradients equal those of zeros that plain hooks add to each activation."""
    model, inputs = architecture.made(COUNT)
    _, cache = nm.hooked(model).run_with_cache(*inputs, incl_bwd=True, loss=_loss)
    found: dict[str, list[Tensor]] = {}

    def add(name: str, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        found.setdefault(name, []).append(torch.zeros_like(output, requires_grad=True))
        return output + found[name][-1]

    with hooked(model, add):
        loss = _loss(model(*copies(inputs)))
    zeros = numbered(found)
    gradients = dict(zip(zeros, torch.autograd.grad(loss, list(zeros.values()), allow_unused=True), strict=True))
    assert sorted(f"{name}_grad" for name in zeros) == sorted(name for name in cache if name.endswith("_grad"))
    for name, gradient in gradients.items():
        near(cache[f"{name}_grad"], torch.zeros_like(zeros[name]) if gradient is None else gradient, name)
    return "equal"


def _loss(output: Any) -> Tensor:
    return main(output).square().mean()


def near(one: Tensor, other: Tensor, name: str) -> None:
    torch.testing.assert_close(one, other, atol=TOLERANCE, rtol=TOLERANCE, msg=lambda text: f"{name}: {text}")


def _ablation(architecture: Architecture) -> str:
    """A unit set to 0 at two hook points changes the output as a plain hook does that sets it to 0."""
    model, inputs = architecture.made(COUNT)
    points = _two(model, inputs)
    for name, value in points.items():
        unit, zero = _zero(value)
        expected = _by_hand(model, inputs, name, unit)
        with torch.no_grad():
            found = nm.hooked(model).run_with_hooks(*inputs, fwd_hooks=[(name, zero)])
        for (path, one), (_, other) in zip(tensors(found), tensors(expected), strict=True):
            near(one, other, f"{name} {path}")
    return "equal"


def _two(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Two hook points, early and late, at which the unit that is set to 0 changes the output."""
    values, found = seen(model, inputs), {}
    base = [part for _, part in tensors(_plain(model, inputs))]
    names = [
        name
        for name, value in values.items()
        if name.split(".")[0].split("@")[0] != "hook_out" and value.ndim > 1 and value.is_floating_point()
    ]
    for place in (0, len(names) // 2):
        for name in names[place:]:
            after = _by_hand(model, inputs, name, _zero(values[name])[0])
            moved = max((part - was).abs().max() for (_, part), was in zip(tensors(after), base, strict=True))
            if moved > 10 * TOLERANCE and name not in found:
                found[name] = values[name]
                break
    assert len(found) == 2, f"ablation has an effect at {list(found)} only"
    return found


def _plain(model: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    with torch.no_grad():
        return model(*copies(inputs))


def _zero(value: Tensor) -> tuple[int, Any]:
    """The most active unit of [example, unit], else the most active place of the last axis, and the intervention on it."""
    axes = tuple(range(value.ndim - 1))
    unit = int(value.abs().mean(axes).argmax())
    if value.ndim == 2:
        return unit, nm.interventions.zero(unit=unit)
    mask = torch.zeros(value.shape[1:], dtype=torch.bool)
    mask[..., unit] = True
    return unit, nm.interventions.zero(mask=mask)


def _by_hand(model: nn.Module, inputs: tuple[Tensor, ...], name: str, unit: int, axis: int = -1) -> Any:
    """The output of a pass in which a plain hook sets a unit to 0."""
    name, _, number = name.partition("@")
    where, _, part = (name + ".").partition("hook_out.")
    path, calls = tuple(filter(None, part.split("."))), 0

    def cut(module: nn.Module, given: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        return _cut(output, path, unit, axis) if not number or calls - 1 == int(number) else None

    handle = model.get_submodule(where.removesuffix(".")).register_forward_hook(cut)
    try:
        return _plain(model, inputs)
    finally:
        handle.remove()


def _cut(output: Any, path: tuple[str, ...], unit: int, axis: int) -> Any:
    if not path:
        changed = output.clone()
        changed.select(axis, unit).zero_()
        return changed
    if isinstance(output, dict):
        changed = copy.copy(output)
        changed[path[0]] = _cut(output[path[0]], path[1:], unit, axis)
        return changed
    if isinstance(output, tuple | list):
        names = list(getattr(output, "_fields", map(str, range(len(output)))))
        new = [
            _cut(part, path[1:], unit, axis) if name == path[0] else part
            for name, part in zip(names, output, strict=True)
        ]
        return type(output)(*new) if hasattr(output, "_fields") else type(output)(new)
    return dataclasses.replace(output, **{path[0]: _cut(getattr(output, path[0]), path[1:], unit, axis)})


def labels_of(count: int) -> Tensor:
    return torch.arange(count) % CLASSES


def _logits(output: Any) -> bool:
    return main(output).ndim == 2 and main(output).shape[1] >= CLASSES and not isinstance(output, tuple)


class Logits(nn.Module):
    """Of a model that gives a dict, a tuple or a dataclass, the logits; and tokens stay integers."""

    def __init__(self, model: nn.Module, like: Tensor) -> None:
        super().__init__()
        self.model, self.dtype = model, like.dtype

    def forward(self, x: Tensor) -> Tensor:
        return main(self.model(x.to(self.dtype)))


def _effects(architecture: Architecture) -> str:
    """Each unit's effect on each example's loss is that of a plain hook."""
    inner, inputs = architecture.made(COUNT)
    single = len(inputs) == 1  # of several inputs the library would have to be given the others: the model refuses
    model, labels = Logits(inner, inputs[0]).eval() if single else inner, labels_of(COUNT)
    values, path = seen(inner, inputs), "model." if single else ""
    rows = [name for name, value in values.items() if len(value) == COUNT and value.ndim in (2, 4)]
    name = next((name for name in (*_two(inner, inputs), *rows) if name in rows), next(iter(values)))
    data = nm.data.examples(inputs[0], labels, CLASSES)
    effects = nm.analysis.causal.ablate_all(model, data, path + name, draws=1)["loss_change"]
    base, axis = _cross_entropy(_plain(model, inputs), labels), _axis(inner, name, values[name])
    for unit in range(len(effects)):
        after = _cross_entropy(_by_hand(model, inputs, path + name, unit, axis), labels)
        near(torch.from_numpy(effects[unit].values).float(), after - base, f"{name} {unit}")
    return f"{len(effects)} {effects.dims[0]}s"


LAST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)
FIRST = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.MaxPool2d)


def _axis(model: nn.Module, name: str, value: Tensor) -> int:
    """The axis of the units or channels: the last, except of maps, unless the layer mixes that one."""
    module = model.get_submodule(re.split(r"\.?hook_out", name)[0])
    last = type(module) in LAST and (value.ndim == 3 or not isinstance(module, nn.MultiheadAttention))
    return 1 if isinstance(module, FIRST) or (value.ndim == 4 and not last) else -1


def _cross_entropy(output: Any, labels: Tensor) -> Tensor:
    return functional.cross_entropy(main(output), labels, reduction="none")


def _recorded(architecture: Architecture, folder: Path, row: Row) -> str:
    """A loop's run has the activations of the final weights, and gives the weights back."""
    model, inputs = _trained(architecture, folder)
    run = nm.Run.open(folder)
    assert run.verify() == []
    assert run.steps == [0, 2, 4]
    expected = seen(model, (run.probe.tensor(), *inputs[1:]))
    for name in run.hook_points:
        _same(run.activations(name)[-1], expected[name], name, model)
    left = run.description.get("left_out", {})
    assert {*run.hook_points, *left} >= set(expected)
    back = run.model(into=architecture.made(COUNT)[0])
    ends = (tensors(_plain(one, inputs)) for one in (back, model))
    assert all(equal(one, other) for (_, one), (_, other) in zip(*ends, strict=True))
    row.left = _summary(left)
    return f"{len(run.hook_points)} of {len(expected)}"


def _trained(
    architecture: Architecture, folder: Path, only: tuple[str, ...] = ()
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network and its inputs after a few recorded steps, in evaluation mode."""
    model, inputs = architecture.made(COUNT)
    probe, labels = inputs[0], labels_of(COUNT)
    task = None if _logits(_plain(model, inputs)) else (lambda trained: {"loss": float(_loss(trained(probe.clone())))})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    config = nm.RecordConfig(every=2, per_octave=0, hook_points=only)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with nm.record(
            folder, model, probe=probe, labels=labels, steps=STEPS, evaluate=task, config=config
        ) as recorder:
            for _ in range(STEPS):
                output = model.train()(*copies(inputs))
                loss = functional.cross_entropy(main(output), labels) if task is None else _loss(output)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                recorder.step(loss=loss, optimizer=optimizer)
    return model.eval(), inputs


def _same(found: Any, expected: Tensor, name: str, model: nn.Module) -> None:
    """Checks one hook point of a log: its values, or each unit's mean over rows and columns, or over tokens."""
    values, axis = torch.from_numpy(found.values), _axis(model, name, expected)
    if len(expected) != COUNT and expected.shape[1] == COUNT:
        expected = expected.transpose(0, 1)
    if values.ndim == 2 < expected.ndim:
        means = [expected.double().movedim(one, 1).flatten(2).mean(2) for one in (axis, 1, -1)]
        known = type(model.get_submodule(re.split(r"\.?hook_out", name)[0])) in (*FIRST, *LAST)
        same = [one for one in means if one.shape == values.shape and torch.allclose(one, values.double(), TOLERANCE)]
        expected = means[0] if known or not same else same[0]  # of an unknown layer, either order
    near(values.to(expected.dtype), expected, name)


def _summary(left: dict[str, str]) -> list[str]:
    """The hook points not recorded: one of each kind of reason, and how many there are."""
    kinds: dict[str, list[str]] = {}
    for name, reason in left.items():
        kinds.setdefault(re.sub(r"\[[\d, ]+\]|\d+", "", reason), []).append(f"`{name}` {reason}")
    return [same[0] + (f" (and {len(same) - 1} like it)" if same[1:] else "") for same in kinds.values()]


def _reported(architecture: Architecture, folder: Path) -> str:
    """The report of a run of two hook points: its claims. More hook points take a second each."""
    recorded = nm.Run.open(folder).hook_points
    names = [name for name in _two(*architecture.made(COUNT)) if name in recorded] or recorded[:1]
    short, page = folder.with_name(f"{folder.name}-short"), folder.with_suffix(".html")
    _trained(architecture, short, tuple(names))
    nm.report.write([nm.Run.open(short)], page)
    claims = set(re.findall(r'data-claim="([^"]+)"', page.read_text("utf-8")))
    assert claims
    return f"{len(claims)} claims"
