"""Recording of a training loop of the caller's own, by the recorder of `nm.train`."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from . import documents, files
from .config import ConfigError, LoopConfig, RecordConfig
from .data import ImageSet, Task, examples
from .doors import door
from .errors import DataError, RunError
from .hooks import bare
from .recording import Recorder, schedule
from .run import Run, RunWriter
from .training import Loss, score
from .training.loop import early_at, reason_of
from .training.objective import Objective
from .training.scores import in_log
from .training.streamed import HeldOut

LONGEST = 1 << 17
"""The most steps of a loop whose length is unknown."""
STOPS = 16
"""Snapshots that a loop may add to its schedule by ending early."""

Evaluate = Callable[[nn.Module], Mapping[str, Any]]
"""Scores of a model: ``loss``, and if there is one ``accuracy``."""


@dataclass(eq=False)
class _Loop:
    """A training loop in progress, as a recorder sees it."""

    model: nn.Module
    data: HeldOut
    config: LoopConfig
    steps_per_epoch: int
    total_steps: int
    most: int
    objects: Mapping[str, Any] | None
    evaluate: Evaluate | None
    objective: Objective
    step: int = 0
    rows: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "accuracy": [], "learning_rate": []})
    place: tuple[int, int] | None = None
    custom_sampler: bool = False

    @property
    def planned(self) -> bool:
        return bool(self.config.planned_steps)

    @property
    def resumable(self) -> bool:
        return self.objects is not None

    def state(self) -> dict[str, Tensor]:
        """The random generators, and the states of the caller's objects."""
        tensors = {"rng.cpu": torch.get_rng_state()}
        if torch.device(self.config.device).type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.config.device)
        plain = {name: _packed(one.state_dict(), name, tensors) for name, one in (self.objects or {}).items()}
        text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        return tensors | {"objects": torch.from_numpy(text.copy())}

    def restore(self, step: int, state: dict[str, Tensor], path: Path) -> None:
        """Continues from a `state` taken after ``step`` steps."""
        self.step = step
        objects = self.objects or {}
        plain = documents.decode(state["objects"].numpy().tobytes(), dict[str, Any], path, RunError)
        if set(plain) != set(objects):
            raise RunError(f"{path} holds the states of {', '.join(plain)}; state= names {', '.join(objects)}")
        for name, one in objects.items():
            one.load_state_dict(_unpacked(plain[name], state))
        torch.set_rng_state(state["rng.cpu"])
        if "rng.cuda" in state:
            torch.cuda.set_rng_state(state["rng.cuda"], self.config.device)

    def scores(self, images: Tensor, targets: Tensor | None) -> dict[str, Any]:
        """Loss and accuracy on all probe examples given, by their names in the log."""
        if self.evaluate is None:
            try:
                test = score(self.model, images, targets, self.data.classes or None, None, self.objective)
            except DataError as error:
                raise DataError(f"{error}; or give nm.record evaluate=, a function of the model") from None
            return in_log(test.loss, test.accuracy, test.accuracy_by_class)
        training = self.model.training
        try:
            with torch.no_grad():
                told = self.evaluate(self.model.eval())
        finally:
            self.model.train(training)
        if not isinstance(told, Mapping) or "loss" not in told:
            raise DataError(f"evaluate gave {told!r}; it gives a dict with a loss, and if there is one an accuracy")
        by_class = np.full(self.data.classes, math.nan)
        return in_log(float(told["loss"]), float(told.get("accuracy", math.nan)), by_class)


class Recording:
    """A training loop that is being recorded: the result of `nm.record`, to be used in a ``with`` block.

    At the end of the block comes a last snapshot, unless one was just taken. An exception ends the recording with the
    status ``interrupted at step k`` or ``failed at step k: …``, and goes on.

    Args:
        recorder: The recorder that writes the run.
        loop: The state of the loop.
    """

    def __init__(self, recorder: Recorder, loop: _Loop) -> None:
        self._recorder, self._loop, self._full = recorder, loop, False
        self._reason: str | None = None

    @property
    def steps(self) -> int:
        """Optimizer steps done, those before a resume included."""
        return self._loop.step

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._recorder.folder

    def __enter__(self) -> Recording:
        try:
            self._recorder.started(self._loop)
        except BaseException as error:
            self._recorder.stopped(self._loop, reason_of(error, self._loop.step))
            raise
        return self

    def step(
        self,
        *,
        loss: Any,
        accuracy: Any = math.nan,
        optimizer: torch.optim.Optimizer | None = None,
        learning_rate: float | None = None,
    ) -> None:
        """Records one step. Call it after ``optimizer.step()``, before the gradients are set to zero.

        Args:
            loss: The batch's loss before the update: a number, or a tensor of one number.
            accuracy: Share of the batch that was classified correctly, 0..1; NaN: there is none.
            optimizer: The optimizer, for its learning rate.
            learning_rate: The learning rate, if there is no such optimizer.

        Raises:
            DataError: A loss or accuracy that is not one number.
        """
        loop = self._loop
        if loop.step >= loop.total_steps:
            if not self._full:
                warnings.warn(
                    f"{self.folder}: the run was created for {loop.total_steps:,} steps, and later ones are not recorded: give "
                    "nm.record steps=",
                    UserWarning,
                    stacklevel=2,
                )
            self._full = True
            return
        rate = optimizer.param_groups[0]["lr"] if optimizer is not None and learning_rate is None else learning_rate
        for name, value in (
            ("loss", loss),
            ("accuracy", accuracy),
            ("learning_rate", math.nan if rate is None else rate),
        ):
            loop.rows[name] = [_number(name, value)]
        loop.step += 1
        self._recorder.stepped(loop)

    def stop(self, reason: str = "") -> None:
        """Says why the loop ends before its planned steps; the run's status will be ``stopped early at step k``.

        Args:
            reason: A few words.
        """
        self._reason = reason

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop, recorder = self._loop, self._recorder
        if error is not None:
            recorder.stopped(loop, reason_of(error, loop.step))
            return
        early = self._reason is not None or loop.step < loop.config.planned_steps
        status = early_at(loop.step, self._reason or "") if early else "finished"
        try:
            recorder._last(loop, status)
        except BaseException as failure:
            recorder.stopped(loop, reason_of(failure, loop.step))
            raise
        recorder.stopped(loop, "finished")


