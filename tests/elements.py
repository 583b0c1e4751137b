"""The texts of a made page with the elements around each, and the claims that the page stores."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

Element = tuple[str, dict[str, str]]
"""Its tag and its attributes."""

VOID = ("meta", "img", "source")


class Elements(HTMLParser):
    """Each text with the elements around it, the outermost first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.above: list[Element] = []
        self.texts: list[tuple[list[Element], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.above.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.above.pop()

    def handle_data(self, data: str) -> None:
        if self.above:
            self.texts.append(([*self.above], data))

    @property
    def stored(self) -> dict[str, dict[str, Any]]:
        """The values that a report carries, by the claims' ids."""
        blocks = (text for above, text in self.texts if above[-1][0] == "script" and "type" in above[-1][1])
        claims = json.loads(zlib.decompress(base64.b64decode(json.loads("".join(blocks)))))
        assert len({claim["id"] for claim in claims}) == len(claims), "ids are unique"
        return {claim["id"]: claim for claim in claims}

    def of_class(self, name: str) -> Iterator[tuple[list[str], str]]:
        """(the claims it belongs to, text) of every element of a class."""
        for above, text in self.texts:
            if name in above[-1][1].get("class", "").split():
                yield named(above), text


def named(above: list[Element]) -> list[str]:
    """The claims that the innermost element around a text names."""
    return next((attrs["data-claim"].split() for _, attrs in reversed(above) if "data-claim" in attrs), [])


def classed(above: list[Element], name: str) -> bool:
    """True if any element around a text is of this class."""
    return any(name in attrs.get("class", "").split() for _, attrs in above)
