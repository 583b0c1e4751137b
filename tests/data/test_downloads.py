from __future__ import annotations

import io
import socket
import sys
import threading

import pytest
from tiny_idx import FILES

from neural_microscope.data import download
from neural_microscope.data.download import fetch
from neural_microscope.errors import DataError

IMAGES = f"{FILES[0]}.gz"


def held(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_mirror_serves_lies_in_the_folder_under_its_name(tmp_path, mirror, tiny_gz, pins):
    server = mirror(tiny_gz)
    fetch(pins, tmp_path / "new" / "folder", [server.url])
    assert held(tmp_path / "new" / "folder") == tiny_gz
    assert server.asked == list(pins)


BAD = {
    "absent": (404, "404 Not Found"),
    "forbidden": (403, "403 Forbidden"),
    "broken": (500, "500 Internal Server Error"),
    "another": (b"<html>sign in here</html>", "another file: expected sha256:.*, but sha256:.* came"),
    "empty": (b"", r"another file: .*"),
    "cut": ((b"half", 1000), r"IncompleteRead\(4 bytes read, 996 more expected\)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_mirror_that_serves_a_file_badly_gives_way_to_the_next(tmp_path, mirror, tiny_gz, pins, kind):
    bad, good = mirror(tiny_gz | {IMAGES: BAD[kind][0]}), mirror(tiny_gz)
    fetch(pins, tmp_path, [bad.url, good.url])
    assert held(tmp_path) == tiny_gz
    assert bad.asked[0] == good.asked[0] == IMAGES


@pytest.mark.parametrize("kind", BAD)
def test_where_all_mirrors_fail_each_is_named_with_its_reason_and_nothing_is_left(
    tmp_path, mirror, tiny_gz, pins, kind
):
    answer, reason = BAD[kind]
    one, two = mirror(tiny_gz | {IMAGES: answer}), mirror({})
    tried = rf"{one.url} \({reason}\), {two.url} \(404 Not Found\)"
    if kind == "absent":
        tried = rf"{one.url} and {two.url} \({reason}\)$"  # a reason of several mirrors is given once
    with pytest.raises(DataError, match=f"{IMAGES}: tried {tried}"):
        fetch(pins, tmp_path, [one.url, two.url])
    assert held(tmp_path) == {}


def test_files_that_only_different_mirrors_have_all_come(tmp_path, mirror, tiny_gz, pins):
    even, odd = (dict(list(tiny_gz.items())[start::2]) for start in (0, 1))
    fetch(pins, tmp_path, [mirror(even).url, mirror(odd).url])
    assert held(tmp_path) == tiny_gz


def test_a_closed_port_gives_way_to_the_next_mirror(tmp_path, mirror, dead_mirror, tiny_gz, pins):
    fetch(pins, tmp_path, [dead_mirror, mirror(tiny_gz).url])
    assert held(tmp_path) == tiny_gz


def test_a_host_that_never_answers_gives_way_to_the_next_mirror(tmp_path, mirror, silent_mirror, tiny_gz, pins):
    fetch(pins, tmp_path, [silent_mirror, mirror(tiny_gz).url], patience=2)
    assert held(tmp_path) == tiny_gz


def test_all_ways_to_be_unreachable_are_told_apart(tmp_path, dead_mirror, silent_mirror, pins):
    says = rf"{dead_mirror} \(Connection refused\), {silent_mirror} \(no answer .*\), http://no.such/ \(Name or service"
    with pytest.raises(DataError, match=says):
        fetch(pins, tmp_path, [dead_mirror, silent_mirror, "http://no.such/"], patience=2)


def test_a_look_up_that_hangs_is_left_behind(tmp_path, monkeypatch, pins):
    """Without a thread of its own this test would never end."""
    over, before = threading.Event(), set(threading.enumerate())

    def hang(*args: object, **kwargs: object) -> None:
        over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(DataError, match=r"http://one/ and http://two/ \(no answer within 0.2 s\)"):
            fetch(pins, tmp_path, ["http://one/", "http://two/"], patience=0.2)
        left = set(threading.enumerate()) - before
        assert len(left) == 2
        assert all(thread.daemon for thread in left)  # or the interpreter would wait for them at its end
    finally:
        over.set()


def test_with_no_network_two_hanging_mirrors_cost_less_than_ten_seconds(tmp_path, monkeypatch, pins):
    """By the clock that the code itself reads: mirrors wait side by side, so the waits don't add up."""
    waits, now = [], [0.0]

    class Hanging:
        def __init__(self, **kwargs: object) -> None: ...

        def start(self) -> None: ...

        def join(self, timeout: float) -> None:
            waits.append(timeout)
            now[0] += timeout

    monkeypatch.setattr(download.threading, "Thread", Hanging)
    monkeypatch.setattr(download.time, "monotonic", lambda: now[0])
    with pytest.raises(DataError, match="no answer within 8 s"):
        fetch(pins, tmp_path, ["http://one/", "http://two/"])
    assert len(waits) == 2
    assert sum(waits) < 10


def test_a_body_without_end_is_cut_off(tmp_path, monkeypatch, mirror, tiny_gz, pins):
    monkeypatch.setattr(download, "LARGEST", 3 * download.CHUNK)
    endless = mirror(tiny_gz | {IMAGES: bytes(100 * download.CHUNK)})
    with pytest.raises(DataError, match="more than 196608 bytes came"):
        fetch(pins, tmp_path, [endless.url])
    assert held(tmp_path) == {}


def test_a_file_appears_only_whole(tmp_path, monkeypatch, mirror, tiny_gz, pins):
    seen = []
    replace = download.os.replace

    def watched(part, target) -> None:
        seen.append((target.exists(), part.read_bytes() == tiny_gz[target.name], part.parent == target.parent))
        replace(part, target)

    monkeypatch.setattr(download.os, "replace", watched)
    fetch(pins, tmp_path, [mirror(tiny_gz).url])
    assert seen == [(False, True, True)] * 4


def test_a_folder_that_cannot_be_made_is_named(tmp_path, pins):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"can't make the folder .*/file/mnist: Not a directory"):
        fetch(pins, tmp_path / "file" / "mnist", ["http://127.0.0.1:1/"])


def test_no_bar_is_drawn_where_stderr_is_no_terminal(tmp_path, mirror, tiny_gz, pins, capsys):
    fetch(pins, tmp_path, [mirror(tiny_gz).url])
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_a_bar_for_each_file(tmp_path, mirror, tiny_gz, pins, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    fetch(pins, tmp_path, [mirror(tiny_gz).url])
    shown = sys.stderr.getvalue()
    assert all(name in shown for name in tiny_gz)
    assert f"{len(tiny_gz[IMAGES])}/{len(tiny_gz[IMAGES])} bytes" in shown
