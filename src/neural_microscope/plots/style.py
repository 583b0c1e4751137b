"""One visual language: every colour, font and width comes from tokens.json, for figures and pages alike."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import LogLocator, NullLocator

Theme = Literal["light", "dark"]
TOKENS: dict[str, Any] = json.loads(files(__package__).joinpath("tokens.json").read_text("utf-8"))


class Plot(Figure):
    """A matplotlib figure that also says in words what it shows."""

    alt: str = ""
    """What the picture shows, for those who can't see it."""
    canvas: FigureCanvasAgg

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """What a notebook shows: the picture, and its words where it can't be seen."""
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100)
        return {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": self.alt}, {
            "image/png": {"alt": self.alt}
        }


@dataclass(frozen=True)
class Look:
    """The colours of a theme."""

    ink: str
    paper: str
    quiet: str
    grid: str
    negative: str
    positive: str
    amount: str
    null: str
    selected: str
    absent: str
    classes: tuple[str, ...]

    @property
    def signed_map(self) -> Colormap:
        """Blue takes away, orange adds; the paper is 0."""
        return _map("signed", (self.negative, self.paper, self.positive), self.absent)

    @property
    def amount_map(self) -> Colormap:
        """From the paper (0) to one hue."""
        return _map("amount", (self.paper, self.amount), self.absent)

    @property
    def digit_map(self) -> Colormap:
        """Digits: ink on paper."""
        return _map("digit", (self.paper, self.ink), self.absent, levels=16)

    def of_class(self, label: int) -> str:
        """A class's colour; beyond ten classes they come round again."""
        return self.classes[label % len(self.classes)]


def _map(name: str, colours: tuple[str, ...], absent: str, levels: int = 65) -> Colormap:
    # As many steps as the eye tells apart, and an odd number, so that 0 is exactly the paper: a page is smaller for it.
    return LinearSegmentedColormap.from_list(name, colours, levels).with_extremes(bad=absent)


MANY_MARKS = 1500
"""Beyond as many single marks a drawing is smaller as pixels than as shapes."""


def has_pixels(plot: Plot) -> bool:
    """Whether a figure holds pictures, or more marks than are worth drawing one by one."""
    marks = sum(len(np.asarray(collection.get_offsets())) for axes in plot.axes for collection in axes.collections)
    return marks > MANY_MARKS or any(len(axes.images) > 0 for axes in plot.axes)


_SHORTER: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"<metadata>.*?</metadata>|<style.*?</style>", ""),
    (r' xmlns(:xlink)?="[^"]*"| version="[^"]*"', ""),
    (r'(<svg)[^>]*( viewBox="[^"]*")[^>]*', r"\1\2"),
    (r'<g id="[^"]*"', "<g"),  # names nobody refers to, the same in every figure
    (r" font-family: [^;\"]*;?", ""),  # the page has one
    (r"<[^>]+>", lambda tag: re.sub(r"(-?\d+\.\d\d)\d+", r"\1", tag[0])),  # places only: what is written stays as it is
    (r"\s*\n\s*([MLCQz])\s*", r"\1"),
    (r'style="[^"]*"', lambda found: found[0].replace("; ", ";").replace(": ", ":")),
    (r">\s+<", "><"),
)


def as_svg(plot: Plot) -> str:
    """A figure drawn in the light theme as an ``<svg>`` for a page: its colours are the page's variables, ``var(--ink)``, so
    that one drawing serves both themes. Words stay words.
    """
    out = io.StringIO()
    engine = plot.get_layout_engine()
    if engine is not None:  # or savefig would draw everything once for the layout alone
        engine.execute(plot)
        plot.set_layout_engine("none")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "neural-microscope"}):
        plot.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = text[text.index("<svg") :].replace("xlink:href", "href")
    for pattern, shorter in _SHORTER:
        text = re.sub(pattern, shorter, text, flags=re.DOTALL)
    for name, colour in TOKENS["light"].items():
        text = re.sub(re.escape(colour), f"var(--{name})", text, flags=re.IGNORECASE)
    return text


def look(theme: Theme) -> Look:
    """The colours of ``light`` or ``dark``."""
    return Look(**TOKENS[theme], classes=tuple(TOKENS["classes"]))


