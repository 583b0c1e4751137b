"""Exceptions whose messages say what was received, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MicroscopeError(Exception):
    """Base of every error that this package raises; the command line prints its message in one line.

    >>> try:
    ...     model.run_with_cache(images, names_filter="layers.7.hook_post")
    ... except nm.errors.MicroscopeError as error:
    ...     print(error)
    no hook point 'layers.7.hook_post'; there are: ...
    """

    def __str__(self) -> str:  # KeyError would show the repr, with quotes
        return " ".join(str(part) for part in self.args)


class DataError(MicroscopeError, ValueError):
    """A data set that can't be read, or images that a model can't take."""


class NoLabels(DataError):
    """Class labels that something needs and does not have; a public function adds its own name.

    >>> print(nm.errors.NoLabels("this set"))
    this needs class labels, and this set has none; PCA, drift, CKA, dictionaries and attribution work without
    """

    needs = "this"
    """Name of what needs them."""

    def __str__(self) -> str:
        without = "PCA, drift, CKA, dictionaries and attribution work without"
        return f"{self.needs} needs class labels, and {super().__str__()} has none; {without}"


class FileError(MicroscopeError, OSError):
    """A path that is not a file, or can't be written. Constructed like OSError: (errno, reason, path)."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class MissingFile(FileError, FileNotFoundError):
    """A file that does not exist."""


class UnknownName(MicroscopeError, KeyError):
    """A name that does not exist; the message suggests the nearest ones."""


class WrongType(DataError, TypeError):
    """An argument of a kind that a function does not take."""


class WrongValue(DataError):
    """An argument out of its range."""


class HookError(MicroscopeError, RuntimeError):
    """A hook that would do something other than intended."""


class RunError(MicroscopeError, RuntimeError):
    """A run folder that can't be written, read or trusted."""


def unknown(kind: str, name: object, options: Iterable[str], hint: str = "") -> UnknownName:
    """An UnknownName that lists what there is, the nearest first.

    Args:
        kind: The kind of thing in a few words, such as "hook point".
        name: The name that does not exist.
        options: The names that exist.
        hint: Further advice; empty: none.
    """
    options = list(options)
    near = difflib.get_close_matches(str(name), options, n=3, cutoff=0.5)
    shown = [repr(option) if ", " in option else option for option in options[:12]]
    shown += [f"… {len(options) - 12} more"] * (len(options) > 12)
    text = f"no {kind} {name!r}; there are: {', '.join(shown) if shown else 'none'}"
    if near:
        text += f"; did you mean {' or '.join(repr(n) for n in near)}?"
    return UnknownName(f"{text} {hint}".rstrip())


def reason(error: BaseException) -> str:
    """An error in one line: the system's reason, otherwise the error's message, otherwise its type.

    Args:
        error: Any exception.
    """
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
