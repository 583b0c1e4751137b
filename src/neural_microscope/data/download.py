"""Files from the first mirror that serves them whole."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ..errors import DataError, reason
from .published import digest

PATIENCE = (
    8.0  # seconds until a mirror answers: a resolver waits 5 for a dead name server, and the total stays below 10
)
LARGEST = 64 << 20  # bytes; no file of a known set comes near it
CHUNK = 1 << 16


def fetch(pins: Mapping[str, str], folder: Path, mirrors: Sequence[str], *, patience: float = PATIENCE) -> None:
    """Puts each file of ``pins`` (file name -> hash) into ``folder``, from the first mirror that serves it correctly.

    A file appears under its name only whole and with its hash. If no mirror answers, it fails after
    ``patience`` seconds: all are asked at once. Errors: DataError that gives the reason for each mirror.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"can't make the folder {folder}: {reason(error)}") from None
    deadline, order = time.monotonic() + patience, list(mirrors)
    answers = dict.fromkeys(mirrors, f"no answer within {patience:g} s")
    probes = {}
    for mirror in mirrors:
        about = (mirror, _url(mirror, next(iter(pins))), patience, answers)
        probes[mirror] = threading.Thread(target=_ask, args=about, daemon=True)
        probes[mirror].start()
    for name, pin in pins.items():
        reasons = {}
        for mirror in tuple(order):
            probes[mirror].join(max(0.0, deadline - time.monotonic()))
            reasons[mirror] = answers[mirror] or _download(_url(mirror, name), pin, folder / name, patience)
            if not reasons[mirror]:
                break
            order.append(order.pop(order.index(mirror)))  # a mirror that failed is tried last for the next file
        else:
            same = {why: [mirror for mirror in reasons if reasons[mirror] == why] for why in reasons.values()}
            tried = ", ".join(f"{' and '.join(mirrors)} ({why})" for why, mirrors in same.items())
            raise DataError(f"can't download {name}: tried {tried or 'nothing, for no mirror is known'}")


def _url(mirror: str, name: str) -> str:
    return f"{mirror.rstrip('/')}/{name}"


def _ask(mirror: str, url: str, patience: float, answers: dict[str, str]) -> None:
    """Records the reason that the mirror can't be used, or "" if it answers. In a separate thread: a hanging look-up of a host
    name takes no time limit and can't be interrupted, only left behind.
    """
    try:
        requests.head(url, timeout=patience).close()
        answers[mirror] = ""  # even a 404 is an answer; the download reports its meaning
    except (OSError, ValueError) as error:
        answers[mirror] = _innermost(error)


def _download(url: str, pin: str, target: Path, patience: float) -> str:
    """The reason that ``url`` did not give the file; empty if it did, and the file is at ``target``."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    whole = {"Accept-Encoding": "identity"}  # or a server's gzip would be taken off together with the file's
    try:
        answer = requests.get(url, stream=True, timeout=patience, headers=whole)
        with answer, part.open("wb") as file, _bar() as bar:
            answer.raise_for_status()
            task = bar.add_task(target.name, total=int(answer.headers.get("Content-Length", 0)) or None)
            for piece in answer.iter_content(CHUNK):
                if file.tell() + len(piece) > LARGEST:
                    raise ValueError(f"more than {LARGEST} bytes came")
                file.write(piece)
                bar.update(task, advance=len(piece))
        came = digest(part, like=pin)
        if came != pin:
            return f"another file: expected {pin}, but {came} came"
        os.replace(part, target)
    except (OSError, ValueError) as error:  # every error of requests is an OSError
        return _innermost(error)
    finally:
        part.unlink(missing_ok=True)
    return ""


def _bar() -> Progress:
    terminal = sys.stderr is not None and sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not terminal)


def _innermost(error: BaseException) -> str:
    """The innermost cause in a few words: requests wraps "Connection refused" three times."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while (inner := next(_inner(error), None)) is not None:
        error = inner
    return reason(error)


def _inner(error: BaseException) -> Iterator[BaseException]:
    for inner in (error.__cause__, getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            yield inner
