"""The drawing's content and form; nothing in it overlaps."""

from __future__ import annotations

import html
import itertools
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from neural_microscope.scalar import MLP, Neuron, Value, draw_graph
from neural_microscope.scalar.draw import Drawing, _cell_width, _decimal

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def neuron() -> Value:
    out = Neuron(3)([Value(x, label=f"x{i}") for i, x in enumerate((1.0, -2.0, 0.5))])
    out.backward()
    return out


def small_mlp() -> Value:
    (out,) = MLP(2, [3, 2, 1])([Value(1.0, label="x0"), Value(-2.0, label="x1")])
    loss = (out - 1) ** 2
    loss.label = "loss"
    loss.backward()
    return loss


def odd() -> Value:
    """Re-used values, long wires, long and wide labels, large, tiny and infinite numbers."""
    x = Value(3, label="重み — a label much too long for any box")
    y = x * x
    z = y * x + y / (x.exp() + 1e-9)
    out = (z.sigmoid() + x**2.123456) * z * 1e7 + x * x * y + (x - 3) ** 0.5
    out.backward()
    return out


EXPRESSIONS = {"leaf": lambda: Value(2), "neuron": neuron, "mlp": small_mlp, "odd": odd}
every_expression = pytest.mark.parametrize("name", EXPRESSIONS)


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing))


def with_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if element.get("class") == name]


def box(rect: ElementTree.Element) -> Box:
    x, y, width, height = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def points(path: str) -> list[list[tuple[float, float]]]:
    """Points along each wire of a path made of M, H and c."""
    wires = []
    for wire in path.split("M")[1:]:
        x, y, x0, *curve, end = map(float, re.findall(r"-?[\d.]+", wire))
        (ax, ay, bx, by, cx, cy), line = curve, [(x + (x0 - x) * i / 40, y) for i in range(41)]
        for t in (i / 20 for i in range(21)):
            u, v, w = 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
            line.append((x0 + u * ax + v * bx + w * cx, y + u * ay + v * by + w * cy))
        wires.append([*line, (end, y + cy)])
    return wires


def test_each_value_shows_its_label_data_and_gradient_and_each_operation_its_name() -> None:
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    y = (a * b).tanh()
    y.label = "y"
    y.backward()
    shown = [[text.text for text in node.iter(SVG + "text")] for node in parsed(draw_graph(y)).iter(SVG + "g")]
    assert shown == [
        ["a", "data 2.0000", f"grad {_decimal(a.grad)}"],
        ["b", "data -3.0000", f"grad {_decimal(b.grad)}"],
        ["*", "data -6.0000", f"grad {_decimal(1 - y.data**2)}"],
        ["tanh", "y", f"data {y.data:.4f}", "grad 1.0000"],
    ]


@every_expression
def test_there_is_a_wire_with_an_arrow_head_for_every_input(name: str) -> None:
    root = EXPRESSIONS[name]()
    n_inputs, todo, seen = 0, [root], {root}
    while todo:
        value = todo.pop()
        n_inputs += len(value._prev)
        todo.extend(before for before in set(value._prev) if before not in seen)
        seen.update(value._prev)
    svg = parsed(draw_graph(root))
    (heads,) = with_class(svg, "head")
    assert heads.get("d", "").count("M") == n_inputs
    assert len(with_class(svg, "box")) == len(seen)


def test_a_value_used_twice_by_one_operation_has_two_wires_that_end_apart() -> None:
    x = Value(3)
    (heads,) = with_class(parsed(draw_graph(x * x)), "head")
    assert len(set(heads.get("d", "").split("M")[1:])) == 2


@every_expression
def test_no_box_or_operation_overlaps_another_or_leaves_the_picture(name: str) -> None:
    svg = parsed(draw_graph(EXPRESSIONS[name]()))
    left, top, width, height = map(float, svg.get("viewBox", "").split())
    boxes = [box(rect) for rect in [*with_class(svg, "box"), *with_class(svg, "op")]]
    for x0, y0, x1, y1 in boxes:
        assert left + 10 <= x0 < x1 <= left + width - 10
        assert top + 10 <= y0 < y1 <= top + height - 10
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] + 8 <= b[0] or b[2] + 8 <= a[0] or a[3] + 8 <= b[1] or b[3] + 8 <= a[1]


@every_expression
def test_no_wire_runs_through_a_box_or_an_operation_or_leaves_the_picture(name: str) -> None:
    svg = parsed(draw_graph(EXPRESSIONS[name]()))
    left, top, width, height = map(float, svg.get("viewBox", "").split())
    solid = [box(rect) for rect in [*with_class(svg, "box"), *with_class(svg, "op")]]
    wires = points(next(path.get("d", "") for path in svg.findall(SVG + "path") if path.get("class") == "wire"))
    assert wires or name == "leaf"
    for x, y in itertools.chain.from_iterable(wires):
        assert left < x < left + width
        assert top < y < top + height
        assert not any(x0 + 0.2 < x < x1 - 0.2 and y0 - 10 < y < y1 + 10 for x0, y0, x1, y1 in solid)


