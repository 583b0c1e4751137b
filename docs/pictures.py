"""Draws the pictures of docs/ from the demo: ``python docs/pictures.py demo`` after ``make demo``.

Those of docs/concepts are drawn from its two runs and saved in docs/images/concepts/; their alt texts are saved in alt.json there and
inserted into the pages. That of the front page is the demo's explorer in Chromium; its numbers are written into README.md and index.md.
"""

import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import neural_microscope as nm
from neural_microscope.analysis import (
    attribution,
    causal,
    dictionary,
    dynamics,
    geometry,
    predictions,
    probes,
    selectivity,
    similarity,
)
from neural_microscope.plots.style import Plot, Theme, draws, fixed, new

HERE = Path(__file__).parent
OUT = HERE / "images" / "concepts"
FIRST, SECOND = "layers.0.hook_post", "layers.1.hook_post"


@draws
def why_nulls(shuffled: np.ndarray, own: float, same: np.ndarray, other: np.ndarray, *, theme: Theme) -> Plot:
    """One unit against shuffled labels; and with nothing to find, units judged on the images they were chosen on or on others."""
    figure, (left, right) = new("wide", 2.6, theme, columns=2)
    low, high = nm.statistics.null_band(shuffled)
    left.axvspan(low, high, color=theme.null, alpha=0.3, linewidth=0)
    left.hist(shuffled, bins=25, color=theme.null)
    top = 1.45 * left.get_ylim()[1]
    left.plot([own, own], [0, top / 2], color=theme.ink)
    left.plot(own, top / 2, "o", color=theme.ink)
    left.text(own, top * 0.55, f"the unit\n{own:.2f}", ha="center", va="bottom")
    left.text((low + high) / 2, top * 0.97, "95% of the\nshuffles", ha="center", va="top", color=theme.quiet)
    left.set(
        title="A value and its null",
        xlabel="selectivity of one unit",
        ylabel="shuffles",
        xlim=(-1.1, 1.1),
        ylim=(0, top),
    )
    bins = np.linspace(-0.65, 0.65, 53)
    for values, color, words, side in (
        (other, theme.ink, "judged on\nother images", -1),
        (same, theme.positive, "judged on\nthe same", 1),
    ):
        right.hist(values, bins=bins, histtype="step", color=color, linewidth=1.4)
        mean = fixed(float(values.mean()))
        right.text(
            side * 0.63,
            0.6 * right.get_ylim()[1],
            f"{words}\nmean {mean}",
            ha="left" if side < 0 else "right",
            color=color,
        )
    right.axvline(0, color=theme.grid, zorder=0)
    right.set(
        title="Labels shuffled: nothing to find", xlabel="selectivity of each unit", ylabel="units, over all shuffles"
    )
    band = f"between {fixed(low)} and {fixed(high)} in 95% of {len(shuffled)} shuffles"
    return figure.says(
        f"Left: with shuffled labels the selectivity of one unit lies {band}; with the true labels it is {fixed(own)}, outside. "
        f"Right: with shuffled labels units have a mean selectivity of {fixed(float(same.mean()))} where the class is chosen and judged "
        f"on the same images, and of {fixed(float(other.mean()))} where it is chosen on one half and judged on the other."
    )


def nulls(run: nm.Run) -> Plot:
    acts = run.activations(SECOND)[-1].isel(example=slice(0, 400)).load()
    table = selectivity.class_selectivity(acts, draws=20)
    unit = int(np.nanargmax(table["selectivity"]))
    rng = np.random.default_rng(0)
    same, other, one = [], [], []
    for _ in range(200):
        labels = rng.permutation(acts.label.values)
        nothing = acts.assign_coords(label=("example", labels))
        found = selectivity.class_selectivity(nothing, draws=1)["selectivity"].values
        best = selectivity.selectivity_by_class(nothing).max("class").values
        seen = np.isfinite(found)
        same.append(best[seen])
        other.append(found[seen])
        one.append(found[unit])
    return why_nulls(np.array(one), float(table["selectivity"][unit]), np.concatenate(same), np.concatenate(other))


