"""The drawing of an expression: boxes for values, circles for operations, wires from left to right."""

from __future__ import annotations

import math
import os
import unicodedata
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .engine import Value, topological_order
from .layout import Layout, Vertex, layered

# All lengths are in pixels. Monospace fonts are 0.60 to 0.62 as wide as high.
FONT, CHARACTER, CELL_PADDING, LONGEST_LABEL = 13, 8.1, 8, 24
BOX, ROW, WIRE, PORTS = 26, 40, 14, 12  # heights of a box, its room, a passing wire's room, between two arrow heads
GAP, STEM, HEAD, MARGIN = 56, 16, 8, 20  # widths between columns, from circle to box, of an arrow head, round it all

STYLE = f"""
.expression-graph text {{ font: {FONT}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
text-anchor: middle; fill: #1c1e21; }}
.expression-graph .paper {{ fill: #fbfaf7; }}
.expression-graph .box {{ fill: #ffffff; stroke: #1c1e21; }}
.expression-graph .wire {{ fill: none; stroke: #6a6f77; stroke-width: 1.3; }}
.expression-graph .head {{ fill: #6a6f77; }}
.expression-graph .op {{ fill: #1c1e21; }}
.expression-graph text.op-name {{ fill: #fbfaf7; }}
.expression-graph text.grad {{ fill: #8a3b12; }}
@media (prefers-color-scheme: dark) {{
.expression-graph text {{ fill: #e8e6e1; }}
.expression-graph .paper {{ fill: #15171a; }}
.expression-graph .box {{ fill: #202327; stroke: #e8e6e1; }}
.expression-graph .wire {{ stroke: #9a9fa8; }}
.expression-graph .head {{ fill: #9a9fa8; }}
.expression-graph .op {{ fill: #e8e6e1; }}
.expression-graph text.op-name {{ fill: #15171a; }}
.expression-graph text.grad {{ fill: #f2a97e; }}
}}
"""


class Drawing(str):
    """An SVG picture: notebooks show it, ``str`` gives its text, ``save`` writes it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Drawing, {len(self):,} characters of SVG"

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the SVG; returns the path.

        Args:
            path: File to write; an existing one is replaced.
        """
        path = Path(path)
        path.write_text(self, encoding="utf-8")
        return path


def draw_graph(root: Value, max_nodes: int = 200) -> Drawing:
    """The drawing of everything ``root`` was computed from, with each value's data and gradient.

    Numbers have four decimals, or an exponent below 0.0001 and from 100,000 on.

    Args:
        root: One Value.
        max_nodes: The most values that are drawn.

    Raises:
        ValueError: More values than ``max_nodes``.

    >>> from neural_microscope.scalar import Value, draw_graph
    >>> draw_graph(Value(2.0, label="a") * Value(-3.0, label="b"))
    Drawing, ... characters of SVG
    """
    if not isinstance(root, Value):
        raise TypeError(f"draw_graph takes one Value; came {type(root).__name__}. From a list, take one: outputs[0]")
    values = topological_order(root)
    if len(values) > max_nodes:
        raise ValueError(
            f"{len(values):,} values came, and max_nodes is {max_nodes:,}; "
            "draw a smaller expression (one neuron, one example) or raise max_nodes"
        )
    return Drawing(_svg(values))


