"""The explorer's response times in Chromium and Firefox with networking off, beside a loop of fixed work.

A slowdown is Chromium's own; it slows the page down, not its workers. Making the page takes longer than measuring it: with
NEURAL_MICROSCOPE_PAGE=FILE its data are kept in a file, and a later measurement takes them from there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import neural_microscope as nm
from neural_microscope import demonstration
from neural_microscope.explorer.page import document, front_end
from neural_microscope.explorer.payload import payload
from neural_microscope.models import build

from .timing import Form

WEB = Path(__file__).parents[1] / "web"
BROWSERS = {
    "Chromium": ("chrome", ("chromium", "chromium-browser", "google-chrome")),
    "Firefox": ("firefox", ("firefox-esr", "firefox")),
}
PAINTED = """() => new Promise(done => requestAnimationFrame(() => {
    const {port1, port2} = new MessageChannel(); port1.onmessage = () => done(); port2.postMessage(0); }))"""
"""Done when the next frame is on the screen."""
LOOP = """() => { let best = Infinity;
    for (let turn = 0; turn < 5; turn++) { const began = performance.now(); let x = 1;
        for (let i = 0; i < 2e7; i++) x = x * 1.0000001 + 1e-9;
        best = Math.min(best, performance.now() - began + (x < 0)); }
    return best; }"""
"""Ms of 20 million multiplications and additions, the best of 5."""
UNPACKED = (
    "async () => { for (let frame = 0; frame < microscope.lab.frames; frame++) await microscope.lab.load(frame); }"
)
PEN = f"""async count => {{
    const pad = document.querySelector('.pad'), box = pad.getBoundingClientRect(), times = [], painted = {PAINTED};
    let pointerId; pad.addEventListener('pointermove', event => pointerId = event.pointerId, {{once: true}});
    for (let i = -12; i < count; i++) {{ // the first 12 let the compiler warm up
        const [x, y] = [0.2 + 0.6 * (i + 12) % 12 / 12, 0.3 + 0.02 * (i + 12) % 20];
        const place = {{clientX: box.x + x * box.width, clientY: box.y + y * box.height, pointerId, bubbles: true, buttons: 1}};
        await new Promise(requestAnimationFrame); // registers before the page does, so that the next frame begins here
        const began = performance.now(), frame = new Promise(requestAnimationFrame).then(() => performance.now());
        const shown = painted();
        pad.dispatchEvent(new PointerEvent('pointermove', place));
        const handled = performance.now() - began, start = await frame; await shown;
        if (i >= 0) times.push(handled + performance.now() - start); }}
    return times; }}"""
"""From a pen's move to the painted frame, for each of several moves; the wait for the display is left out."""
UNTIL = f"""const painted = {PAINTED}, until = ready => new Promise(done => {{
    const look = () => {{ if (ready()) {{ watch.disconnect(); painted().then(() => done(performance.now())); }} }};
    const watch = new MutationObserver(look);
    watch.observe(document.body, {{childList: true, subtree: true, attributes: true, characterData: true}});
    look(); }});
    const costs = () => [...document.querySelectorAll('.network .cost')];
    const settled = () => costs().every(cost => cost.dataset.accuracy && !cost.ariaBusy);"""
ABLATE = f"""async ([network, unit]) => {{ {UNTIL}
    const began = performance.now(), item = {{network, layer: 0, unit, kind: 'zero', value: 0}};
    location.hash = `c=${{network}}.0.${{unit}}z`; await new Promise(setTimeout);
    const cut = await until(() => settled() && costs()[network].querySelector('.chance')) - began;
    const all = await until(() => costs()[network].querySelector('.null-band')) - began;
    location.hash = ''; await new Promise(setTimeout); await until(() => settled() && !costs()[network].querySelector('.chance'));
    return [cut, all - cut]; }}"""
"""Ms to the redrawn accuracy of all images, and from there to that of the random draws in its place."""
VISIT = f"""async share => {{ {UNTIL}
    const frame = Math.round(share * (microscope.lab.frames - 1));
    const began = performance.now(), shown = () => document.querySelector('.time input[type=range]').value == frame;
    location.hash = `t=${{frame}}`; await new Promise(setTimeout);
    return await until(() => shown() && settled()) - began; }}"""
"""Ms until every number on the page is of the snapshot at that share of training's."""
WATCH = """() => { microscope.longest = 0; let last = performance.now();
    microscope.watch = setInterval(() => { const now = performance.now();
        microscope.longest = Math.max(microscope.longest, now - last - 4); last = now; }, 4); }"""
LONGEST = "() => { clearInterval(microscope.watch); return microscope.longest; }"
"""The longest time, ms, in which the page could not answer a timer."""


