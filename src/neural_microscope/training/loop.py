"""The training loop. It tells observers what happens; it writes no file and draws nothing."""

from __future__ import annotations

import math
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from .. import devices
from ..config import LoopConfig, TrainConfig
from ..data import Dataset, ImageSet, Task
from ..doors import door
from ..errors import DataError
from ..hooks import HookedModel
from .epochs import Epochs, Sampler
from .objective import CROSS_ENTROPY, Loss, Objective
from .scores import Evaluation, evaluated, in_log, right, score
from .streamed import Batch, Batches, HeldOut
from .traps import FEW, traps


@dataclass(eq=False)
class History:
    """The result of `train`: the scalars of every step, in the order of steps 1, 2, …, and its status."""

    status: str
    """``finished``, ``diverged at step k`` or ``stopped early at step k: …``."""
    step: np.ndarray
    """Steps, from 1, [step]."""
    loss: np.ndarray
    """Mean cross-entropy of each step's batch before the update, in nats, or another task's loss, [step]."""
    accuracy: np.ndarray
    """Share of each step's batch classified correctly, 0..1, [step]; NaN of another task."""
    learning_rate: np.ndarray
    """Learning rate of each step, [step]."""
    test: Evaluation
    """Scores on the test images at the end."""
    seconds: float
    """Duration in seconds."""


class Observer:
    """Callbacks of training. Each method does nothing by default.

    >>> from neural_microscope.training import Observer
    >>> class Losses(Observer):
    ...     def stepped(self, training):
    ...         print(training.step, training.rows["loss"][-1])
    """

    def started(self, training: Training) -> None:
        """Called once before the first update (or the first after a resume).

        Args:
            training: The training run in progress.
        """

    def before_update(self, training: Training) -> None:
        """Called when a step's gradients are computed, before the weights change.

        Args:
            training: The training run in progress.
        """

    def stepped(self, training: Training) -> None:
        """Called after the weights have changed; ``training.step`` counts this step.

        Args:
            training: The training run in progress.
        """

    def claim(self) -> Path | None:
        """The folder that it will write, tested now, or an error; None if it writes none.

        Called on all before the first of several networks is trained.
        """
        return None

    def stopped(self, training: Training, status: str) -> None:
        """Called at the end.

        Args:
            training: The training run in progress.
            status: ``finished``, ``diverged at step k``, ``stopped early at step k: …``, ``interrupted at step k`` or
                ``failed at step k: …``.
        """


class Telling(Observer):
    """An observer that reports progress every 20 steps, and at the end.

    Args:
        name: Name of the network in the reports.
        tell: Function of name, steps done, total steps, and epoch and loss in words.
    """

    @door
    def __init__(self, name: str, tell: Callable[[str, int, int, str], None]) -> None:
        self.name, self.tell = name, tell

    def stepped(self, training: Training) -> None:
        if training.step % 20 == 0 or training.step == training.total_steps:
            state = f"epoch {training.epoch:4.1f}  loss {training.rows['loss'][-1]:.3f}"
            self.tell(self.name, training.step, training.total_steps, state)


class InProgress(Protocol):
    """The part of a training in progress that a recorder uses: of `train`, or of a training loop of the caller's own."""

    model: nn.Module
    step: int
    rows: dict[str, list[float]]
    objective: Objective
    custom_sampler: bool
    place: tuple[int, int] | None

    @property
    def data(self) -> Dataset | HeldOut: ...
    @property
    def config(self) -> TrainConfig | LoopConfig: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def total_steps(self) -> int: ...
    @property
    def most(self) -> int | None: ...
    @property
    def planned(self) -> bool: ...
    @property
    def resumable(self) -> bool: ...
    def scores(self, images: Tensor, targets: Tensor | None) -> dict[str, Any]: ...
    def state(self) -> dict[str, Tensor]: ...