def _svg(values: list[Value]) -> str:
    number = {value: i for i, value in enumerate(values)}
    inputs = [[number[before] for before in value._prev] for value in values]
    layout = layered(inputs, ROW, WIRE)
    columns = _columns(values, layout)
    top, bottom = min(layout.y.values()) - ROW / 2 - MARGIN, max(layout.y.values()) + ROW / 2 + MARGIN
    width, height = math.ceil(columns[-1].right + MARGIN), math.ceil(bottom - top)
    root, n_operations = values[-1], sum(bool(value._op) for value in values)
    nodes = (
        _node(value, columns[column], layout.y[i, column])
        for i, (value, column) in enumerate(zip(values, layout.column, strict=True))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" class="expression-graph" role="img" \
width="{width}" height="{height}" viewBox="0 {top:.1f} {width} {height}">
<title>Graph of {escape(_clean(root.label) or "an expression")}</title>
<desc>From left to right, {len(values)} values and the {n_operations} operations between them. \
The result has data {_decimal(root.data)} and grad {_decimal(root.grad)}.</desc>
<style>{STYLE}</style>
<rect class="paper" y="{top:.1f}" width="{width}" height="{height}"/>
{_wires(values, inputs, layout, columns)}
{"".join(nodes)}</svg>
"""


@dataclass(frozen=True)
class _Column:
    """Operations stand between ``left`` and ``box``, boxes from ``box`` to ``right``."""

    left: float
    box: float
    right: float


def _columns(values: list[Value], layout: Layout) -> list[_Column]:
    columns: list[_Column] = []
    for c in range(max(layout.column) + 1):
        here = [value for value, column in zip(values, layout.column, strict=True) if column == c]
        left = columns[-1].right + GAP if columns else float(MARGIN)
        box = left + max(_op_width(value) + STEM if value._op else 0 for value in here)
        columns.append(_Column(left, box, box + max(map(_box_width, here))))
    return columns


def _wires(values: list[Value], inputs: list[list[int]], layout: Layout, columns: list[_Column]) -> str:
    def wire(a: Vertex, end: float, y: float) -> str:
        """From vertex ``a`` level to its column's edge, curved through the gap, level to ``end``."""
        node, c = a
        start = columns[c].box + _box_width(values[node]) if layout.column[node] == c else columns[c].left
        rise, bend = y - layout.y[a], GAP / 2
        return (
            f"M{start:.1f} {layout.y[a]:.1f}H{columns[c].right:.1f}"
            f"c{bend} 0 {bend} {rise:.1f} {GAP} {rise:.1f}H{end:.1f}"
        )

    passing = [wire(a, columns[b[1]].left, layout.y[b]) for a, b in layout.links if layout.column[b[0]] != b[1]]
    arriving, heads = [], []
    for node, befores in enumerate(inputs):
        c = layout.column[node]
        sources = sorted(((before, c - 1) for before in befores), key=layout.y.__getitem__)
        for port, source in enumerate(sources):
            rise = PORTS * (port - (len(sources) - 1) / 2)  # apart, so that x * x shows two wires
            circle = columns[c].box - STEM - _op_width(values[node]) + BOX / 2
            x, y = circle - math.sqrt((BOX / 2) ** 2 - rise**2), layout.y[node, c] + rise
            arriving.append(wire(source, x - HEAD, y))
            heads.append(f"M{x:.1f} {y:.1f}l{-HEAD} -4v8z")
    # One path for all: where wires share a stretch, strokes on top of each other would look thicker.
    return f'<path class="wire" d="{"".join(passing + arriving)}"/>\n<path class="head" d="{"".join(heads)}"/>'


def _node(value: Value, column: _Column, y: float) -> str:
    """The value's box, and left of it the operation that made it."""
    parts, top = [], f"{y - BOX / 2:.1f}"
    if value._op:
        width = _op_width(value)
        x = column.box - STEM - width
        parts.append(f'<path class="wire" d="M{x + width:.1f} {y:.1f}h{STEM}"/>')
        parts.append(f'<rect class="op" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BOX}" rx="{BOX / 2}"/>')
        parts.append(_text(value._op, x + width / 2, y, "op-name"))
    x, width = column.box, _box_width(value)
    parts.append(f'<rect class="box" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BOX}" rx="3"/>')
    for kind, text in _cells(value):
        if x > column.box:
            parts.append(f'<path class="wire" d="M{x:.1f} {top}v{BOX}"/>')
        parts.append(_text(text, x + _cell_width(text) / 2, y, kind))
        x += _cell_width(text)
    hint = f"{_clean(value.label) or 'value'}: data {value.data!r}, grad {value.grad!r}"
    return f"<g><title>{escape(hint)}</title>{''.join(parts)}</g>\n"


def _text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y + FONT * 0.35:.1f}">{escape(text)}</text>'


def _cells(value: Value) -> list[tuple[str, str]]:
    label = _clean(value.label)
    if len(label) > LONGEST_LABEL:
        label = label[: LONGEST_LABEL - 1] + "…"
    cells = [("data", f"data {_decimal(value.data)}"), ("grad", f"grad {_decimal(value.grad)}")]
    return [("label", label), *cells] if label else cells


def _cell_width(text: str) -> float:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return (len(text) + wide) * CHARACTER + 2 * CELL_PADDING


def _box_width(value: Value) -> float:
    return sum(_cell_width(text) for _, text in _cells(value))


def _op_width(value: Value) -> float:
    return max(float(BOX), len(value._op) * CHARACTER + 1.5 * CELL_PADDING)


def _decimal(number: float) -> str:
    if number == 0 or 1e-4 <= abs(number) < 1e5:
        return f"{number + 0.0:.4f}"  # + 0.0 takes the sign from -0.0
    return f"{number:.2e}"  # which writes nan and inf as words


def _clean(label: str) -> str:
    """The label without what XML can't hold, such as control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(label))