@door
def record(
    folder: str | Path,
    model: nn.Module,
    *,
    probe: Any,
    labels: Any = None,
    targets: Any = None,
    task: Task | None = None,
    loss: Loss | None = None,
    classes: int | None = None,
    every: int | None = None,
    steps: int | None = None,
    steps_per_epoch: int | None = None,
    state: Mapping[str, Any] | None = None,
    evaluate: Evaluate | None = None,
    config: RecordConfig | None = None,
    tokens: int | Literal["mean", "all"] | None = None,
    class_names: Sequence[str] = (),
    name: str = "own data",
    resume: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Recording:
    """A recording of a training loop of your own, into the run folder that `nm.train` with a `Recorder` would write.

    The model is looked at in evaluation mode and without gradients at each snapshot, and is left as it was; nothing else
    of the loop is touched.

    Args:
        folder: Folder to create.
        model: The module that the loop trains.
        probe: Held-out examples as the model takes them, [example, …], or an `ImageSet`. Scores are taken on all of them,
            activations on `RecordConfig.probe_size` of them.
        labels: Class of each, whole numbers from 0, [example]; None: there are no classes, or an `ImageSet` holds them.
        targets: What the model is to give for each, [example, …], where that is not its class; none beside an
            `ImageSet`.
        task: ``classification``, ``regression``, ``multi-label``, ``reconstruction`` or ``other``, see
            `nm.data.examples`; it is said in the run and by the report.
        loss: Function of the model's outputs and the targets, by which the probe is scored; None: that of the task, mean
            squared error or binary cross-entropy of logits. ``other`` has none, and no score.
        classes: Number of classes; None: one more than the largest label.
        every: A snapshot each time so many steps are done: without ``config`` in place of log-spaced ones, otherwise in addition
            to its schedule, unless that has an ``every`` of its own; None: that schedule alone.
        steps: Optimizer steps that the loop will do; None: unknown, and 131,072 at most are recorded.
        steps_per_epoch: Optimizer steps in an epoch; None: unknown.
        state: Whatever the next step depends on besides the weights and PyTorch's random generators, by names of your
            own: the optimizer, a scheduler, a sampler, anything with ``state_dict`` and ``load_state_dict``. With it a run
            can be continued exactly.
        evaluate: Function of the model, in evaluation mode, that gives a dict with its ``loss``, and ``accuracy`` if there is
            one, in place of ``loss``; None: all probe examples are scored together.
        config: Settings of recording; None: the defaults of `RecordConfig`.
        tokens: Of sequences: one token by its number, "mean" or "all", see `RecordConfig`; None: those of ``config``.
        class_names: The name of each class; empty: there are none, or an `ImageSet` holds them.
        name: The data's name.
        resume: True to continue the run in ``folder``, if there is one: the weights and the objects of ``state`` are loaded,
            and `Recording.steps` says how many steps are done.
        tell: Function that receives the run's size in one line.

    Raises:
        ConfigError: A setting that is given here and, otherwise, in ``config``.
        DataError: Examples and labels that do not fit; a model that gives no logits, without ``evaluate``.
        RunError: A folder that holds a run or other files; a run that can't be continued, with the reason.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> with nm.record("runs/mine", net, probe=digits.test.tensor(), labels=digits.test.labels, every=5) as recorder:
    ...     for part in nm.data.batches(1000, 100, seed=0, epoch=0):
    ...         loss = torch.nn.functional.cross_entropy(net(digits.train.tensor()[part]), digits.train.label_tensor()[part])
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...         recorder.step(loss=loss, optimizer=optimizer)
    >>> nm.Run.open("runs/mine").steps
    [0, 5, 10]
    """
    if loss is not None and evaluate is not None:
        raise DataError("loss and evaluate both came; each says how the probe is scored, so give one")
    held = _held(probe, labels, targets, task, classes, class_names, name)
    for word, value in (("every", every), ("steps", steps), ("steps_per_epoch", steps_per_epoch)):
        if value is not None and value < 1:
            raise DataError(f"{word} is {value}; it is a whole number above 0, or None")
    settings = _settings(config, every, tokens)
    total = steps or LONGEST
    optimizers = [one for one in (state or {}).values() if isinstance(one, torch.optim.Optimizer)]
    about = LoopConfig(
        planned_steps=steps or 0,
        steps_per_epoch=steps_per_epoch or 0,
        optimizer=type(optimizers[0]).__name__ if optimizers else "",
        learning_rate=float(optimizers[0].param_groups[0]["lr"]) if optimizers else 0.0,
        seed=torch.initial_seed() % (1 << 63),
        device=str(next((p.device for p in bare(model).parameters()), "cpu")),
        threads=torch.get_num_threads(),
    )
    most = len(schedule(settings, total, about.steps_per_epoch)) + STOPS
    loop = _Loop(
        model,
        HeldOut(held, held.name or name),
        about,
        about.steps_per_epoch,
        total,
        most,
        state,
        evaluate,
        Objective(held.task or "other", loss),
    )
    path = files.place(folder)
    if resume and (path / "run.json").is_file():
        return Recording(_continued(path, loop), loop)
    return Recording(Recorder(path, settings, tell=tell), loop)


def _settings(config: RecordConfig | None, every: int | None, tokens: int | str | None) -> RecordConfig:
    """The settings of recording; a ConfigError for one that is said twice, differently."""
    settings = config or RecordConfig(per_octave=RecordConfig().per_octave if every is None else 0)
    for word, value in (("every", every), ("tokens", tokens)):
        there = getattr(settings, word)
        if value is not None and there not in (getattr(RecordConfig(), word), value):
            raise ConfigError(f"{word} is {value!r}, and {there!r} in config; give one of them")
    given: dict[str, Any] = {"every": every, "tokens": tokens}
    return replace(settings, **{word: value for word, value in given.items() if value is not None})


def _held(
    probe: Any,
    labels: Any,
    targets: Any,
    task: Task | None,
    classes: int | None,
    class_names: Sequence[str],
    name: str,
) -> ImageSet:
    """The probe examples with what the model is to give for them."""
    if not isinstance(probe, ImageSet):
        return examples(probe, labels, classes, name, class_names=class_names, targets=targets, task=task)
    if labels is not None or targets is not None or class_names:
        raise DataError("probe is an ImageSet, which holds its labels, targets and class_names; leave them out")
    return replace(probe, task=task) if task else probe


def _continued(folder: Path, loop: _Loop) -> Recorder:
    """The recorder of a run in its folder, with the weights and the caller's objects as they were at its last snapshot."""
    writer = RunWriter.reopen(folder)
    try:
        run = Run.at(writer.folder, writer.record)
        about = run.description
        if about["train"]["kind"] != "loop":
            raise RunError(f"{run.folder} was trained by nm.train; continue it with nm.resume({str(folder)!r})")
        if not run.resumable or loop.objects is None:
            raise RunError(
                f"{run.folder} can't be continued: the loop gave no state= with what its next step depends on"
            )
        if run.status == "finished":
            raise RunError(f"{run.folder} has finished; there is nothing to resume")
        if about["data"]["sha256"] != loop.data.sha256:
            raise RunError(f"{run.folder} was recorded with other probe examples: the hashes differ")
        model = bare(loop.model)
        run.check_state(model)
        modes = [(module, module.training) for module in model.modules()]
        run.model(into=model)
        for module, mode in modes:
            module.training = mode
        loop.total_steps, loop.most = about["total_steps"], about["snapshots"]
        recorder = Recorder.again(writer, run)
        loop.restore(run.last.step, run.state(), run.folder)
        writer.take_back()
    except BaseException:
        writer.close()
        raise
    return recorder


def _number(name: str, value: Any) -> float:
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        came = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"{value!r}"
        raise DataError(f"{name} is {came}; it is one number for the batch") from None


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A state dict as plain JSON values; its tensors go into ``tensors``."""
    if isinstance(value, Tensor):
        tensors[f"state.{name}"] = value.detach()
        return {"tensor": f"state.{name}"}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return {"array": _packed(torch.as_tensor(value), name, tensors)["tensor"]}
    if isinstance(value, Mapping):
        return {
            "items": [
                [_packed(k, f"{name}.key", tensors), _packed(v, f"{name}.{k}", tensors)] for k, v in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_packed(one, f"{name}.{place}", tensors) for place, one in enumerate(value)]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise RunError(
        f"{name} in the state of the loop is a {type(value).__name__}; a run folder holds tensors, arrays, numbers, text, "
        "and lists and dicts of them"
    )


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "array":
        return tensors[held].numpy()
    if kind == "items":
        return {_unpacked(k, tensors): _unpacked(v, tensors) for k, v in held}
    parts = [_unpacked(one, tensors) for one in held]
    return tuple(parts) if kind == "tuple" else parts
