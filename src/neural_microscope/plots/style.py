"""One visual language: every color, font and width comes from tokens.json, for figures and pages alike."""

from __future__ import annotations

import base64
import functools
import html
import inspect
import io
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any, Literal, cast, get_args

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, same_color, to_rgba
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ..doors import door, typed
from ..errors import unknown
from ..files import shown

ThemeName = Literal["light", "dark"]
_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)
_CLASSES: ContextVar[tuple[str, ...]] = ContextVar("classes", default=())
MARKED = 3
"""Characters of the longest class name that can mark a point."""
TOKENS: dict[str, Any] = json.loads(files(__package__).joinpath("tokens.json").read_text("utf-8"))


class Plot(Figure):
    """A matplotlib figure with a text alternative."""

    alt: str = ""
    """The text alternative."""
    theme: Theme
    canvas: FigureCanvasAgg
    numbered: bool = False
    """True if numbers of classes mark points in it."""
    laid_out: bool = False
    """True if its places are known already; a page need not compute them again."""

    def says(self, alt: str, title: str = "") -> Plot:
        """The figure with its words, and with a title above all panels.

        Args:
            alt: The text alternative.
            title: Title above all panels; empty: none.
        """
        self.alt = alt
        if title:
            self.suptitle(title, x=0.01, ha="left")
        return self

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """A notebook's display: the picture, with its text alternative."""
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100)
        return {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": self.alt}, {
            "image/png": {"alt": self.alt}
        }


@dataclass(frozen=True)
class Theme:
    """The colors of a theme."""

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
    used: set[str] = field(default_factory=set, compare=False)
    """The kinds of color that a figure uses besides ink and amounts: ``signed``, ``classes``."""

    @classmethod
    @typed
    def named(cls, name: ThemeName) -> Theme:
        """The colors of ``light`` or ``dark``."""
        if name not in get_args(ThemeName):
            raise unknown("theme", name, get_args(ThemeName))
        return cls(**TOKENS[name], classes=tuple(TOKENS["classes"]))

    @property
    def signed_map(self) -> Colormap:
        """Blue lowers, orange raises; the background is 0."""
        self.used.add("signed")
        return _map("signed", (self.negative, self.paper, self.positive), self.absent)

    @property
    def amount_map(self) -> Colormap:
        """From the background (0) to one hue."""
        return _map("amount", (self.paper, self.amount), self.absent)

    @property
    def digit_map(self) -> Colormap:
        """Digits: ink on paper."""
        return _map("digit", (self.paper, self.ink), self.absent, levels=16)

    def of_class(self, label: int) -> str:
        """A class's color; beyond ten classes the colors repeat."""
        self.used.add("classes")
        return self.classes[label % len(self.classes)]


def _map(name: str, colors: tuple[str, ...], absent: str, levels: int = 65) -> Colormap:
    # As many steps as the eye tells apart, and an odd number, so that 0 is exactly the paper: a page is smaller for it.
    return LinearSegmentedColormap.from_list(name, colors, levels).with_extremes(bad=absent)


MANY_MARKS = 1500
"""Beyond as many single marks a drawing is smaller as pixels than as shapes."""


def has_pixels(plot: Plot) -> bool:
    """True if a figure holds images, or more marks than are worth drawing individually."""
    marks = sum(len(np.asarray(collection.get_offsets())) for axes in plot.axes for collection in axes.collections)
    return marks > MANY_MARKS or any(len(axes.images) > 0 for axes in plot.axes)


def has_band(plot: Plot) -> bool:
    """True if an area of a figure has the color of a null."""
    faces: list[Any] = [patch.get_facecolor() for axes in plot.axes for patch in axes.patches]
    faces += [
        face for axes in plot.axes for area in axes.collections for face in np.reshape(area.get_facecolor(), (-1, 4))
    ]
    return any(same_color(face[:3], plot.theme.null) for face in faces)


_SHORTER: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"<metadata>.*?</metadata>|<style.*?</style>", ""),
    (r' xmlns(:xlink)?="[^"]*"| version="[^"]*"', ""),
    (r'(<svg)[^>]*( viewBox="[^"]*")[^>]*', r"\1\2"),
    (r'<g id="[^"]*"', "<g"),  # unused ids, the same in every figure
    (r" font-family: [^;\"]*;?", ""),  # the page has one
    (r"<[^>]+>", lambda tag: re.sub(r"(-?\d+\.\d\d)\d+", r"\1", tag[0])),  # coordinates only: text is unchanged
    (r"\s*\n\s*([MLCQz])\s*", r"\1"),
    (r'style="[^"]*"', lambda found: found[0].replace("; ", ";").replace(": ", ":")),
    (r">\s+<", "><"),
)