def draws(function: Callable[..., Plot]) -> Callable[..., Plot]:
    """Gives a drawing function the keyword ``theme`` (``light`` or ``dark``) and, inside, the colours as ``look``. A line or band
    that has one point only gets a mark that is seen.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, theme: Theme = "light", **kwargs: Any) -> Plot:
        colours = look(theme)
        with mpl.rc_context(_rc(colours)):  # type: ignore[arg-type]
            plot = function(*args, look=colours, **kwargs)
        for axes in plot.axes:
            _mark_lone_points(axes)
        return plot

    return wrapper


def _mark_lone_points(axes: Axes) -> None:
    """One snapshot, one unit: a line of one point would not be seen, nor a band of no width."""
    for line in axes.lines:
        if line.get_marker() in ("None", None) and np.isfinite(line.get_xydata()).all(1).sum() == 1:
            line.set(marker="o", markersize=3.5)
    for band in axes.collections:
        paths = band.get_paths() if isinstance(band, PolyCollection) and not band.get_hatch() else []
        if paths and not any(np.ptp(np.asarray(path.vertices)[:, 0]) for path in paths):
            band.set(linewidth=6, edgecolor=band.get_facecolor())


def new(width: float | str, height: float, look: Look) -> Plot:
    """An empty figure, in inches; a width may be ``narrow``, ``middle`` or ``wide``."""
    inches = TOKENS["widths"][width] if isinstance(width, str) else width
    figure = Plot(figsize=(inches, height), layout="constrained", facecolor=look.paper)
    FigureCanvasAgg(figure)
    return figure


def missing(axes: Axes, why: str, look: Look) -> None:
    """Says in the middle of the axes why nothing stands there."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=look.quiet)


def intervals(axes: Axes, at: Any, low: Any, high: Any, *, color: str, linewidth: float, alpha: float = 1) -> None:
    """Upright lines from ``low`` to ``high``: one shape, because hundreds of them take most of a page's time and room."""
    ends = np.stack([[np.asarray(at, float), low], [np.asarray(at, float), high]]).transpose(2, 0, 1)
    ends = ends[np.isfinite(ends).all((1, 2))]
    strokes = Path(ends.reshape(-1, 2), [Path.MOVETO, Path.LINETO] * len(ends))
    axes.add_collection(PathCollection([strokes], facecolor="none", edgecolor=color, linewidth=linewidth, alpha=alpha))
    axes.autoscale_view()


def log_axis(axes: Axes) -> None:
    """A log axis of what is drawn already, that names also the twos and fives where it holds few powers of ten; an ordinary one
    where nothing lies above 0.
    """
    drawn = [each.dataLim for each in axes.get_shared_y_axes().get_siblings(axes)]
    lowest = min(float(box.minposy) for box in drawn)
    if not np.isfinite(lowest):
        return
    axes.set_yscale("log")
    decades = np.log10(max(float(box.y1) for box in drawn) / lowest)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def share(value: float, digits: int = 0) -> str:
    """A share in percent, for words; ``not known`` where there is none."""
    return "not known" if np.isnan(value) else f"{100 * value:.{digits}f} %"


def told(value: float, digits: int = 2) -> str:
    """A number for words, to so many significant digits, with a true minus; a dash where there is none."""
    return "–" if np.isnan(value) else f"{value:.{digits}g}".replace("-", "−")


def quiet(axes: Axes, *, ticks: bool = False) -> None:
    """No frame; without ``ticks``, no ticks either."""
    axes.spines[:].set_visible(False)
    if not ticks:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)


