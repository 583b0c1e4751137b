"""The training loop. It tells observers what happens; it writes no file and draws nothing."""

from __future__ import annotations

import math
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .config import ConfigError, NetworkConfig, TrainConfig
from .data import Dataset, ImageSet, batches
from .errors import DataError
from .hooks import HookedModel, evaluation
from .models import build

Sampler = Callable[[int], Iterable[Tensor]]
"""The batches of an epoch: sampler(epoch) gives int64 indices into the training images, as many batches in every epoch."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network does on a set of images."""

    loss: float
    accuracy: float
    accuracy_by_class: np.ndarray  # [class], NaN for a class without images
    logits: Tensor  # [example, class]

    @property
    def predictions(self) -> Tensor:
        """The class of the highest logit, [example]."""
        return self.logits.argmax(1)


@dataclass(eq=False)
class History:
    """What `train` returns: the scalars of every step, in the order of steps 1, 2, …, and how it ended."""

    status: str
    """``finished``, or ``diverged at step k``."""
    step: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    learning_rate: np.ndarray
    test: Evaluation
    seconds: float


class Observer:
    """Told what happens while training. Each method does nothing unless a subclass says otherwise."""

    def started(self, training: Training) -> None:
        """Before the first step (or the first after a resume)."""

    def before_update(self, training: Training) -> None:
        """The gradients of a step are there; the weights have not changed yet."""

    def stepped(self, training: Training) -> None:
        """The weights have changed; ``training.step`` counts this step."""

    def stopped(self, training: Training, status: str) -> None:
        """The end, whatever its reason: ``finished``, ``diverged at step k``, ``interrupted at step k``, ``failed at step k: …``."""


@dataclass(eq=False)
class Training:
    """A training under way, as observers see it."""

    model: nn.Module
    data: Dataset
    config: TrainConfig
    optimizer: torch.optim.Optimizer
    steps_per_epoch: int
    custom_sampler: bool
    step: int = 0
    """Optimiser steps done."""
    rows: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "accuracy": [], "learning_rate": []})
    """Scalars of the steps done since training started or was resumed."""
    first_row: int = 0
    """Steps that were done before ``rows`` begins."""

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    @property
    def epoch(self) -> float:
        return self.step / self.steps_per_epoch

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on beside the weights: the optimiser's tensors and the random generators."""
        tensors = {"rng.cpu": torch.get_rng_state()}
        if torch.device(self.config.device).type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.config.device)
        for index, slots in self.optimizer.state_dict()["state"].items():
            for key, value in slots.items():
                if value is not None:  # SGD without momentum keeps an empty slot
                    tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).detach()
        return tensors

    def restore(self, step: int, state: dict[str, Tensor]) -> None:
        """Goes on from a `state` taken after ``step`` steps; the weights are the caller's to load."""
        self.step = self.first_row = step
        slots: dict[int, dict[str, Tensor]] = {}
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                like = parameters[int(index)]
                # Fused optimisers walk through memory: a moment must lie there in the order its parameter does.
                fits = tensor.shape == like.shape
                slots.setdefault(int(index), {})[key] = torch.empty_like(like).copy_(tensor) if fits else tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        torch.set_rng_state(state["rng.cpu"])
        if "rng.cuda" in state:
            torch.cuda.set_rng_state(state["rng.cuda"], self.config.device)


def train(
    model: nn.Module,
    data: Dataset,
    config: TrainConfig | None = None,
    *,
    observers: Sequence[Observer] = (),
    sampler: Sampler | None = None,
    resume_from: tuple[int, dict[str, Tensor]] | None = None,
) -> History:
    """Trains ``model`` in place on ``data.train`` with cross-entropy, and evaluates it on ``data.test`` at the end.

    ``sampler(epoch)`` gives the index batches of an epoch; by default a shuffle that depends on the config's seed and the epoch only.
    ``resume_from``: (steps done, `Training.state` at that point). A loss that is not finite stops the training with a warning and the
    status ``diverged at step k``. The same model, data, config and thread count give the same bits on a CPU.
    """
    config = config or TrainConfig()
    _check(model, data)
    with _environment(config):
        model.to(config.device)
        source = _epochs(data, config, sampler)
        training = Training(model, data, config, _optimizer(model, config), source.steps_per_epoch, sampler is not None)
        if resume_from is not None:
            training.restore(*resume_from)
        began = time.perf_counter()
        status = _run(training, source, list(observers))
        seconds = time.perf_counter() - began
        if status != "finished":
            warnings.warn(f"training {status}: the loss is not finite. A lower learning rate often helps", stacklevel=2)
        test = evaluate(model, data.test)
    rows = {name: np.asarray(values, np.float64) for name, values in training.rows.items()}
    steps = np.arange(training.first_row + 1, training.first_row + 1 + len(rows["loss"]))
    return History(status=status, step=steps, **rows, test=test, seconds=seconds)