def as_svg(plot: Plot) -> str:
    """A figure drawn in the light theme as an ``<svg>`` for a page: its colors are the page's variables, ``var(--ink)``, so
    that one drawing serves both themes. Words stay words.
    """
    out = io.StringIO()
    fix(plot)  # or savefig would draw everything once for the layout alone, as it does for "none"
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "neural-microscope"}):
        plot.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = text[text.index("<svg") :].replace("xlink:href", "href")
    for pattern, shorter in _SHORTER:
        text = re.sub(pattern, shorter, text, flags=re.DOTALL)
    for name, color in TOKENS["light"].items():
        text = re.sub(re.escape(color), f"var(--{name})", text, flags=re.IGNORECASE)
    return text


BAND = {"light": 0.3, "dark": 0.55}
"""The opacity of the area of a null: on the dark ground 30% would hardly be seen."""


def as_image(svg: str) -> str:
    """The address of an image of what `as_svg` gave, which follows the page's color scheme by itself."""
    text = re.sub(r"clip-path='([^']*)'(?: style='([^']*)')?", r"style='\2;clip-path:\1'", _lean(svg.replace('"', "'")))
    classes = {one: f"c{number}" for number, one in enumerate(sorted(set(re.findall(r"style='([^']*)'", text))))}
    text = re.sub(r"style='([^']*)'", lambda found: f"class='{classes[found[1]]}'", text)
    text = re.sub(
        r"(<use href='[^']*')( x='[^']*' y='[^']*') (class='[^']*')/>(?:\1 x='[^']*' y='[^']*' \3/>)+", _together, text
    )
    faint = f"(?<=opacity:){BAND['light']}(?![0-9])"
    rules = "".join(
        f".{name}{{{re.sub(faint, 'var(--band)', rule) if '--null)' in rule else rule}}}"
        for rule, name in classes.items()
    )
    light, dark = (
        "".join(
            f"--{name}:{value};"
            for name, value in (TOKENS[theme] | {"band": BAND[theme]}).items()
            if f"--{name})" in rules
        )
        for theme in ("light", "dark")
    )
    style = f":root{{{light}font-family:{_sans()}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{rules}"
    start, _, rest = text.partition(">")
    size = re.sub(r".*viewBox='0 0 ([\d.]+) ([\d.]+)'.*", r"width='\1' height='\2'", start)
    text = f"{start} {size} xmlns='http://www.w3.org/2000/svg'><style>{style}</style>{rest}"
    return "data:image/svg+xml," + re.sub("[%#&\n]", lambda sign: f"%{ord(sign[0]):02X}", text)


def _together(found: re.Match[str]) -> str:
    """Marks of one kind, with their style stated once."""
    return f"<g {found[3]}>{found[0].replace(f' {found[3]}', '')}</g>"


def _lean(text: str) -> str:
    """A drawing with short names and without groups, turns and places that change nothing."""
    names = {name: f"n{number}" for number, name in enumerate(dict.fromkeys(re.findall(r" id='([^']*)'", text)))}
    text = re.sub(r"(?<= id=')[^']*|(?<=#)[mp][0-9a-f]{6,}", lambda name: names.get(name[0], name[0]), text)
    text = re.sub(r" transform='rotate\(-?0 [^)]*\)'|<defs></defs>|<g[^>]*/>", "", text)
    text = re.sub(
        r"<[^>]+>",
        lambda tag: re.sub(r"(\d+\.\d)\d+", r"\1", tag[0]).replace(".0 ", " ").replace("\n", "").replace(" '", "'"),
        text,
    )
    kept, parts = [], []
    for part in re.split("(<g(?: [^>]*)?>|</g>)", text):
        if part.startswith("<g"):
            kept.append(part != "<g>")
        if part not in ("<g>", "</g>") or (part == "</g>" and kept.pop()):
            parts.append(part)
    return "".join(parts)


def _sans() -> str:
    return ", ".join(f"'{name}'" if " " in name else name for name in ("system-ui", *TOKENS["fonts"], "sans-serif"))


_OPTIONS = """    theme: ``light`` or ``dark``.
        narrow: True for a column or a phone: 3.4 inches wide, panels below each other, long words wrapped.
        class_names: The name of each class, such as ``run.probe.class_names``; empty: their numbers.
"""
"""The arguments that `draws` adds, for a drawing function's docstring."""