def mosaic(
    tiles: np.ndarray, across: int, colours: Colormap, limits: tuple[float, float], look: Look, *, gap: int = 2
) -> np.ndarray:
    """Pictures [tile, row, col] laid out in rows of ``across`` as one RGBA image, the paper between them.

    NaN is drawn in the colour of what is absent. One image is drawn much faster than hundreds of axes, and stays
    pixel-exact.
    """
    count, height, width = tiles.shape
    rows = -(-count // across)
    sheet = np.tile(np.array(to_rgba(look.paper)), (rows * (height + gap) - gap, across * (width + gap) - gap, 1))
    low, high = limits
    painted = colours(np.ma.masked_invalid((tiles - low) / ((high - low) or 1.0)).clip(0, 1))
    for number in range(count):
        top, left = (number // across) * (height + gap), (number % across) * (width + gap)
        sheet[top : top + height, left : left + width] = painted[number]
    return sheet


def number_tiles(axes: Axes, count: int, across: int, size: tuple[int, int], *, gap: int = 2, look: Look) -> None:
    """The number of each tile of a `mosaic`, small, at its upper left."""
    height, width = size
    for number in range(count):
        top, left = (number // across) * (height + gap), (number % across) * (width + gap)
        place = "bottom" if gap > 4 else "top"
        text = axes.text(left, top, str(number), fontsize=4.5, va=place, color=look.quiet)
        text.set_in_layout(False)  # hundreds of them would be measured to lay out the page, and change nothing


def colour_bar(figure: Any, axes: Axes, colours: Colormap, limits: tuple[float, float], label: str) -> None:
    """A bar that prints its range."""
    bar = figure.colorbar(ScalarMappable(Normalize(*limits), colours), ax=axes, fraction=0.015, pad=0.01, label=label)
    bar.outline.set_visible(False)
    low, high = limits
    ticks = sorted({low, 0.0, high})
    bar.set_ticks(ticks, labels=[f"{t:.2g}".replace("-", "−") for t in ticks])


def step_axis(axes: Axes, last: float) -> None:
    """A log axis of steps that also has room for step 0, the untrained network, which may be all there is."""
    if not last > 0:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], ["0"])
        axes.set_xlabel("one snapshot: untrained")
        return
    axes.set_xscale("symlog", linthresh=1, linscale=0.45)
    ticks = [0, *(10**k for k in range(7) if 10**k <= last)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(-0.15, last * 1.1)
    axes.set_xlabel("optimiser step (0: untrained)")


def step_ticks(axes: Axes, steps: Any) -> None:
    """Labels a snapshot axis, one column a snapshot, with some of its steps (log-spaced as the schedule is)."""
    count = len(steps)
    wanted = sorted({round(i * (count - 1) / 6) for i in range(7)}) if count > 1 else [0]
    axes.set_xticks(wanted, [f"{int(steps[i]):,}" for i in wanted])
    axes.set_xlabel("optimiser step (0: untrained)" if count > 1 else "one snapshot, at this optimiser step")


@functools.cache
def _fonts() -> tuple[str, ...]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in TOKENS["fonts"] if name in installed) or ("DejaVu Sans",)


def _rc(look: Look) -> dict[str, Any]:
    return {
        "font.family": list(_fonts()),
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.labelsize": 8.5,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.facecolor": look.paper,
        "axes.edgecolor": look.quiet,
        "axes.labelcolor": look.ink,
        "axes.titlecolor": look.ink,
        "text.color": look.ink,
        "xtick.color": look.quiet,
        "ytick.color": look.quiet,
        "xtick.labelcolor": look.ink,
        "ytick.labelcolor": look.ink,
        "grid.color": look.grid,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.4,
        "image.interpolation": "nearest",
        "savefig.facecolor": look.paper,
        "savefig.dpi": 150,
    }


def label_points(axes: Axes, points: dict[str, tuple[float, float]], look: Look) -> None:
    """Names points, each where it covers no other name; a name that fits nowhere is left out."""
    figure = axes.get_figure(root=True)
    engine = figure.get_layout_engine() if figure is not None else None
    if figure is not None and engine is not None:
        engine.execute(figure)  # places are known only once the layout is
    taken: list[Any] = []
    for text, place in points.items():
        for dx, dy in ((6, 5), (-6, 5), (6, -11), (-6, -11), (0, 11), (0, -17), (15, -3), (-15, -3)):
            side = "left" if dx > 0 else "right" if dx < 0 else "center"
            note = axes.annotate(text, place, (dx, dy), textcoords="offset points", fontsize=8, ha=side, color=look.ink)
            box = note.get_window_extent().expanded(1.1, 1.1)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()