@dataclass(eq=False)
class Training:
    """A training run in progress, as observers see it."""

    model: nn.Module
    """The network that is trained."""
    data: Dataset | HeldOut
    """Training and test images; where the caller makes the batches, test examples."""
    config: TrainConfig
    """Settings of training."""
    optimizer: torch.optim.Optimizer
    """The optimizer, with its state."""
    steps_per_epoch: int
    """Optimizer steps in an epoch."""
    custom_sampler: bool
    """True if the caller gave a sampler."""
    step: int = 0
    """Optimizer steps done."""
    rows: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "accuracy": [], "learning_rate": []})
    """Scalars of the steps since training started or was resumed."""
    first_row: int = 0
    """Steps done before the start of ``rows``."""
    place: tuple[int, int] | None = None
    """(its number, of how many) among networks that are trained together: the last bits of its numbers depend on it."""
    most: ClassVar[int | None] = None
    """The most snapshots of a loop whose length is unknown; None: a schedule."""
    planned: ClassVar[bool] = True
    """True if the number of steps is known."""
    objective: Objective = CROSS_ENTROPY
    """The loss."""
    resumable: bool = True
    """True if `state` is all that the next step needs: not where the caller makes the batches."""
    early: str = ""
    """The status of a training that an observer has stopped; see `stop`."""

    def stop(self, reason: str = "") -> None:
        """Ends the training after this step, with the status ``stopped early at step k: …``. Called by an observer.

        A run can be continued from its last snapshot by `nm.resume`. Each epoch's end is one by default, so that a stop
        there loses nothing.

        Args:
            reason: A few words.

        >>> class Enough(nm.training.Observer):
        ...     def stepped(self, training):
        ...         if training.step == 5:
        ...             training.stop("five steps are enough")
        >>> mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
        >>> nm.train(mlp, digits, observers=[Enough()]).status
        'stopped early at step 5: five steps are enough'
        """
        self.early = early_at(self.step, reason)

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole training."""
        return self.steps_per_epoch * self.config.epochs

    @property
    def epoch(self) -> float:
        """Passes over the training images done, with their fraction."""
        return self.step / self.steps_per_epoch

    def scores(self, images: Tensor, targets: Tensor | None) -> dict[str, Any]:
        """Loss and accuracy on the test images, by their names in the log.

        Args:
            images: The test images as the model takes them.
            targets: Class of each, or what else the loss takes.
        """
        test = score(self.model, images, targets, self.data.classes or None, None, self.objective)
        return in_log(test.loss, test.accuracy, test.accuracy_by_class)

    def evaluate(self) -> Evaluation:
        """Scores on the test examples now, by the loss that is minimized."""
        return evaluated(self.model, self.data.test, self.objective)

    def state(self) -> dict[str, Tensor]:
        """The state for the next step in addition to the weights: the optimizer's tensors and the random generators."""
        tensors = {"rng.cpu": torch.get_rng_state()}
        if torch.device(self.config.device).type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.config.device)
        for index, slots in self.optimizer.state_dict()["state"].items():
            for key, value in slots.items():
                if value is not None:  # SGD without momentum keeps an empty slot
                    tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).detach()
        return tensors

    def restore(self, step: int, state: dict[str, Tensor]) -> None:
        """Continues from a `state` taken after ``step`` steps; the caller loads the weights.

        Args:
            step: Optimizer steps done.
            state: The state for the next step, see `Training.state`.
        """
        self.step = self.first_row = step
        slots: dict[int, dict[str, Tensor]] = {}
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                like = parameters[int(index)]
                # Fused optimizers index raw memory: Adam's moments must have their parameter's memory layout.
                fits = tensor.shape == like.shape
                slots.setdefault(int(index), {})[key] = torch.empty_like(like).copy_(tensor) if fits else tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        set_random_state(state, self.config)


def set_random_state(state: dict[str, Tensor], config: TrainConfig) -> None:
    """The random generators at the time of a `Training.state`."""
    torch.set_rng_state(state["rng.cpu"])
    if "rng.cuda" in state:
        torch.cuda.set_rng_state(state["rng.cuda"], config.device)


@door
def train(
    model: nn.Module,
    data: Dataset | Iterable[Batch],
    config: TrainConfig | None = None,
    *,
    test: ImageSet | None = None,
    task: Task | None = None,
    loss: Loss | None = None,
    observers: Sequence[Observer] = (),
    sampler: Sampler | None = None,
    resume_from: tuple[int, dict[str, Tensor]] | None = None,
) -> History:
    """Trains ``model`` in place, evaluates it at the end, and returns the history.

    The loss is that of the task, or one of your own: cross-entropy of logits and labels for a ``classification``, mean
    squared error for a ``regression`` or a ``reconstruction`` (of the inputs), binary cross-entropy of logits for a
    ``multi-label`` task. Outputs and targets of the last three must hold as many numbers; nothing is broadcast.

    The same model, data, config and thread count give the same bits on a CPU. A loss that is not finite stops the
    training with a warning and the status ``diverged at step k``. A foreign module whose outputs are probabilities, or
    in evaluation mode random or mixed over the batch, is warned of once.

    A DataLoader, or another iterable of batches (inputs, targets), is iterated once an epoch. Its order is its own: this
    package does not know the state of its sampler and its workers, so a run that was trained on it can't be resumed, and
    `nm.resume` refuses it. For exact resume give a `Dataset`, or record your own loop with ``nm.record(…, state=…)``.

    Args:
        model: Network that gives logits [example, class], or what the loss takes; it is left in training mode.
        data: Training and test images; or batches (inputs, targets) with a length: a DataLoader, a list.
        config: Settings of training; None: the defaults of `TrainConfig`.
        test: Held-out examples, where ``data`` are batches: `nm.data.examples`.
        task: ``classification``, ``regression``, ``multi-label``, ``reconstruction`` or ``other``; None: that of the
            images, or of ``test``.
        loss: Function of the model's outputs and the batch's targets that gives one number; None: that of the task.
        observers: Callbacks, in this order; one can end the training, see `Training.stop`.
        sampler: Function of the epoch that gives its index batches; None: a shuffle that depends on the config's seed
            and the epoch only.
        resume_from: (optimizer steps done, `Training.state` at that point); None: from the beginning.

    Raises:
        DataError: A model that can't be trained on this data, or at all; a sampler with invalid batches.
        ConfigError: A device that is not available.

    >>> mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    >>> nm.train(mlp, digits, nm.TrainConfig(epochs=1)).status
    'finished'
    """
    config = placed(config or TrainConfig())
    held, objective = _held(data, test, task, loss)
    config = _of_batches(data, config, sampler, resume_from)
    check(model, held)
    if resume_from is None:
        with environment(config):
            model.to(config.device)
            few = held.test.subset(np.arange(min(FEW, len(held.test)))).tensor()
            for text in traps(model, few, classifies=objective.classifies):
                warnings.warn(text, UserWarning, stacklevel=3)

    def source() -> Epochs | Batches:
        if isinstance(held, Dataset):
            return Epochs(held, config, sampler, model)
        return Batches(data, config, model, objective)  # type: ignore[arg-type]

    return fit(model, held, config, source, observers, resume_from, objective, custom_sampler=sampler is not None)