def draws(function: Callable[..., Plot]) -> Callable[..., Plot]:
    """Gives a drawing function the keywords ``theme``, ``narrow`` and ``class_names``, and inside it the `Theme`.

    A line or band that has one point only gets a mark that is seen.
    """
    drawn = door(function)

    @functools.wraps(function)
    def wrapper(
        *args: Any, theme: ThemeName = "light", narrow: bool = False, class_names: Sequence[str] = (), **kwargs: Any
    ) -> Plot:
        colors, before = Theme.named(theme), _narrowed(narrow)
        try:
            with mpl.rc_context(_rc(colors)), classes_called(class_names):  # type: ignore[arg-type]
                plot = drawn(*args, theme=colors, **kwargs)
                _key(plot)
        finally:
            _NARROW.reset(before)
        for axes in plot.axes:
            axes.spines[:].set_in_layout(False)  # they lie along the axes, and are slow to measure
            _mark_lone_points(axes)
            if narrow:
                _wrap(axes)
        _spread(plot)
        return plot

    _describe(wrapper, function)
    return wrapper


def _describe(wrapper: Any, function: Callable[..., Plot]) -> None:
    """Signature, annotations and docstring with the keywords of `draws`."""
    signature = inspect.signature(function)
    added = [
        inspect.Parameter("theme", inspect.Parameter.KEYWORD_ONLY, default="light", annotation=ThemeName),
        inspect.Parameter("narrow", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool),
        inspect.Parameter("class_names", inspect.Parameter.KEYWORD_ONLY, default=(), annotation=Sequence[str]),
    ]
    own = [one for name, one in signature.parameters.items() if name != "theme"]
    wrapper.__signature__ = signature.replace(parameters=[*own, *added])
    wrapper.__annotations__ = {
        **function.__annotations__,
        "theme": ThemeName,
        "narrow": bool,
        "class_names": Sequence[str],
    }
    wrapper.__doc__ = re.sub(r"( +Args:\n(?: {8}.*\n)+)", rf"\1    {_OPTIONS}", function.__doc__ or "")


@typed
def _narrowed(narrow: bool) -> Token[bool]:
    """Sets the width of the figures to come."""
    return _NARROW.set(narrow)


def narrow() -> bool:
    """True while a narrow figure is drawn."""
    return _NARROW.get()


@contextmanager
@typed
def classes_called(class_names: Sequence[str]) -> Iterator[None]:
    """Classes have these names in the figures drawn inside the block, and in `called`.

    Args:
        class_names: The name of each class; empty: as outside of the block.
    """
    before = _CLASSES.set(tuple(class_names) or _CLASSES.get())
    try:
        yield
    finally:
        _CLASSES.reset(before)


def class_name(label: int) -> str:
    """The name of a class inside `classes_called`, or its number."""
    names = _CLASSES.get()
    return names[label] if 0 <= label < len(names) else str(label)


def called(label: int) -> str:
    """The same as a text in a figure, where a dollar sign is not the beginning of a formula."""
    return class_name(label).replace("$", r"\$")


def mark(label: int) -> str:
    """A class as a mark of a point: its name where all are short, otherwise its number."""
    return class_name(label) if _short() else str(label)


def _short() -> bool:
    return all(len(name) <= MARKED and name.isascii() and name.isalnum() for name in _CLASSES.get())


def with_names(text: str) -> str:
    """The names of classes after their numbers: ``class 7 (sneaker)``."""
    names = _CLASSES.get()
    if not names:
        return text

    def named(found: re.Match[str]) -> str:
        return re.sub(
            r"\d+", lambda n: f"{n[0]} ({class_name(int(n[0]))})" if int(n[0]) < len(names) else n[0], found[0]
        )

    return re.sub(r"\b(?:[Cc]lass(?:es)?|(?:misclassified|predicted) as) \d+(?:, \d+)*(?: and \d+)?", named, text)


def _key(plot: Plot) -> None:
    """Says below a figure which names the numbers of classes stand for, where points are marked with those."""
    names = _CLASSES.get()
    if plot.numbered and not _short():
        text = " · ".join(f"{number} {called(number)}" for number in range(len(names[:20]))) + " · …" * (
            len(names) > 20
        )
        lines = textwrap.fill(text, max(20, round(16 * plot.get_figwidth())))
        before = plot._supxlabel.get_text() + "\n" if plot._supxlabel else ""  # type: ignore[attr-defined]
        plot.supxlabel(before + lines, fontsize=7)


