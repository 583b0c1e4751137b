"""Ctrl-C, SIGTERM (from a scheduler) and SIGHUP (from a closing terminal) as one kind of interruption."""

from __future__ import annotations

# `signal` and `typing` would take 20 ms to load before the command line handles signals; Ctrl-C would give a traceback in that time.
import _signal as signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """Raised on any signal, handled like Ctrl-C: Stopped(number of the signal)."""


class Stops:
    """A block in which the first signal raises `Stopped`, and ``came`` holds it; a process that can end at once sets ``at_once``.

    While work is being saved, further signals are ignored, but a second Ctrl-C ends the process at once unless it is
    ``patient``. Signals that are ignored already, as under ``nohup`` and in a shell's background, stay ignored, unless ``anyway``.
    """

    def __init__(self, *, at_once: bool = False, patient: bool = False, anyway: bool = False) -> None:
        self.at_once, self.patient, self.anyway = at_once, patient, anyway
        self.came = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stops:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if self.anyway or before in (signal.SIG_DFL, signal.default_int_handler):
                try:
                    signal.signal(number, self._come)
                except ValueError:  # not the main thread, which receives signals
                    break
                self.before[number] = before
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self.before.items():
            signal.signal(number, before)

    @property
    def code(self) -> int:
        """The exit code of a process ended by a signal: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + (self.came or signal.SIGINT)

    def _come(self, number: int, frame: FrameType | None) -> None:
        again, self.came = bool(self.came), self.came or number
        if self.at_once or (again and number == signal.SIGINT and not self.patient):
            os.write(2, b"microscope: interrupted at once; what was recorded until now is kept\n")
            os._exit(self.code)
        if not again:
            raise Stopped(number)
