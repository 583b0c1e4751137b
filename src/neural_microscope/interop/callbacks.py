"""Callbacks that record a training by Lightning or by Hugging Face's Trainer, as `nm.record` records a loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..doors import door
from ..loops import Recording, record
from .needed import needed


@door
def lightning_callback(folder: str | Path, **given: Any) -> Any:
    """A Lightning callback that records the training: ``Trainer(callbacks=[nm.interop.lightning_callback(…)])``.

    Each step's loss is what ``training_step`` returns, its accuracy the logged metric ``accuracy``, if there is one. The
    status tells how the fit ended.

    Args:
        folder: Folder to create.
        **given: Further arguments of `nm.record`: ``probe``, ``labels``, ``every``, …

    Raises:
        MicroscopeError: Lightning is not installed.

    >>> nm.interop.lightning_callback("runs/fit", probe=images, labels=labels)  # doctest: +SKIP
    """
    lightning = needed("lightning.pytorch", "lightning")

    class Recorded(lightning.Callback):  # type: ignore[name-defined]
        recording: Recording | None = None

        def on_train_start(self, trainer: Any, module: Any) -> None:
            steps = trainer.estimated_stepping_batches
            known = (
                {"steps": int(steps), "steps_per_epoch": int(trainer.num_training_batches)} if steps < math.inf else {}
            )
            self.recording, self.step = record(folder, module, **{**known, **given}).__enter__(), trainer.global_step

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *rest: Any) -> None:
            if self.recording is None or trainer.global_step == self.step:  # gradients accumulate
                return
            self.step = trainer.global_step
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            accuracy = trainer.callback_metrics.get("accuracy", math.nan)
            self.recording.step(loss=loss, accuracy=accuracy, optimizer=trainer.optimizers[0])

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self._end(None)

        def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
            self._end(exception)

        def _end(self, error: BaseException | None) -> None:
            if self.recording is not None:
                self.recording.__exit__(type(error) if error else None, error, None)
            self.recording = None

    return Recorded()


@door
def trainer_callback(folder: str | Path, **given: Any) -> Any:
    """A callback of Hugging Face's Trainer that records the training: ``trainer.add_callback(nm.interop.trainer_callback(…))``.

    A step has the loss that the Trainer logs for it (each with ``logging_steps=1``), otherwise NaN. The Trainer sets the
    gradients to zero before it calls, so their norms are NaN.

    Args:
        folder: Folder to create.
        **given: Further arguments of `nm.record`: ``probe``, ``labels``, ``every``, …

    Raises:
        MicroscopeError: transformers is not installed.

    >>> nm.interop.trainer_callback("runs/fit", probe=tokens, labels=labels)  # doctest: +SKIP
    """
    transformers = needed("transformers", "transformers")

    class Recorded(transformers.TrainerCallback):  # type: ignore[name-defined]
        recording: Recording | None = None
        waiting: dict[str, Any] | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
            self.recording = record(folder, model, **{"steps": state.max_steps, **given}).__enter__()

        def on_step_end(self, args: Any, state: Any, control: Any, optimizer: Any = None, **rest: Any) -> None:
            self.waiting = {"loss": math.nan, "learning_rate": float(optimizer.param_groups[0]["lr"])}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if self.waiting is not None and "loss" in (logs or {}):
                self.waiting["loss"] = float(logs["loss"])
                self._row()

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self._row()

        def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            self._row()
            if self.recording is not None:
                self.recording.__exit__(None, None, None)
            self.recording = None

        def _row(self) -> None:
            """Records the step that is done, once its loss is logged or the next one begins."""
            if self.recording is not None and self.waiting is not None:
                self.recording.step(**self.waiting)
            self.waiting = None

    return Recorded()
