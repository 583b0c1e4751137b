"""The explorer's response times in Chromium with networking off: a pen stroke, an ablation, loading."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

import neural_microscope as nm
from neural_microscope import demonstration
from neural_microscope.models import build

from .timing import Form

WARM = 12
"""Moves that are not measured: the compiler warms up."""
FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
CUT = """button => new Promise(done => {
    const network = document.querySelector('.network'), began = performance.now();
    let busy = false;
    new MutationObserver((_, observer) => {
        busy ||= !!network.querySelector('.cost[aria-busy]');
        if (!busy || !network.querySelector('.cost[data-accuracy]')) return;
        observer.disconnect();
        requestAnimationFrame(() => done(performance.now() - began));
    }).observe(network, {childList: true, subtree: true, attributes: true, characterData: true});
    button.click(); })"""
LONGEST = """() => { const all = microscope.long ??= []; if (!microscope.watch) {
    microscope.watch = new PerformanceObserver(list => all.push(...list.getEntries().map(e => e.duration)));
    microscope.watch.observe({type: 'longtask'}); }
    const longest = Math.max(0, ...all); all.length = 0; return longest; }"""


SNAPSHOTS = """async frames => { const {lab} = microscope, times = [];
    for (const frame of frames) { const began = performance.now();
        await Promise.all(lab.evaluators.map((evaluator, i) => evaluator.answers(lab.snapshot(i, frame), new Map())));
        times.push(performance.now() - began); }
    return times; }"""
"""From asking for a snapshot to both networks' predictions for all images."""
DRAWS = """async ([depth, unit]) => {
    const {lab} = microscope, last = lab.models[0].last, items = [{network: 0, layer: depth, unit, kind: 'zero', value: 0}];
    const began = performance.now();
    for (let draw = 0; draw < lab.draws(items); draw++)
        await lab.evaluators[0].answers(last, lab.changes(0, lab.elsewhere(items, draw), last));
    return performance.now() - began; }"""
"""Ten random units in place of one."""