def train_population(
    config: NetworkConfig,
    data: Dataset,
    train_config: TrainConfig | None = None,
    *,
    seeds: Iterable[int],
    observers: Callable[[int], Sequence[Observer]] | None = None,
) -> dict[int, tuple[nn.Module, History]]:
    """Trains one network for each seed, which sets both its initial weights and its order of batches.

    ``observers(seed)`` gives that network's observers, for example ``lambda seed: [nm.Recorder(f"runs/mlp-{seed}")]``.
    """
    seeds = list(seeds)
    if len(set(seeds)) != len(seeds):
        raise DataError(f"seeds repeat: {seeds}; each network of a population has its own")
    population: dict[int, tuple[nn.Module, History]] = {}
    for seed in seeds:
        model = build(config, seed)
        own = replace(train_config or TrainConfig(), seed=seed)
        population[seed] = (model, train(model, data, own, observers=observers(seed) if observers else ()))
    return population


def evaluate(model: nn.Module, images: ImageSet, *, batch_size: int = 250) -> Evaluation:
    """Mean cross-entropy, accuracy, accuracy of each class and logits, in evaluation mode without gradients.

    An image whose logits hold a NaN counts as wrong.
    """
    return score(model, images.tensor(), images.label_tensor(), images.classes, batch_size)


def score(model: nn.Module, images: Tensor, labels: Tensor, classes: int, batch_size: int = 250) -> Evaluation:
    """`evaluate` for images that are tensors already: float [example, 1, row, col], with their labels [example]."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.no_grad(), evaluation(model):
        logits = torch.cat([_logits(model, part.to(device)).cpu() for part in images.split(batch_size)])
    loss = nn.functional.cross_entropy(logits, labels)
    right = _right(logits, labels).double()
    counts = torch.bincount(labels, minlength=classes).double()
    by_class = torch.bincount(labels, weights=right, minlength=classes) / counts
    return Evaluation(float(loss), float(right.mean()), by_class.numpy(), logits)


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    given = model(images)
    if not isinstance(given, Tensor) or given.ndim != 2:
        what = f"a tensor of shape {list(given.shape)}" if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise DataError(
            f"{type(model).__name__} gave {what}; a module that is trained or scored here gives logits [example, class]: wrap it "
            "in one that does"
        )
    return given


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which examples are classified rightly, [example]. To argmax a NaN is the highest logit: it would be a prediction."""
    return (logits.argmax(1) == labels) & ~logits.isnan().any(1)


def _run(training: Training, source: _epochs, observers: list[Observer]) -> str:
    """The loop and its ends. Observers hear of the end exactly once, whatever it was."""
    status = "finished"
    try:
        for observer in observers:
            observer.started(training)
        status = _steps(training, source, observers)
    except BaseException as error:
        at = f"at step {training.step}"
        interrupted = isinstance(error, KeyboardInterrupt)
        what = textwrap.shorten(
            f"{type(error).__name__}: {error}", 200, placeholder=" …"
        )  # one line, also of a long error
        reason = f"interrupted {at}" if interrupted else f"failed {at}: {what}"
        _tell_end(training, observers, reason)
        raise
    _tell_end(training, observers, status)
    return status


def _tell_end(training: Training, observers: list[Observer], status: str) -> None:
    with ExitStack() as stack:  # each is told, also after one that raises
        for observer in reversed(observers):
            stack.callback(observer.stopped, training, status)