@pytest.mark.browser
@every_expression
def test_every_text_fits_its_cell_in_a_browser(name: str, chromium: str, tmp_path: Path) -> None:
    measure = """
    const cell = text => {  // from the text's own middle to the nearest edge or separator of its box, doubled
      const group = text.parentNode, x = +text.getAttribute("x"), op = text.classList.contains("op-name");
      const rect = group.querySelector(op ? ".op" : ".box").getBBox();
      const lines = [...group.querySelectorAll(".wire")].map(path => path.getBBox()).filter(b => b.width == 0);
      const edges = [rect.x, rect.x + rect.width, ...lines.map(b => b.x)];
      return 2 * Math.min(...edges.map(edge => Math.abs(edge - x)));
    };
    document.body.dataset.slack = Math.min(
      ...[...document.querySelectorAll("svg text")].map(text => cell(text) - text.getComputedTextLength()));
    """
    page = tmp_path / "page.html"
    text = f"<!doctype html><meta charset=utf-8><body>{draw_graph(EXPRESSIONS[name]())}<script>{measure}</script>"
    page.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    dom = subprocess.run([chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'data-slack="([-\d.]+)"', dom)
    assert found, html.escape(dom[-500:])
    assert float(found[1]) >= 6


def test_a_label_can_hold_anything() -> None:
    label = '</text><script>alert("&")</script>\x00\n\ud800'
    svg = parsed(draw_graph(Value(1, label=label)))
    assert not list(svg.iter(SVG + "script"))
    (node,) = svg.iter(SVG + "g")
    assert "".join(node.find(SVG + "title").itertext()).startswith('</text><script>alert("&")</script>���: data 1.0')
    assert next(text.text for text in node.iter(SVG + "text")) == '</text><script>alert("&…'


def test_a_wide_character_has_the_room_of_two() -> None:
    assert _cell_width("重み") == _cell_width("four")


def test_a_screen_reader_gets_a_title_and_a_description() -> None:
    svg = parsed(draw_graph(small_mlp()))
    assert svg.get("role") == "img"
    assert svg[0].tag == SVG + "title"
    assert svg[0].text == "Graph of loss"
    assert svg[1].tag == SVG + "desc"
    assert re.fullmatch(r"From left to right, \d+ values and the \d+ operations .* grad 1\.0000\.", svg[1].text or "")


def luminance(color: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_inks_stand_out_from_what_is_under_them_in_light_and_dark(scheme: str) -> None:
    light, dark = parsed(draw_graph(Value(1))).find(SVG + "style").text.split("@media (prefers-color-scheme: dark)")
    colors = dict(re.findall(r"\.expression-graph (\S+) {.*?(?:fill|stroke): (#\w{6})", light))
    if scheme == "dark":
        changed = dict(re.findall(r"\.expression-graph (\S+) {.*?(?:fill|stroke): (#\w{6})", dark))
        assert changed.keys() == colors.keys()
        colors = changed
    assert colors[".paper"] == {"light": "#fbfaf7", "dark": "#15171a"}[scheme]
    assert colors["text"] == {"light": "#1c1e21", "dark": "#e8e6e1"}[scheme]
    pairs = [("text", ".box", 7), ("text.grad", ".box", 7), ("text.op-name", ".op", 7), (".wire", ".paper", 4.5)]
    for ink, ground, least in pairs:
        bright, dim = sorted((luminance(colors[ink]), luminance(colors[ground])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= least, (ink, ground)


def test_the_style_reaches_nothing_outside_the_drawing() -> None:
    style = parsed(draw_graph(Value(1))).find(SVG + "style").text
    selectors = [line.split("{")[0].strip() for line in style.splitlines() if "{" in line and "@media" not in line]
    assert selectors
    assert all(selector.startswith(".expression-graph ") for selector in selectors)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2, "2.0000"),
        (-0.0, "0.0000"),
        (1e-4, "0.0001"),
        (9.9e-5, "9.90e-05"),
        (-99999.0, "-99999.0000"),
        (1e5, "1.00e+05"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_four_decimals_or_an_exponent(number: float, text: str) -> None:
    assert _decimal(number) == text


def test_too_large_a_graph_is_refused_with_both_counts() -> None:
    (out,) = MLP(2, [16, 16, 1])([1.0, 2.0])
    with pytest.raises(ValueError, match=r"1,\d{3} values came, and max_nodes is 200; draw a smaller"):
        draw_graph(out)


def test_a_chain_deeper_than_pythons_recursion_is_drawn_when_asked_for() -> None:
    value = Value(1)
    for _ in range(1500):
        value = -value
    assert len(with_class(parsed(draw_graph(value, max_nodes=1501)), "box")) == 1501


def test_a_list_of_outputs_is_refused_with_a_way_out() -> None:
    with pytest.raises(TypeError, match=r"came list.*outputs\[0\]"):
        draw_graph(MLP(2, [1])([1.0, 2.0]))  # type: ignore[arg-type]


def test_a_drawing_is_shown_by_notebooks_and_saved_as_it_is(tmp_path: Path) -> None:
    drawing = draw_graph(odd())
    assert drawing.save(str(tmp_path / "a.svg")) == tmp_path / "a.svg"
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == str(drawing) == drawing._repr_svg_()


def test_drawing_changes_nothing_and_is_the_same_every_time() -> None:
    root = odd()
    assert str(draw_graph(root)) == str(draw_graph(root))
    assert root.grad == 1.0