def run(form: Form) -> list[str]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        return ["\nNot measured: no Chromium is installed here."]
    data, (moves_n, cuts_n, openings_n) = form.data, form.pick((60, 9, 7), (3, 1, 1))
    small = nm.data.Dataset(data.name, data.train.subset(slice(0, 6000)), data.test)
    rows = [
        "\n### The explorer, 1,000 test images, 20 snapshots\n",
        "The two networks of `make demo` (trained on few images, which does not change the times), each on its own page and both on one, "
        "in Chromium without a GPU. "
        f"Medians over {moves_n} moves, {cuts_n} ablations, {openings_n} page loads; the range in parentheses.\n",
        "| what | MLP | aim | CNN | aim | both |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        runs = []
        both = demonstration.settings(data, 0, short=False)
        for kind, (network, _) in list(both.items())[: form.pick(2, 1)]:  # one page is enough to try the harness
            path = Path(folder) / kind
            observer = nm.Recorder(path, nm.RecordConfig(per_octave=4))
            nm.train(build(network, 0), small, nm.TrainConfig(epochs=2), observers=[observer])
            runs.append(nm.Run.open(path))
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        sets = form.pick([runs[:1], runs[1:], runs], [runs])
        pages = [nm.explorer.write(chosen, Path(folder) / f"{i}.html") for i, chosen in enumerate(sets)]
        moves = _padded([_moves(browser, page, moves_n) for page in pages])
        slow = _padded([_moves(browser, page, moves_n, slowdown=4) for page in pages])
        rows.append(
            f"| script time from a pen stroke to the drawn frame, ms | {moves[0]} | ≤ 8 | {moves[1]} | ≤ 25 | {moves[2]} |"
        )
        rows.append(f"| the same at a 4 × slowdown | {slow[0]} | | {slow[1]} | | {slow[2]} (≤ 33) |")
        for depth in range(form.pick(3, 1)):
            cuts = [*(_cuts(browser, page, depth, cuts_n) for page in pages[:2]), ("", "")]
            words = f"from ablating a unit of layers.{depth} to the redrawn accuracy of 1,000 images, ms"
            rows.append(f"| {words} | {cuts[0][0]} | ≤ 60 | {cuts[1][0]} | ≤ 1,500 | |")
            rows.append(f"| longest single task, ms | {cuts[0][1]} | | {cuts[1][1]} | | |")
        draws = _padded([_draws(browser, page, cuts_n) for page in pages[:2]])
        rows.append(f"| 10 random units in place of one of layers.0, ms | {draws[0]} | | {draws[1]} | ≤ 1,000 | |")
        found = [_snapshots(browser, page) for page in pages]
        for words, aim, cells in zip(
            ("another snapshot", "a snapshot seen before"), (300, 50), zip(*found, strict=True), strict=True
        ):
            mlp, cnn, two = _padded(list(cells))
            rows.append(f"| {words}: all predictions, ms | {mlp} | ≤ {aim} | {cnn} | ≤ {aim} | {two} (≤ {aim}) |")
        ready = _padded([_openings(browser, page, openings_n) for page in pages])
        rows.append(f"| from loading to `ready`, ms | {ready[0]} | ≤ 1,000 | {ready[1]} | ≤ 1,000 | {ready[2]} |")
        sizes = _padded([f"{page.stat().st_size / 1e6:.1f}" for page in pages])
        rows.append(f"| page size, MB | {sizes[0]} | | {sizes[1]} | | {sizes[2]} (≤ 6) |")
        browser.close()
    return ["\n".join(rows)]


def _padded(cells: list[str]) -> list[str]:
    """One for each column: MLP, CNN, both."""
    return [*cells, "", "", ""][:3]


def _opened(browser: Browser, page: Path, state: str = "") -> Page:
    tab = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
    tab.goto(page.as_uri() + state)
    tab.locator("html[data-ready]").wait_for(state="attached")
    tab.locator(".network .cost[data-accuracy]").last.wait_for()
    return tab


SCRIPT = {"EventDispatch", "FireAnimationFrame", "FunctionCall", "RunMicrotasks", "TimerFire"}


def _moves(browser: Browser, page: Path, count: int, slowdown: int = 1) -> str:
    """From Chromium's own trace: all time in script between one pointer move and the next."""
    tab = _opened(browser, page)
    tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    box = tab.locator(".pad").bounding_box()
    assert box
    tab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    tab.mouse.down()
    for i in range(-WARM, count):
        if i == 0:
            browser.start_tracing(page=tab, categories=["devtools.timeline", "blink.user_timing", "v8"])
        place = (
            box["x"] + (0.2 + 0.6 * (i % 12) / 12) * box["width"],
            box["y"] + (0.3 + 0.1 * (i // 12)) * box["height"],
        )
        tab.mouse.move(*place)
        tab.evaluate(FRAME)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    tab.context.close()
    moves = [e for e in events if e["name"] == "EventDispatch" and e["args"]["data"]["type"] == "pointermove"]
    drawn = sum(e["name"] == "ink" for e in events)
    assert drawn >= count, f"{drawn} frames were drawn"
    thread = (moves[0]["pid"], moves[0]["tid"])
    spans = sorted(
        (e["ts"], e["ts"] + e.get("dur", 0))
        for e in events
        if e["name"] in SCRIPT and e["ph"] == "X" and (e["pid"], e["tid"]) == thread
    )
    starts = [e["ts"] for e in moves]
    return _told([_covered(spans, start, end) / 1000 for start, end in pairwise(starts)])


def _covered(spans: list[tuple[int, int]], start: int, end: int) -> float:
    """Microseconds of [start, end) that lie in any of the spans, which may hold one another."""
    covered, reached = 0, start
    for a, b in spans:
        a, b = max(a, reached), min(b, end)
        if b > a:
            covered, reached = covered + b - a, b
    return covered


def _cuts(browser: Browser, page: Path, depth: int, count: int) -> tuple[str, str]:
    tab = _opened(browser, page)
    layers = tab.evaluate("microscope.page.networks[0].layers.length")
    if depth >= layers:
        return "", ""
    times, longest = [], []
    for unit in range(-2, count):
        tab.locator(".network").nth(0).locator(f'[data-unit="{unit % 16}"]').nth(depth).click()
        tab.locator(".card .thumbs, .card .dead").first.wait_for()
        button = tab.locator(".card .actions").get_by_role("button", name="Ablate")
        tab.evaluate(LONGEST)
        took = button.evaluate(CUT)
        tab.evaluate(FRAME)
        if unit >= 0:
            times.append(took)
            longest.append(tab.evaluate(LONGEST))
        tab.locator(".card .actions").get_by_role("button", name="Restore").click()
        tab.get_by_text("No changes.").first.wait_for()
    tab.context.close()
    return _told(times), f"{max(longest):.0f}" if max(longest) else "< 50"


def _draws(browser: Browser, page: Path, count: int) -> str:
    """Each time in a new page: results are kept."""
    found = []
    for unit in range(min(3, count)):
        tab = _opened(browser, page)
        found.append(tab.evaluate(DRAWS, [0, unit]))
        tab.context.close()
    return _told(found)


def _snapshots(browser: Browser, page: Path) -> tuple[str, str]:
    """(first time, again), over all snapshots but the one at which the page opens."""
    tab = _opened(browser, page)
    frames = list(range(tab.evaluate("microscope.lab.frames") - 1))
    found = [_told(tab.evaluate(SNAPSHOTS, frames)) for _ in range(2)]
    tab.context.close()
    return found[0], found[1]


def _openings(browser: Browser, page: Path, count: int) -> str:
    found = []
    for _ in range(count):
        tab = _opened(browser, page)
        found.append(tab.evaluate("performance.getEntriesByName('ready')[0].startTime"))
        tab.context.close()
    return _told(found)


def _told(values: list[float]) -> str:
    digits = 1 if statistics.median(values) < 100 else 0
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


if __name__ == "__main__":
    print("\n".join(run(Form())))
