"""A reader's ways through the page, in a real browser, from disk, with networking off."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_page import FRAME, address, check_axe, draw, one_image, panel, pixels, predicts
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
MISSIONS = 2
"""Every page has as many; which others can be asked depends on the networks."""


def accuracy(tab: Page, network: int) -> float:
    """Of the network's last answer on all images."""
    place = tab.locator(".network").nth(network).locator(".cost[data-accuracy]")
    place.wait_for(timeout=60_000)
    return float(place.get_attribute("data-accuracy") or "nan")


def tile(tab: Page, name: str, unit: int) -> Locator:
    return tab.get_by_role("group", name=re.compile(re.escape(name))).locator(f'[data-unit="{unit}"]')


def test_a_one_is_drawn_read_and_wiped(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    draw(tab, (0.62, 0.15), (0.42, 0.85))
    predicts(tab, 1, 1)  # the CNN; what it says to any drawing is held against torch in test_drawing
    expect(tab.locator(".digit .said")).to_contain_text("Your drawing.")
    address(tab, r"d=\w{8}")
    ink = pixels(tab, ".pad")
    assert (ink[..., 0] < 100).mean() > 0.03  # the stroke can be seen
    tab.get_by_role("button", name="Clear").click()
    expect(tab.locator(".digit .said")).to_contain_text("Draw here")
    assert not (pixels(tab, ".pad")[..., 0] < 100).any()


def test_a_drawing_by_finger_on_a_phone(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, width=390, height=780, has_touch=True, is_mobile=True)
    box = tab.locator(".pad").bounding_box()
    assert box
    finger = tab.context.new_cdp_session(tab)
    for kind, x, y in [
        ("touchStart", 0.6, 0.15),
        *(("touchMove", 0.6 - 0.01 * i, 0.15 + 0.035 * i) for i in range(20)),
    ]:
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    address(tab, r"d=\w{8}")
    assert (pixels(tab, ".pad")[..., 0] < 100).mean() > 0.03
    assert tab.evaluate("scrollY") == 0  # the page stayed where it was
    predicts(tab, 1, 1)


def test_a_drawing_by_keys_alone(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tab.locator(".pad").focus()
    slanted = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft"] * 9
    for key in ["ArrowUp"] * 14 + ["ArrowRight"] * 5 + [" ", *slanted, " "]:
        tab.keyboard.press(key)
    predicts(tab, 1, 1)
    tab.keyboard.press("Delete")
    expect(tab.locator(".digit .said")).to_contain_text("Draw here")


def test_images_by_number_by_class_and_by_mistake(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    tab = opened(explorer)
    labels, said = runs[0].probe.labels, tab.locator(".digit .said")
    tab.get_by_label("Image", exact=True).fill("12")
    tab.keyboard.press("Enter")
    expect(said).to_contain_text(f"Image 12: a {labels[12]} (test image {runs[0].probe_indices[12]:,}).")
    tab.locator(".filter select").nth(0).select_option("7")
    expect(tab.locator(".filter small")).to_have_text(f"{(labels == 7).sum()} images")
    tab.get_by_role("button", name="Next test image").click()
    expect(said).to_contain_text(": a 7 (")
    tab.locator(".filter select").nth(0).select_option("")
    right = accuracy(tab, 0)
    tab.locator(".filter select").nth(1).select_option("0")
    tab.locator(".filter small", has_text=f"{round(len(labels) * (1 - right))} images").wait_for()
    before = said.inner_text()
    tab.get_by_role("button", name="Next test image").click()
    expect(said).not_to_have_text(before)
    index = int(re.findall(r"Image (\d+)", said.inner_text())[0])
    expect(tab.locator(".verdict strong").nth(0)).not_to_have_text(str(labels[index]))


def test_a_unit_is_ablated_and_restored(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    tab = opened(explorer)
    before = accuracy(tab, 0)
    effects = nm.analysis.causal.ablate_all(runs[0].model(), runs[0].probe, "layers.1.hook_post", draws=1)
    worst = int(effects["accuracy_drop"].values.argmax())
    tile(tab, "MLP layers.1", worst).click()
    card = tab.locator(".card")
    expect(card).to_contain_text(f"unit {worst}")
    card.get_by_role("group", name="Change this unit").get_by_role("button", name="Ablate").click()
    tab.locator(".network").nth(0).locator(".chance .odds").wait_for(timeout=60_000)
    assert before - accuracy(tab, 0) == pytest.approx(float(effects["accuracy_drop"][worst]), abs=one_image(runs[0]))
    words = card.locator(".effect").inner_text()
    assert re.search(
        r": [−+]?[\d.]+ ± [\d.]+ points with this change \(\d+ newly wrong, \d+ newly right; 95% interval", words
    )
    assert re.search(r"A random unit in its place: \S+ to \S+ points \(10 draws\)", words)
    expect(tile(tab, "MLP layers.1", worst)).to_have_attribute("aria-label", re.compile("ablated"))
    expect(card).to_contain_text("Activation on this image, ablated: 0.")
    card.get_by_role("button", name="Restore").click()
    expect(tab.locator(".network").nth(0).locator(".chance")).to_have_count(0, timeout=60_000)
    assert accuracy(tab, 0) == before


def test_the_card_shows_the_top_activating_images(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    acts = runs[1].activations("layers.1.hook_post")
    top = nm.analysis.selectivity.top_examples(acts, n=3).values
    card = opened(explorer, "#s=1.1.2").locator(".card")
    card.locator(".thumbs").first.wait_for()
    names = [thumb.get_attribute("aria-label") or "" for thumb in card.locator(".thumb").all()[:3]]
    assert [int(re.findall(r"image (\d+),", name)[0]) for name in names] == top[2].tolist()
    assert (pixels(card.page, ".card .thumb canvas")[..., 0] < 120).any()  # a digit in ink


def test_scaling_clamping_and_patching_move_the_logits(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    model = runs[0].model()
    first, second = nm.evaluate(model, runs[0].probe).logits.topk(2).values.T
    image, unit = int((first - second).argmin()), int(model.output.weight.norm(dim=0).argmax())
    tab = opened(explorer, f"#i={image}&s=0.1.{unit}")
    logits = lambda: tab.evaluate("[...document.querySelectorAll('.bars')].map(b => b.innerText).join()")  # noqa: E731
    seen = {logits()}
    tab.get_by_label("Clamp to").fill("3")
    address(tab, rf"c=0\.1\.{unit}c3\b")
    seen.add(logits())
    tab.get_by_label("Patch from image").fill("40")
    tab.get_by_role("button", name="Patch").click()
    address(tab, rf"c=0\.1\.{unit}p40\b")
    tab.get_by_role("slider", name="Scale").fill("2.5")
    address(tab, rf"c=0\.1\.{unit}s2\.5\b")
    assert len(seen) >= 2


def test_time_runs_both_ways_and_keeps_drawing_selection_and_changes(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.0.3&c=0.0.3z")
    draw(tab, (0.3, 0.2), (0.7, 0.2), (0.4, 0.85))
    end = accuracy(tab, 0)
    slider = tab.get_by_label("Snapshot of training")
    slider.fill("0")
    expect(tab.locator(".network h2").nth(0)).to_contain_text("untrained", timeout=60_000)
    assert accuracy(tab, 0) < 0.3
    expect(tab.locator(".card h2")).to_contain_text("unit 3")
    for name, there in (("Play", "3"), ("Play backward", "0"), ("Play", "3")):
        tab.get_by_role("button", name=name, exact=True).click()
        tab.get_by_role("button", name="Pause").wait_for()
        tab.get_by_role("button", name=name, exact=True).wait_for(timeout=20_000)  # again there at the end
        expect(slider).to_have_value(there)
    assert accuracy(tab, 0) == end
    address(tab, r"d=.*&s=0\.0\.3&c=0\.0\.3z")


def test_an_address_of_a_map_opens_on_it_and_one_of_a_unit_on_its_card(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#m=1.2.class")
    tab.locator(".map canvas, .map svg").first.wait_for()
    expect(tab.get_by_role("tab", name="Map")).to_have_attribute("aria-selected", "true")
    assert tab.locator(".map h2").is_visible()
    other = opened(explorer, "#s=0.0.3&m=1.2.class")
    expect(other.get_by_role("tab", name="Unit")).to_have_attribute("aria-selected", "true")
    assert other.locator(".map").count() == 0


def test_accuracy_that_is_computed_again_keeps_its_place(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#t=1")
    accuracy(tab, 0)
    heights, busy = tab.evaluate(
        """async () => {
          const cost = document.querySelector(".cost"), heights = [];
          let busy = 0;
          document.querySelector("[aria-label='Previous snapshot']").click();
          do {
            await new Promise(requestAnimationFrame);
            busy += cost.ariaBusy === "true";
            if (busy) heights.push(cost.isConnected ? cost.offsetHeight : -1);
          } while (!busy || !cost.dataset.accuracy);
          return [heights, busy];
        }"""
    )
    assert len({*heights}) == 1
    assert busy > 0


def test_the_map_is_the_librarys_and_a_lasso_chooses(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    tab = opened(explorer, "#m=1.2.class")
    tab.get_by_text("All images on the map").click()
    rows = tab.locator(".map tbody tr")
    rows.first.wait_for()
    found = np.array(
        [[float(cell.replace("−", "-")) for cell in row.split("\t")[3:]] for row in rows.all_inner_texts()]
    )
    expected = nm.analysis.geometry.pca(runs[1].activations("layers.2.hook_post"))["score"].values[-1]
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    box = tab.locator(".scatter").bounding_box()
    assert box
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=4)
    tab.mouse.up()
    expect(tab.locator(".chosen")).to_contain_text(f"{len(expected)} selected")
    tab.locator(".scatter").focus()
    tab.keyboard.press("Escape")
    expect(tab.locator(".chosen")).to_have_count(0)
    tab.keyboard.press("+")
    expect(tab.get_by_role("button", name="Show all")).to_be_enabled()
    colors = {tuple(c) for c in pixels(tab, ".scatter")[..., :3].reshape(-1, 3)}
    assert len(colors) > 20  # not a blank sheet


STATES = {
    "first sight": "",
    "card": "#i=5&s=0.1.14",
    "channel card, cut": "#i=5&s=1.0.3&c=1.0.3z_1.1.4s2_0.0.7c1.5_0.1.9p40",
    "untrained": "#t=0&s=0.0.0",
    "drawing": "#d=4646466e466y4678-1e1e1e3c",
    "set and pins": "#v=set&u=0.1.3.5_1.0.2&c=0.1.3z_0.1.5z_1.0.2s2&b=s&l=1.1.c&p=0.1.9_1.0.1",
    "map and mistakes": "#m=1.2.error&f=4&w=0",
    **{f"mission {i}": f"#q={i}" for i in range(MISSIONS)},
}


@pytest.mark.parametrize("state", [s for s in STATES.values() if s])
def test_an_address_comes_back_as_it_was(explorer: Path, opened: Opener, state: str) -> None:
    def seen(state: str) -> Page:
        tab = opened(explorer, state)
        for network in (0, 1):
            accuracy(tab, network)  # until then the page has written its address
        return tab

    tab = seen(state)
    assert sorted(address(tab)[1:].split("&")) == sorted(state[1:].split("&"))
    shown = tab.locator(".networks").inner_text()
    again = seen(address(tab))
    assert again.locator(".bars").all_inner_texts() == tab.locator(".bars").all_inner_texts()
    assert shown


def test_an_impossible_address_is_as_at_first(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#i=99999&t=77&s=5.5.5&c=0.1.9999z_x_0.1.3p-2&m=9.9.class&q=99&d=zz&f=11&w=<b>")
    expect(tab).not_to_have_url(re.compile("#."))
    expect(tab.locator("h1")).to_contain_text("Ablate a unit")


def test_each_mission_takes_a_prediction_and_answers_from_the_run(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    panel(tab, "Missions")
    count = tab.locator(".guide li").count()
    assert tab.locator(".guide h2").inner_text().startswith(f"{count} missions")
    assert count >= MISSIONS
    for mission in range(count):
        tab.locator(".guide li button.link").nth(mission).click()
        place = tab.locator(".mission")
        commit = place.get_by_role("button", name="Commit")
        expect(commit).to_be_disabled()  # no answer before a prediction
        expect(place.locator(".outcome")).to_have_count(0)
        if place.locator("input[type=radio]").count():
            place.locator("input[type=radio]").first.check()
        else:
            place.locator("input[type=number]").fill("5")
        commit.click()
        outcome = place.locator(".outcome")
        outcome.wait_for(timeout=120_000)
        assert outcome.get_attribute("data-right") in ("true", "false")
        assert not re.search(r"\b(NaN|undefined|Infinity)\b", outcome.inner_text())
        outcome.get_by_text("Results").click()
        outcome.locator("tbody tr").first.wait_for()
        assert outcome.locator("tbody tr").count() >= 3


@pytest.mark.parametrize("name", ["channel card, cut", "set and pins", "map and mistakes", "mission 0"])
def test_a_state_is_accessible_and_fits(explorer: Path, opened: Opener, name: str) -> None:
    check_accessible(explorer, opened, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_every_state_of_wide_networks_is_accessible_and_fits(wide_explorer: Path, opened: Opener, name: str) -> None:
    check_accessible(wide_explorer, opened, name)


def check_accessible(explorer: Path, opened: Opener, name: str) -> None:
    """On a wide screen and on a phone, one light and one dark in turn; everything but the longest tables unfolded."""
    turn = list(STATES).index(name) % 2
    for width, scheme in ((1280, ("light", "dark")[turn]), (360, ("dark", "light")[turn])):
        tab = opened(explorer, STATES[name], width=width, scheme=scheme)
        tab.locator(".network").nth(1).locator(".cost[data-accuracy]").wait_for(timeout=60_000)
        tab.evaluate("document.querySelectorAll('details:not(.map *)').forEach(d => d.open = true)")
        # What the time bar covers can be scrolled into sight; axe looks at one position.
        tab.evaluate("document.querySelector('.time').style.position = 'static'")
        tab.evaluate(FRAME)  # what opens is filled when it hears of that
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        check_axe(tab, (width, scheme))


def test_the_python_of_a_view_runs_from_anywhere_and_prints_what_the_view_shows(
    explorer: Path,
    opened: Opener,
    runs: list[nm.Run],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for state in ("#i=9&s=0.1.14&c=0.1.14z_1.0.2c0.5_1.1.3p40_0.0.1s2.5", "#d=4646466e466y4678&t=2"):
        tab = opened(explorer, state)
        panel(tab, "Python")
        expect(tab.locator("pre")).to_contain_text("import")
        text = tab.locator("pre").inner_text()
        assert text.count('Path(".")  # where the runs are') == 1
        names: dict[str, Any] = {}
        exec(text.replace('Path(".")', f"Path({str(runs[0].folder.parent)!r})"), names)
        printed = capsys.readouterr().out
        for network, name in enumerate(("MLP", "CNN")):
            variable = name.lower()
            shown = tab.locator(".verdict strong").nth(network).inner_text()
            assert str(int(names[f"{variable}_logits"].argmax())) == shown
            found = names[f"{variable}_accuracy"]
            assert accuracy(tab, network) == pytest.approx(found, abs=0.003)  # rounding of the weights
            assert f"{name} predicts {shown} and its accuracy is {found}" in printed


def saved(tab: Page, button: str) -> tuple[str, bytes]:
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=re.compile(button)).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_tables_and_pictures_are_saved(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    tab = opened(explorer, "#c=0.1.3z")
    tab.locator(".network").first.locator(".odds").wait_for(timeout=60_000)
    for name, all_words in (
        (
            "Confusion",
            ("By class", "The numbers: layers.1", "The numbers: accuracy and loss over training"),
        ),
        ("Map", ("All images on the map",)),
    ):
        place = panel(tab, name)
        for words in all_words:
            for summary in place.get_by_text(words, exact=True).all():
                summary.click()
    name, table = saved(tab, "as CSV: MLP .* map")
    assert re.fullmatch(r"MLP-layers.0.hook_post-step-\d+-map.csv", name)
    head, *rows = table.decode().splitlines()
    assert head == "image,label,predicted,component 1,component 2"
    assert len(rows) == len(runs[0].probe)
    assert max(len(row.split(",")[3].strip("-")) for row in rows) > 8  # all digits
    panel(tab, "Confusion")
    names = {saved(tab, f"as CSV: {network} .* by class")[0] for network in ("MLP", "CNN")}
    assert len(names) == 2
    counts = [line.split(",")[1:] for line in saved(tab, "as CSV: MLP .* confusion")[1].decode().splitlines()[1:]]
    assert np.array(counts, int).sum() == len(runs[0].probe)
    drawing = Image.open(io.BytesIO(saved(tab, "picture 1 as PNG: MLP curves")[1])).convert("L")
    assert drawing.width > 400
    assert (np.asarray(drawing) < 100).sum() > 500
    strip = tab.locator(".network").first.locator(".strip canvas").nth(1)
    picture = Image.open(io.BytesIO(saved(tab, "as PNG: MLP layers.1 step")[1])).convert("L")
    width, height = strip.evaluate("canvas => [canvas.width, canvas.height]")
    assert picture.width >= width
    below = np.asarray(picture)[height + 12 :]
    assert (below < 100).sum() > 200  # its caption


def test_words_are_explained_by_pointer_and_by_key(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.14")
    term = tab.get_by_role("button", name="selectivity")
    term.hover()
    words = tab.get_by_text("The class is chosen on one half of the images")
    expect(words).to_be_visible()
    assert tab.get_by_role("tooltip").filter(has_text="shuffled").count() == 0
    tab.mouse.move(0, 0)
    expect(words).not_to_be_visible()
    term.focus()
    expect(words).to_be_visible()
    tab.keyboard.press("Escape")
    expect(words).not_to_be_visible()


def test_a_gloss_does_not_open_under_a_pointer_that_rests(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.14")
    term = tab.get_by_role("button", name="selectivity")
    term.scroll_into_view_if_needed()
    box = term.bounding_box()
    assert box
    where = {"x": box["x"] + 5, "y": box["y"] + 5}
    free = "({x, y}) => { for (let by = 30; ; by++) if (!document.elementFromPoint(x, y + by).closest('.term')) return by; }"
    by = tab.evaluate(free, where)
    y = where["y"] + by
    tab.mouse.move(where["x"], y)
    tab.locator(".inspector").evaluate("(column, by) => column.scrollBy(0, -by)", by)  # the page goes, not the pointer
    assert tab.evaluate("([x, y]) => !!document.elementFromPoint(x, y)?.closest('.term')", [where["x"], y])
    tab.wait_for_timeout(500)
    expect(tab.locator(".tip.open")).to_have_count(0)
    tab.mouse.move(where["x"] + 1, y)
    expect(tab.locator(".tip.open")).to_have_count(1)
    tab.mouse.move(0, 0)
    expect(tab.locator(".tip.open")).to_have_count(0)


def test_units_are_walked_by_arrow_keys(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tile(tab, "MLP layers.1", 0).focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        tab.keyboard.press(key)
    expect(tab.locator(".card h2")).to_contain_text("unit 2")
    address(tab, r"s=0\.1\.2\b")


@pytest.mark.slow
def test_the_page_keeps_to_its_sizes(wide_runs: list[nm.Run], tmp_path: Path) -> None:
    one = nm.explorer.write(wide_runs, tmp_path / "one.html", snapshots=1)
    assert one.stat().st_size < 3e6


def test_the_page_asks_for_nothing_outside_itself(explorer: Path) -> None:
    text = explorer.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