def run(form: Form) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(os.environ.get("NEURAL_MICROSCOPE_PAGE", Path(folder) / "data.json"))
        if not kept.is_file():
            kept.write_text(json.dumps(_made(form, Path(folder))), "utf-8")
        page = Path(folder) / "page.html"
        page.write_text(document(json.loads(kept.read_text("utf-8")), *front_end()), "utf-8")
        columns, load = {}, [os.getloadavg()[0]]
        for name, (kind, names) in BROWSERS.items():
            executable = next(filter(None, map(shutil.which, names)), None)
            if executable:
                columns[name] = _measured(kind, executable, page, form)
                if kind == "chrome":
                    columns[f"{name}, 4 × slower"] = _measured(kind, executable, page, form, slowdown=4)
        load.append(os.getloadavg()[0])
        size = page.stat().st_size / 1e6
    if not columns:
        return ["\nNot measured: no Chromium or Firefox is installed here."]
    head = ["what", *columns, "aim"]
    rows = [[what, *(column[what] for column in columns.values()), aim] for what, aim in AIMS.items()]
    lines = [head, ["---"] * len(head), *rows]
    return [
        "\n### The explorer, 1,000 test images, 20 snapshots\n",
        "One page with both networks of `make demo` (trained on few images, which does not change the times); the best of three, in ms, "
        "except where a line names something else. "
        f"The page has {size:.1f} MB (aim: ≤ 6). "
        + ("" if len(columns) == 3 else "The other browser is not installed here. ")
        + f"The machine's load average (1 minute) was {load[0]:.1f} before and {load[1]:.1f} after.",
        "\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines),
    ]


def _made(form: Form, folder: Path) -> dict[str, Any]:
    """The page's data."""
    data = form.data
    small = nm.data.Dataset(data.name, data.train.subset(slice(0, 6000)), data.test)
    runs = []
    for kind, (network, _) in demonstration.settings(data, 0, short=False).items():
        recorder = nm.Recorder(folder / kind, nm.RecordConfig(per_octave=4))
        nm.train(build(network, 0), small, nm.TrainConfig(epochs=2), observers=[recorder])
        runs.append(nm.Run.open(folder / kind))
    return payload(runs) | {"title": "Explorer"}


AIMS = {
    "loop of fixed work": "",
    "from loading to `ready`": "≤ 1,000",
    "pen to frame, median of 40 moves": "≤ 16, slower ≤ 33",
    "pen to frame, slowest of 40 moves": "slower ≤ 100",
    "ablating a unit of the MLP's layers.0": "≤ 60",
    "then its random draws, MLP": "",
    "ablating a channel of the CNN's layers.0": "≤ 100",
    "then its random draws, CNN": "≤ 1,000",
    "another snapshot": "≤ 300",
    "a snapshot seen before": "≤ 50",
    "longest task while drawing": "≤ 50",
    "longest task of ablations and snapshots": "≤ 50",
}
"""The lines of the table, in order."""


def _measured(kind: str, executable: str, page: Path, form: Form, slowdown: int = 1) -> dict[str, str]:
    """By line of the table."""
    rounds, moves = form.pick((3, 40), (1, 2))
    steps: list[list[Any]] = []
    for turn in range(rounds):
        units, shares = [turn, turn + 4], [0.1 + turn / 18, 0.4 + turn / 18, 0.7 + turn / 18]
        steps += [
            *([["slow", slowdown]] if slowdown > 1 else []),
            ["open"],
            ["evaluate", "() => performance.getEntriesByName('ready')[0].startTime"],
            ["evaluate", UNPACKED],
            ["evaluate", LOOP],
            ["evaluate", WATCH],
            *[["evaluate", VISIT, share] for share in (*shares, *shares)],
            *[["evaluate", ABLATE, [network, unit]] for network in (0, 1) for unit in units],
            ["evaluate", LONGEST],
            ["evaluate", WATCH],
            ["draw", ".pad", [[0.2, 0.3], [0.25, 0.3]]],
            ["evaluate", PEN, moves],
            ["lift"],
            ["evaluate", LONGEST],
        ]
    node = shutil.which("node", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])) or "node"
    done = subprocess.run(
        [node, str(WEB / "drive.mjs"), kind, executable, str(page)],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    told = [one for one in json.loads(done.stdout)["results"] if one is not None]
    each = len(told) // rounds
    return _best([_round(told[i : i + each]) for i in range(0, len(told), each)])


def _round(told: list[Any]) -> dict[str, float]:
    ready, loop, *rest = told
    first, again, (mlp, mlp2, cnn, cnn2), (busy, moves, drawing) = rest[:3], rest[3:6], rest[6:10], rest[10:]
    draws = mlp[1], cnn[1]  # those of the second unit are mostly known by then
    values = [
        *(loop, ready, median(moves), max(moves)),
        *(min(mlp[0], mlp2[0]), draws[0], min(cnn[0], cnn2[0]), draws[1]),
        *(median(first), median(again), drawing, busy),
    ]
    return dict(zip(AIMS, values, strict=True))


def _best(rounds: list[dict[str, float]]) -> dict[str, str]:
    found = {what: min(one[what] for one in rounds) for what in AIMS}
    return {what: f"{value:.1f}" if value < 100 else f"{value:,.0f}" for what, value in found.items()}


if __name__ == "__main__":
    print("\n".join(run(Form())))