def _wrap(axes: Axes) -> None:
    """Wraps the texts of a panel that would exceed it."""
    spec, figure = axes.get_subplotspec(), cast("Plot", axes.get_figure(root=True))
    grid = spec.get_gridspec() if spec else None
    across, down = (grid.ncols / len(spec.colspan), grid.nrows) if spec and grid else (1, 1)
    whole, tall = 72 * figure.get_figwidth(), 72 * figure.get_figheight()
    rooms = {axes.title: whole / across, axes._left_title: whole / across - 55, axes.xaxis.label: whole / across - 55}  # type: ignore[attr-defined]
    rooms |= {axes.yaxis.label: tall / down - 20} | {words: whole - 10 for words in figure.texts}
    for words, room in rooms.items():
        size = 0.62 if words.get_weight() == "bold" else 0.56  # of a letter, in ems
        fill = partial(textwrap.fill, width=max(8, int(room / size / words.get_fontsize())), break_long_words=False)
        words.set_text("\n".join(map(fill, words.get_text().split("\n"))))


def _mark_lone_points(axes: Axes) -> None:
    """One snapshot, one unit: a line of one point would not be seen, nor a band of no width."""
    for line in axes.lines:
        if line.get_marker() in ("None", "") and np.isfinite(line.get_xydata()).all(1).sum() == 1:
            line.set(marker="o", markersize=3.5)
    for band in axes.collections:
        paths = band.get_paths() if isinstance(band, PolyCollection) and not band.get_hatch() else []
        if paths and not any(np.ptp(np.asarray(path.vertices)[:, 0]) for path in paths):
            band.set(linewidth=6, edgecolor=band.get_facecolor())


def lay_out(figure: Any) -> None:
    """Lays out a figure: places are known only then."""
    engine = figure.get_layout_engine()
    if engine is not None:
        for axes in figure.axes:
            vars(axes)["get_tightbbox"] = _remembered(axes)
        for _ in range(2):  # panels of another size may have other ticks
            engine.execute(figure)
        for axes in figure.axes:
            del vars(axes)["get_tightbbox"]


def _remembered(axes: Axes) -> Callable[..., Bbox | None]:
    """``axes.get_tightbbox``, which measures how far words reach beyond the panel again only if those at the ticks have changed."""
    measure, known, beyond = axes.get_tightbbox, None, None

    def box(*args: Any, **options: Any) -> Bbox | None:
        nonlocal known, beyond
        axes.apply_aspect()
        ticks = [
            axis.get_major_formatter().format_ticks(axis.get_majorticklocs().tolist())
            for axis in (axes.xaxis, axes.yaxis)
        ]
        if ticks != known:
            whole = measure(*args, **options)
            known, beyond = ticks, None if whole is None else np.subtract(whole.extents, axes.bbox.extents)
        return None if beyond is None else Bbox.from_extents(*np.add(axes.bbox.extents, beyond))

    return box


def fix(plot: Plot) -> None:
    """Lays out a drawing once and for all, as pages need it."""
    for axis in (axis for axes in plot.axes for axis in (axes.xaxis, axes.yaxis) if not axis.get_label_text()):
        axis.set_label_coords(0, 0)  # or the place of an empty label would be computed again and again
    if not plot.laid_out:
        lay_out(plot)
    plot.set_layout_engine(None)


def _spread(plot: Plot) -> None:
    """Names at the ends of lines (`forms.name_end`) that lie close are moved apart, up and down."""
    named = [[text for text in axes.texts if text.get_gid() == "name"] for axes in plot.axes]
    if any(named):
        lay_out(plot)
        plot.laid_out = True
    for axes, names in zip(plot.axes, named, strict=True):
        top = float(axes.get_window_extent().y0)  # a name below would stand on the axis
        for text in sorted(names, key=lambda text: float(text.get_window_extent().y0)):
            box = text.get_window_extent()
            lift = max(0.0, top - box.y0)
            dx, dy = text.xyann  # type: ignore[attr-defined]
            text.xyann = (dx, dy + lift * 72 / plot.dpi)  # type: ignore[attr-defined]
            top = box.y1 + lift


def empty(width: float | str, height: float, theme: Theme) -> Plot:
    """An empty figure, in inches; a width may be ``narrow``, ``middle`` or ``wide``."""
    inches = TOKENS["widths"][width] if isinstance(width, str) else width
    figure = Plot(figsize=(inches, height), layout="constrained", facecolor=theme.paper)
    figure.theme = theme
    FigureCanvasAgg(figure)
    return figure


BESIDE = 5
"""The most panels of one scale in a row of a wide figure."""


