"""Shared by tests of the page: a pen, the page's text, and arrays in and out of it."""

from __future__ import annotations

import base64
import functools
import io
import math
import re
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from torch import nn

import neural_microscope as nm

ARRAY = """values => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    let text = ''; for (const b of bytes) text += String.fromCharCode(b);
    return btoa(text); }"""
"""A Float32Array as base64: numbers one by one take seconds."""


def array(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def given(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, np.float32).tobytes()).decode()


FLOATS = "text => new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer)"


SIZES = {"float16": np.float16, "float32": np.float32, "difference": np.int8}


def decoded(tab: Page, network: int, snapshot: int) -> dict[str, np.ndarray]:
    """The weights that the page has, from its data."""
    about = tab.evaluate("network => microscope.page.networks[network]", network)
    stored, places = about["weights"][snapshot], about["tensors"]
    planes = np.frombuffer(zlib.decompress(base64.b64decode(stored["numbers"])), np.uint8)
    kind = np.dtype(SIZES[stored["kind"]])
    numbers = np.frombuffer(planes.reshape(kind.itemsize, -1).T.tobytes(), kind).astype(np.float32)
    found = {
        name: numbers[at["offset"] : at["offset"] + math.prod(at["shape"])].reshape(at["shape"])
        for name, at in places.items()
    }
    if "scales" in stored:
        after = decoded(tab, network, snapshot + 1)
        found = {name: after[name] + np.float32(stored["scales"][name]) * values for name, values in found.items()}
    return found


def in_page(tab: Page, run: nm.Run, network: int, snapshot: int = -1, into: Any = None) -> Any:
    """The network with the weights that the page has."""
    steps = tab.evaluate("network => microscope.page.networks[network].steps", network)
    snapshot %= len(steps)
    model = run.model(step=steps[snapshot], into=into)
    weights = {name: torch.from_numpy(values) for name, values in decoded(tab, network, snapshot).items()}
    model.load_state_dict(model.state_dict() | weights)
    return model


def one_image(run: nm.Run) -> float:
    """By so much may an accuracy differ, and a little more."""
    return 1.1 / len(run.probe)


FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


def draw(tab: Page, *points: tuple[float, float]) -> None:
    """A stroke through points given as shares of the pad's side."""
    box = tab.locator(".pad").bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    tab.evaluate(FRAME)  # a hand is slower than a frame
    for place in places[1:]:
        tab.mouse.move(*place, steps=8)
    tab.mouse.up()


def address(tab: Page, part: str = "") -> str:
    """The hash, once it holds what the pattern ``part`` matches: it follows the view after it is drawn."""
    tab.evaluate(FRAME)
    if part:
        expect(tab).to_have_url(re.compile(f"#.*{part}"))
    return str(tab.evaluate("location.hash"))


def unpacked(tab: Page) -> Page:
    """The page with all snapshots loaded; it unpacks them after it is ready."""
    tab.evaluate(
        "async () => { for (let frame = 0; frame < microscope.lab.frames; frame++) await microscope.lab.load(frame); }"
    )
    return tab


def panel(tab: Page, name: str) -> Locator:
    """The inspector's panel of that name, shown."""
    tab.get_by_role("tab", name=name).click()
    return tab.get_by_role("tabpanel", name=name)


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}


def check_axe(tab: Page, about: object = "") -> None:
    """axe finds nothing on the page as it is."""
    policy = tab.context.new_cdp_session(tab)
    policy.send("Page.setBypassCSP", {"enabled": True})
    result = Axe().run(tab, options=RULES)
    policy.send("Page.setBypassCSP", {"enabled": False})
    assert result.violations_count == 0, (about, result.generate_report())


def says(tab: Page, network: int) -> int:
    return int(tab.locator(".verdict strong").nth(network).inner_text())


def predicts(tab: Page, network: int, label: int) -> None:
    expect(tab.locator(".verdict strong").nth(network)).to_have_text(str(label))


def pixels(tab: Page, selector: str) -> np.ndarray:
    """The pixels of a canvas: [row, col, 4]."""
    address = tab.locator(selector).first.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGBA"))


def linear_sums(model: Any, image: torch.Tensor) -> list[Callable[[int, int, int], dict[str, Any]]]:
    """For each linear layer and convolution in order a function of a unit, a position in its map, and the number of sources: each source's
    part of the output there, the output, and the highest of the unit's map.
    """
    seen: list[tuple[Any, torch.Tensor, torch.Tensor]] = []
    layers = [one for one in model.modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    handles = [
        one.register_forward_hook(lambda own, given, made: seen.append((own, given[0].clone(), made.clone())))
        for one in layers
    ]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()

    def of(
        layer: Any, read: torch.Tensor, made: torch.Tensor, unit: int, position: int, sources: int
    ) -> dict[str, Any]:
        x = read.reshape(-1)
        if isinstance(layer, nn.Conv2d):
            padding = [side // 2 for side in layer.kernel_size] if layer.padding == "same" else layer.padding
            x = nn.functional.unfold(
                read, layer.kernel_size, padding=padding, stride=layer.stride, dilation=layer.dilation
            )[0, :, position]
        parts = (layer.weight[unit].reshape(-1) * x).reshape(sources, -1).sum(1)
        own = made[0, unit].reshape(-1)
        return {"parts": parts.detach().numpy(), "sum": float(own[position]), "highest": float(own.max())}

    return [functools.partial(of, *one) for one in seen]
