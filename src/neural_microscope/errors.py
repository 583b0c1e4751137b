"""What goes wrong, said so that a reader can act: what came, what was possible, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MicroscopeError(Exception):
    """Base of every error this package raises on purpose; the command line prints its text in one line."""

    def __str__(self) -> str:  # KeyError would show the repr, with quotes
        return " ".join(str(part) for part in self.args)


class DataError(MicroscopeError, ValueError):
    """A data set that can't be read, or images that a model can't take."""


class FileError(MicroscopeError, OSError):
    """What is no file where one is to be read, or a place where nothing can be written. Made as OSError is: (errno, reason, path)."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class MissingFile(FileError, FileNotFoundError):
    """Nothing is where a file is to be read."""


class UnknownName(MicroscopeError, KeyError):
    """A name that does not exist here; the message offers the nearest ones."""


class WrongType(DataError, TypeError):
    """An argument of a kind that a function does not take."""


class WrongValue(DataError):
    """An argument out of its range."""


class HookError(MicroscopeError, RuntimeError):
    """A hook that would have done something other than what was asked for."""


class RunError(MicroscopeError, RuntimeError):
    """A run folder that can't be written, read or trusted."""


def unknown(kind: str, name: object, options: Iterable[str], hint: str = "") -> UnknownName:
    """An UnknownName for ``name``, listing ``options`` with the nearest first."""
    options = list(options)
    near = difflib.get_close_matches(str(name), options, n=3, cutoff=0.5)
    shown = options if len(options) <= 12 else [*options[:12], f"… {len(options) - 12} more"]
    text = f"no {kind} {name!r}; there is: {', '.join(shown) if shown else 'none'}"
    if near:
        text += f"; did you mean {' or '.join(repr(n) for n in near)}?"
    return UnknownName(f"{text} {hint}".rstrip())


def reason(error: BaseException) -> str:
    """In one line what went wrong: what the system says, else the error's own words, else its type."""
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