def fit(
    model: nn.Module,
    held: Dataset | HeldOut,
    config: TrainConfig,
    source_of: Callable[[], Epochs | Batches],
    observers: Sequence[Observer],
    resume_from: tuple[int, dict[str, Tensor]] | None = None,
    objective: Objective = CROSS_ENTROPY,
    custom_sampler: bool = False,
) -> History:
    """`train` on batches from any source, which is made in the environment of the config."""
    with environment(config):
        model.to(config.device)
        source = source_of()
        training = Training(
            model,
            held,
            config,
            optimizer_of([p for p in model.parameters() if p.requires_grad], config),
            source.steps_per_epoch,
            custom_sampler,
            objective=objective,
            resumable=isinstance(held, Dataset),
        )
        if resume_from is not None:
            training.restore(*resume_from)
        began = time.perf_counter()
        status, watching = "finished", list(observers)  # each is told of the end exactly once
        try:
            for observer in watching:
                observer.started(training)
            status = _steps(training, source, watching)
        except BaseException as error:
            tell_end(training, watching, reason_of(error, training.step))
            raise
        tell_end(training, watching, status)
        return history(training, status, time.perf_counter() - began, stacklevel=5)


def _held(
    data: Dataset | Iterable[Batch], test: ImageSet | None, task: Task | None, loss: Loss | None
) -> tuple[Dataset | HeldOut, Objective]:
    """The examples that a training keeps, with the task that was asked for, and the loss."""
    if isinstance(data, Dataset):
        if test is not None:
            raise DataError(f"{data.name} has test images; leave test= out")
        parts = (data.train, data.test)
        train, held_out = (replace(part, task=task) if task else part for part in parts)
        held: Dataset | HeldOut = replace(data, train=train, test=held_out)
    elif test is None:
        raise DataError(
            "these batches come without held-out examples: give test=nm.data.examples(inputs, labels), on which the network is scored "
            "and recorded"
        )
    else:
        held = HeldOut(replace(test, task=task) if task else test, test.name or "own data")
    objective = Objective(held.test.task or "other", loss)
    if not objective.known:
        raise DataError(
            "the task 'other' has no loss of its own: give loss=, a function of outputs and targets, or task="
        )
    return held, objective


def _of_batches(data: Any, config: TrainConfig, sampler: Sampler | None, resume_from: Any) -> TrainConfig:
    """The settings of a training on batches that the caller makes: with their size, and nothing that would have no effect."""
    if isinstance(data, Dataset):
        return config
    if sampler is not None or config.label_noise or config.drop_last:
        raise DataError(
            "sampler=, label_noise and drop_last have no effect on batches that come made: set them in the DataLoader"
        )
    if resume_from is not None:
        raise DataError("a training on batches of the caller's own can't be resumed: their order is not known here")
    size = getattr(data, "batch_size", None)
    return replace(config, batch_size=size) if isinstance(size, int) else config


def early_at(step: int, reason: str) -> str:
    """The status of a training that was stopped."""
    return f"stopped early at step {step}" + (f": {reason}" if reason else "")