def _steps(training: Training, source: _epochs, observers: list[Observer]) -> str:
    model, optimizer, rows = training.model, training.optimizer, training.rows
    model.train()
    for images, labels in source.after(training.step):
        rate = learning_rate(training.config, training.step, training.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = _logits(model, images)
        loss = nn.functional.cross_entropy(logits, labels)
        rows["loss"].append(loss.item())
        rows["accuracy"].append(_right(logits.detach(), labels).sum().item() / len(labels))
        rows["learning_rate"].append(rate)
        if not math.isfinite(rows["loss"][-1]):
            return f"diverged at step {training.step + 1}"
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for observer in observers:
            observer.before_update(training)
        optimizer.step()
        training.step += 1
        for observer in observers:
            observer.stepped(training)
    return "finished"


def learning_rate(config: TrainConfig, step: int, total_steps: int) -> float:
    """The rate of the step after ``step`` steps: a pure function, so that a resumed run has it too."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    if config.schedule == "step":
        return config.learning_rate * (1.0 if share < 0.5 else 0.1 if share < 0.75 else 0.01)
    return config.learning_rate


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    common: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":  # not fused: that rounds otherwise than plain torch, and published runs are plain
        return torch.optim.SGD(parameters, momentum=config.momentum, **common)
    return (torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW)(parameters, fused=True, **common)


class _epochs:
    """The training images as batches of tensors, gathered into buffers that are used again."""

    def __init__(self, data: Dataset, config: TrainConfig, sampler: Sampler | None) -> None:
        size = len(data.train)
        self.sampler: Sampler = sampler or (
            lambda epoch: batches(size, config.batch_size, seed=config.seed, epoch=epoch)
        )
        self.epochs = config.epochs
        self.images = data.train.tensor().to(config.device)
        self.labels = noisy_labels(data.train, config).to(config.device)
        self.buffer = torch.empty(0, device=config.device)
        # A sampler may draw from a generator as it goes, so epoch 0 is asked for once and kept.
        self.first = [] if sampler is None else self._checked(0)
        self.steps_per_epoch = -(-size // config.batch_size) if sampler is None else len(self.first)
        if not self.steps_per_epoch:
            raise DataError("the sampler gave no batches in epoch 0; it gives index tensors into the training images")

    def after(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every batch from the one after ``step`` on."""
        for epoch in range(step // self.steps_per_epoch, self.epochs):
            order = self._order(epoch)
            start = step - epoch * self.steps_per_epoch if epoch == step // self.steps_per_epoch else 0
            for indices in order[start:]:
                yield self._gather(indices.to(self.images.device))

    def _order(self, epoch: int) -> list[Tensor]:
        if not self.first:
            return list(self.sampler(epoch))
        order = self._checked(epoch) if epoch else self.first
        if len(order) != self.steps_per_epoch:
            raise DataError(
                f"the sampler gave {len(order)} batches in epoch {epoch}, {self.steps_per_epoch} in epoch 0; each has as many"
            )
        return order

    def _checked(self, epoch: int) -> list[Tensor]:
        """The batches of someone else's sampler."""
        order = [torch.as_tensor(indices) for indices in self.sampler(epoch)]
        for indices in order:
            if indices.ndim != 1 or not len(indices) or indices.dtype not in (torch.int64, torch.int32):
                came = f"{str(indices.dtype).removeprefix('torch.')} {list(indices.shape)}"
                raise DataError(f"a batch of the sampler is {came}; it is int64 [example], with at least one example")
            outside = indices[(indices < 0) | (indices >= len(self.images))]
            if len(outside):
                raise DataError(
                    f"the sampler gave index {int(outside[0])}; training images are 0..{len(self.images) - 1}"
                )
        return order

    def _gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        # A fresh images[indices] costs several times as much: its pages are new to the machine each time.
        shape = (len(indices), *self.images.shape[1:])
        if len(self.buffer) < len(indices):
            self.buffer = torch.empty(shape, dtype=self.images.dtype, device=self.images.device)
        images = torch.index_select(self.images, 0, indices, out=self.buffer[: len(indices)])
        return images, self.labels[indices]


def noisy_labels(images: ImageSet, config: TrainConfig) -> Tensor:
    """The labels trained on: a share of them drawn anew, uniformly from all classes (so some stay right by chance)."""
    # Of its own: with the seed's main stream, which images get a new label would depend on the initial weights.
    generator = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0, 0)))
    replaced = generator.random(len(images)) < config.label_noise
    drawn = generator.integers(images.classes, size=len(images))
    return torch.from_numpy(np.where(replaced, drawn, images.labels))


def _check(model: nn.Module, data: Dataset) -> None:
    expected = getattr(getattr(model, "config", None), "classes", None) if isinstance(model, HookedModel) else None
    if expected is not None and expected != data.classes:
        raise DataError(
            f"the model tells {expected} classes apart; {data.name} has {data.classes}. Set classes={data.classes}"
        )
    shape = getattr(getattr(model, "config", None), "image_shape", None)
    if shape is not None and tuple(shape) != tuple(data.image_shape):
        raise DataError(
            f"the model takes images of {shape}; {data.name} has {data.image_shape}. Set image_shape={data.image_shape}"
        )


@contextmanager
def _environment(config: TrainConfig) -> Iterator[None]:
    """The config's thread count and seed inside; the caller's threads and random state untouched outside."""
    kind = torch.device(config.device).type
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {config.device!r}, but PyTorch sees no such GPU here; use device='cpu'")
    threads, cpu = torch.get_num_threads(), torch.get_rng_state()
    gpu = torch.cuda.get_rng_state(config.device) if kind == "cuda" else None
    torch.set_num_threads(config.threads)
    (torch.default_generator if kind == "cpu" else torch).manual_seed(config.seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, config.device)