def pictures(mlp: nm.Run, cnn: nm.Run) -> Iterator[tuple[str, Plot]]:
    """Yields each picture's name and figure."""
    yield "nulls", nulls(mlp)
    labels = nm.data.load("mnist").test.labels
    curves = {name: dynamics.learning_curve(run.training, run.log) for name, run in (("MLP", mlp), ("CNN", cnn))}
    yield "dynamics-curves", nm.plots.learning_curves(curves)
    yield "dynamics", nm.plots.class_learning(dynamics.learning_by_class(mlp.log, counts=np.bincount(labels)))
    yield "predictions", nm.plots.image_lives(predictions.learning_order(mlp.activations("logits")), mlp.probe.images)
    yield "predictions-reliability", nm.plots.reliability(predictions.calibration_error(mlp.activations("logits")))
    acts = mlp.activations(SECOND).load()
    untrained = geometry.pca(acts.isel(snapshot=[0]))
    shown = [0, len(mlp.steps) // 3, 2 * len(mlp.steps) // 3, len(mlp.steps) - 1]
    yield "geometry", nm.plots.pca_over_time({SECOND: geometry.pca(acts)}, {SECOND: untrained}, shown)
    table = selectivity.class_selectivity(acts)
    units = [int(unit) for unit in table["selectivity"].fillna(0).values.argsort()[::-1][:4]]
    yield "selectivity", nm.plots.tuning(selectivity.tuning(acts), selectivity.tuning(acts[0]), units=units)
    strips = selectivity.quantile_examples(acts)
    yield "selectivity-strips", nm.plots.quantile_strips(mlp.probe.images, strips, units=units[:2])
    yield "similarity", nm.plots.drift(similarity.drift(acts))
    yield "causal", nm.plots.ablation(causal.ablate_all(cnn.model(), cnn.probe, FIRST))
    few = mlp.probe.subset([int(np.flatnonzero(mlp.probe.labels == digit)[0]) for digit in (0, 2, 3, 4, 7, 9)])
    random = nm.MLP(mlp.config, seed=1).eval()
    methods = {"integrated gradients": attribution.integrated_gradients, "occlusion": attribution.occlusion}
    maps = [{name: method(model, few) for name, method in methods.items()} for model in (mlp.model(), random)]
    yield "attribution", nm.plots.attributions(few.images, *maps)
    yield (
        "probes",
        nm.plots.probes(probes.probe_layers({n: mlp.activations(n) for n in (FIRST, SECOND)}, controls=1, draws=100)),
    )
    data = nm.data.load("mnist")
    wide = nm.activations(mlp.model(), data.train.balanced(5000), FIRST)[FIRST]
    sae = dictionary.train_sae(wide, n_latents=256, k=8)
    held = nm.activations(mlp.model(), data.test.balanced(1000), FIRST)[FIRST]
    yield "dictionary", nm.plots.dictionary_controls(dictionary.purity(sae, held))


def carry(alt: dict[str, str]) -> None:
    """Writes each alt text into the page that shows the picture."""
    for page in HERE.glob("concepts/*.md"):
        text = page.read_text("utf-8")
        for name, words in alt.items():
            text = re.sub(
                rf"!\[.*?\](?=\(\.\./images/concepts/{name}\.png\))", lambda _, shown=f"![{words}]": shown, text
            )
        page.write_text(text, "utf-8")


def front(folder: Path) -> None:
    """The explorer with the CNN's channel 11 ablated, on an image that it then misclassifies."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{(folder / 'explorer.html').absolute().as_uri()}#i=760&s=1.0.11&c=1.0.11z")
        page.get_by_text("in its place").wait_for()
        Image.open(io.BytesIO(page.screenshot())).quantize().save(HERE / "images" / "explorer.png", optimize=True)
        own, random = (page.get_by_text(words).inner_text() for words in ("with this change", "in its place"))
        browser.close()
    (drop,), (most,) = re.findall(r"−([\d.]+) ±", own), re.findall(r"−([\d.]+) to", random)
    for path in (HERE / "index.md", HERE.parent / "README.md"):
        text = re.sub(r"(?<=falls by )[\d.]+\d", drop, path.read_text("utf-8"))
        path.write_text(re.sub(r"(lowers it by at most\s)[\d.]+\d", rf"\g<1>{most}", text), "utf-8")


def main(folder: Path) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    alt = {}
    for name, plot in pictures(nm.Run.open(folder / "mlp"), nm.Run.open(folder / "cnn")):
        plot.savefig(OUT / f"{name}.png", dpi=100)
        alt[name] = plot.alt
    (OUT / "alt.json").write_text(json.dumps(alt, indent=1, ensure_ascii=False) + "\n", "utf-8")
    carry(alt)
    front(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