def new(
    width: float | str, height: float, theme: Theme, rows: int = 1, columns: int = 1, **panels: Any
) -> tuple[Plot, list[Axes]]:
    """A figure and its panels, row after row. ``panels``: options of ``Figure.subplots``. In a narrow one, what stands beside each other
    stands below each other; in a wide one, more than ``BESIDE`` panels of one scale stand in several rows.
    """
    slim = narrow() and width != "narrow"
    size = "narrow" if slim else width
    if rows == 2 and columns > (2 if slim else BESIDE):
        # two rows of panels become two columns, so that each panel keeps its place in the list
        shared = {key: {"row": "col", "col": "row"}.get(value, value) for key, value in panels.items()}
        figure = empty(size, 0.6 + 1.15 * columns, theme)
        return figure, list(figure.subplots(columns, 2, squeeze=False, **shared).T.ravel())
    count = rows * columns
    if rows == 1 and slim and 1 < columns <= 4:
        rows, columns = (2, 2) if columns == 4 else (columns, 1)
        height *= 1.35 if columns == 2 else 0.62 * rows
        panels.pop("width_ratios", None)
    elif rows == 1 and columns > BESIDE and panels.get("sharey"):
        columns = 2 if slim else BESIDE - 1
        rows = -(-count // columns)
        height *= 0.62 * rows
    figure = empty(size, height, theme)
    every = list(figure.subplots(rows, columns, squeeze=False, **panels).ravel())
    for spare in every[count:]:
        spare.remove()
    return figure, every[:count]


def plot_of(axes: Axes) -> Plot:
    """The figure that the axes stand in."""
    return cast("Plot", axes.get_figure(root=True))


def theme_of(axes: Axes) -> Theme:
    """The theme of the figure that the axes stand in."""
    return plot_of(axes).theme


def height(axes: Axes) -> float:
    """The height of the figure that the axes stand in, in inches."""
    return float(cast("Plot", axes.get_figure(root=True)).get_figheight())


def share(value: float, digits: int = 0) -> str:
    """A share in percent, for words; ``not known`` for NaN."""
    return "not known" if np.isnan(value) else f"{100 * value:.{digits}f}%"


def told(value: float, digits: int = 2) -> str:
    """A number for words, to so many significant digits, with a true minus; a dash for NaN."""
    return "–" if np.isnan(value) else f"{value:.{digits}g}".replace("-", "−")


def fixed(value: float, digits: int = 2) -> str:
    """A number for words, to so many places, with a true minus and without a negative 0; a dash for NaN."""
    return "–" if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")


def short(hook_point: str) -> str:
    """A hook point's name without what most of them end on; one before the activation function in words."""
    return hook_point.removesuffix(".hook_post").removesuffix(".hook_out").replace(".hook_pre", ", pre-activations")


def axis_of(table: xr.Dataset | xr.DataArray) -> str:
    """The axis of a layer's activations: ``channel`` or ``unit``."""
    return "channel" if "channel" in table.dims else "unit"


def readable(under: Any, theme: Theme) -> str:
    """Ink or paper, whichever stands out from the color."""
    light = [float(np.dot(to_rgba(color)[:3], (0.3, 0.59, 0.11))) for color in (under, theme.ink, theme.paper)]
    return theme.ink if abs(light[0] - light[1]) > abs(light[0] - light[2]) else theme.paper


def html_page(title: str, style: str, body: str, policy: str) -> str:
    """A whole HTML page with the tokens as variables of its style sheet, in light and in dark. Its content security policy says what
    it may ask for; ``style`` and ``body`` are taken as they are.
    """
    colors = {
        theme: "".join(f"--{name}:{value};" for name, value in TOKENS[theme].items()) for theme in ("light", "dark")
    }
    classes = "".join(f"--class-{i}:{color};" for i, color in enumerate(TOKENS["classes"]))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{html.escape(shown(title))}</title>'
        f"<style>:root{{color-scheme:light dark;--sans:{_sans()};{classes}{colors['light']}}}"
        f"@media (prefers-color-scheme: dark){{:root{{{colors['dark']}}}}}{style}</style></head><body>{body}</body></html>\n"
    )


@functools.cache
def _fonts() -> tuple[str, ...]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in TOKENS["fonts"] if name in installed) or ("DejaVu Sans",)


def _rc(theme: Theme) -> dict[str, Any]:
    colors = {name: getattr(theme, role) for name, role in TOKENS["matplotlib colors"].items()}
    return {"font.family": list(_fonts())} | TOKENS["matplotlib"] | colors
