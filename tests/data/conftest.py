"""A tiny data set in a folder, and mirrors on this machine that serve it well or badly."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_idx import packed, tiny_files


@pytest.fixture(scope="module", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """No test here may ask an outside address: any other host looks like no network at all."""
    look_up = socket.getaddrinfo

    def local_only(host: str, *args: object, **kwargs: object) -> object:
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", local_only)
        patch.setenv("NO_PROXY", "*")
        yield


@pytest.fixture
def write_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes files (by default the tiny set) into a new folder and returns it."""

    def write(files: dict[str, bytes] | None = None, folder: str = "set") -> Path:
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, content in (tiny_files() if files is None else files).items():
            (place / name).write_bytes(content)
        return place

    return write


class Mirror(http.server.ThreadingHTTPServer):
    """Answers by path: bytes are served whole, a number is a status, (bytes, length) promises more than it sends."""

    daemon_threads = True

    def __init__(self, answers: dict[str, bytes | int | tuple[bytes, int]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        answer = self.server.answers.get(name, 404)
        body, length = answer if isinstance(answer, tuple) else (answer, None)
        if isinstance(body, int):
            self.send_error(body)
            return
        self.send_response(200)
        if "gzip" in self.headers.get("Accept-Encoding", ""):  # as some stores do for every .gz
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.fixture
def mirror() -> Iterator[Callable[..., Mirror]]:
    """Starts mirrors; all are stopped after the test."""
    running = []

    def start(answers: dict[str, bytes | int | tuple[bytes, int]]) -> Mirror:
        running.append(Mirror(answers))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def dead_mirror() -> str:
    """The address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture
def silent_mirror() -> Iterator[str]:
    """The address of a host that accepts and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.fixture
def tiny() -> dict[str, bytes]:
    return tiny_files()


@pytest.fixture
def tiny_gz(tiny: dict[str, bytes]) -> dict[str, bytes]:
    return packed(tiny)


@pytest.fixture
def pins(tiny_gz: dict[str, bytes]) -> dict[str, str]:
    return {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in tiny_gz.items()}
