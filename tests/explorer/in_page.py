"""Shared by tests of the page: a pen, the page's text, and arrays in and out of it."""

from __future__ import annotations

import base64
import io
import math
import zlib
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page

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


def address(tab: Page) -> str:
    """The hash, which follows the view after it is drawn."""
    tab.evaluate(FRAME)
    return str(tab.evaluate("location.hash"))


def unpacked(tab: Page) -> Page:
    """The page with all snapshots loaded; it unpacks them after it is ready."""
    tab.evaluate(
        "async () => { for (let frame = 0; frame < microscope.lab.frames; frame++) await microscope.lab.load(frame); }"
    )
    return tab


def says(tab: Page, network: int) -> int:
    return int(tab.locator(".verdict strong").nth(network).inner_text())


def pixels(tab: Page, selector: str) -> np.ndarray:
    """The pixels of a canvas: [row, col, 4]."""
    address = tab.locator(selector).first.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGBA"))