def history(training: Training, status: str, seconds: float, whose: str = "", stacklevel: int = 4) -> History:
    """The history of a finished training, evaluated on the test images; divergence is a warning."""
    if status.startswith("diverged"):
        text = f"training{whose} {status}: the loss is not finite. A lower learning rate often helps"
        warnings.warn(text, stacklevel=stacklevel)
    rows = {name: np.asarray(values, np.float64) for name, values in training.rows.items()}
    steps = training.first_row + np.arange(1, 1 + len(rows["loss"]))
    test = evaluated(training.model, training.data.test, training.objective)
    return History(status=status, step=steps, **rows, test=test, seconds=seconds)


def reason_of(error: BaseException, step: int) -> str:
    """The reason that training stopped, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted at step {step}"
    return f"failed at step {step}: " + textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" …")


def tell_end(training: Training, observers: list[Observer], status: str) -> None:
    with ExitStack() as stack:  # each is notified, also after one that raises
        for observer in reversed(observers):
            stack.callback(observer.stopped, training, status)


def _steps(training: Training, source: Epochs | Batches, observers: list[Observer]) -> str:
    model, optimizer, rows, objective = training.model, training.optimizer, training.rows, training.objective
    kind, half = torch.device(training.config.device).type, training.config.precision == "bfloat16"
    model.train()
    for images, targets in source.after(training.step):
        rate = learning_rate(training.config, training.step, training.total_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            outputs = objective.outputs(model, images)
        if isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.dtype.itemsize < 4:
            outputs = outputs.float()
        loss = objective.loss(outputs, targets)
        rows["loss"].append(loss.item())
        rows["accuracy"].append(_accuracy(outputs, targets) if objective.classifies else math.nan)
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
        if training.early:
            return training.early
    return "finished"


def _accuracy(logits: Tensor, labels: Any) -> float:
    """Share of a batch classified correctly; NaN where the targets of the caller's own loss are no labels."""
    if not isinstance(labels, Tensor) or labels.shape != logits.shape[:1] or labels.is_floating_point():
        return math.nan
    return right(logits.detach(), labels).sum().item() / len(labels)


def learning_rate(config: TrainConfig, step: int, total_steps: int) -> float:
    """The learning rate after ``step`` steps: a pure function, so that a resumed run has the same.

    Args:
        config: Settings of training.
        step: Optimizer steps done.
        total_steps: Optimizer steps in the whole training.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    if config.schedule == "step":
        return config.learning_rate * (1.0 if share < 0.5 else 0.1 if share < 0.75 else 0.01)
    return config.learning_rate


def optimizer_of(parameters: list[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":  # not fused: that rounds otherwise than plain torch, and published runs are plain
        return torch.optim.SGD(parameters, momentum=config.momentum, **common)
    return (torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW)(parameters, fused=True, **common)


def placed(config: TrainConfig) -> TrainConfig:
    """The config with the name of the device that its own means here."""
    return replace(config, device=devices.placed(config.device))


def check(model: nn.Module, data: Dataset | HeldOut) -> None:
    """A DataError for a model that can't be trained on this data, or at all."""
    kind, trained = type(model).__name__, [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise DataError(f"no parameter of this {kind} can be trained: none has requires_grad")
    if any(p.dtype == torch.float16 for p in trained):
        raise DataError(
            f"the weights of this {kind} are float16, in which steps of training vanish: train model.float(), with "
            "TrainConfig(precision='bfloat16') for the speed"
        )
    if any(p.is_inference() for p in trained):
        raise DataError(f"this {kind} was created in torch.inference_mode, which can't train: create it outside")
    config = getattr(model, "config", None)
    if data.test.task != "classification":
        return
    expected = getattr(config, "classes", None) if isinstance(model, HookedModel) else None
    if expected is not None and expected != data.classes:
        raise DataError(f"the model has {expected} classes; {data.name} has {data.classes}. Set classes={data.classes}")
    shape = getattr(config, "image_shape", None)
    if shape is not None and tuple(shape) != data.test.image_shape:
        held = data.test.image_shape
        raise DataError(f"the model takes images of {shape}; {data.name} has {held}. Set image_shape={held}")
    channels = getattr(config, "image_channels", None) if isinstance(model, HookedModel) else None
    if channels is not None and channels != data.test.image_channels:
        raise DataError(
            f"the model takes images of {channels} channels; {data.name} has {data.test.image_channels}. Set "
            f"image_channels={data.test.image_channels}"
        )


@contextmanager
def environment(config: TrainConfig) -> Iterator[None]:
    """The config's thread count, seed and gradients inside the block; the caller's threads, random state and mode are restored after it."""
    kind = torch.device(config.device).type
    threads, cpu = torch.get_num_threads(), torch.get_rng_state()
    gpu = torch.cuda.get_rng_state(config.device) if kind == "cuda" else None
    torch.set_num_threads(config.threads)
    (torch.default_generator if kind == "cpu" else torch).manual_seed(config.seed)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, config.device)
