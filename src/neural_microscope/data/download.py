"""Files from the first mirror that serves them whole."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ..errors import DataError
from .published import digest

PATIENCE = 8.0  # seconds till a mirror answers: a resolver gives a dead name server 5, and all of it stays below 10
LARGEST = 64 << 20  # bytes; no file of a known set comes near it
CHUNK = 1 << 16


def fetch(pins: Mapping[str, str], folder: Path, mirrors: Sequence[str], *, patience: float = PATIENCE) -> None:
    """Put each file of ``pins`` (file name -> hash) into ``folder``, from the first mirror that serves it right.

    A file appears under its name only whole and with its hash. Where no mirror answers, that is known after
    ``patience`` seconds: all are asked at once. Errors: DataError that says for each mirror why it failed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"can't make the folder {folder}: {error.strerror or error}") from None
    probes = {mirror: _Probe(_url(mirror, next(iter(pins))), patience) for mirror in mirrors}
    order = list(mirrors)
    for name, pin in pins.items():
        reasons = {}
        for mirror in tuple(order):
            reasons[mirror] = probes[mirror].reason() or _download(_url(mirror, name), pin, folder / name, patience)
            if not reasons[mirror]:
                break
            order.append(order.pop(order.index(mirror)))  # what failed once is asked last for the next file
        else:
            tried = ", ".join(f"{mirror} ({reason})" for mirror, reason in reasons.items())
            raise DataError(f"can't download {name}: tried {tried or 'nothing, for no mirror is known'}")


def _url(mirror: str, name: str) -> str:
    return f"{mirror.rstrip('/')}/{name}"


class _Probe:
    """One question to a mirror, in a thread of its own: a hanging look-up of a host name takes no time limit and can't
    be interrupted, only left behind.
    """

    def __init__(self, url: str, patience: float) -> None:
        self._deadline = time.monotonic() + patience
        self._reason = f"no answer within {patience:g} s"
        self._thread = threading.Thread(target=self._ask, args=(url, patience), daemon=True)
        self._thread.start()

    def _ask(self, url: str, patience: float) -> None:
        try:
            requests.head(url, timeout=patience).close()
            self._reason = ""  # even a 404 is an answer; the download will say what it means
        except (OSError, ValueError) as error:
            self._reason = _reason(error)

    def reason(self) -> str:
        """Why the mirror can't be asked for files; empty where it answers."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        return self._reason


def _download(url: str, pin: str, target: Path, patience: float) -> str:
    """Why ``url`` did not give the file; empty where it did, and the file lies at ``target``."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with _bar() as bar:
            meter = _Meter(bar, target.name)
            whole = {"Accept-Encoding": "identity"}  # or a server's gzip would be taken off together with the file's
            get = pooch.HTTPDownloader(progressbar=meter, chunk_size=CHUNK, timeout=patience, headers=whole)
            get(url, str(part), None)
        came = digest(part, like=pin)
        if came != pin:
            return f"another file: expected {pin}, but {came} came"
        os.replace(part, target)
    except (OSError, ValueError) as error:  # every error of requests is an OSError
        return _reason(error)
    finally:
        part.unlink(missing_ok=True)
    return ""


def _bar() -> Progress:
    terminal = sys.stderr is not None and sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not terminal)


class _Meter:
    """What pooch reports to, in the form of tqdm: moves a bar, and stops a body that does not end."""

    total = 0  # pooch sets it from Content-Length

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None)
        self._count = 0

    def update(self, count: int) -> None:
        self._count += count
        if self._count > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes came")
        self._bar.update(self._task, completed=self._count, total=self.total or None)

    def reset(self) -> None:
        self._count = 0

    def close(self) -> None:
        """Part of what pooch calls; the bar ends with the ``with`` block."""


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words: requests wraps "Connection refused" three times."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while (inner := next(_inner(error), None)) is not None:
        error = inner
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())


def _inner(error: BaseException) -> Iterator[BaseException]:
    for inner in (error.__cause__, getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            yield inner
