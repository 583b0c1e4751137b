"""Where to put the nodes of a graph: in columns from left to right, with few crossings (Sugiyama's method).

A node stands in one column. Where its wire goes on to a farther column it passes through those between, and each
passage takes up room like a thin node. A *vertex* is both: the pair (node, column).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Vertex = tuple[int, int]
SWEEPS = 12


@dataclass(frozen=True)
class Layout:
    """``column`` of each node; ``y``, the middle of each vertex; ``links`` between vertices of adjacent columns."""

    column: list[int]
    y: dict[Vertex, float]
    links: list[tuple[Vertex, Vertex]]


def layered(inputs: Sequence[Sequence[int]], node_height: float = 1.0, wire_height: float = 0.5) -> Layout:
    """The layout of nodes 0, 1, ..., where ``inputs[i]`` lists what node i is made of, all of it before i.

    Every node stands left of all that uses it and as far right as that allows; the last node ends up rightmost.
    Heights are the room that vertices keep, so that nodes in a column are at least ``node_height`` apart.
    """
    column = _columns(inputs)
    links = _links(inputs, column)
    vertices = {vertex for link in links for vertex in link} | {(node, column[node]) for node in range(len(inputs))}
    rows: list[list[Vertex]] = [[] for _ in range(max(column) + 1)]
    for vertex in sorted(vertices):
        rows[vertex[1]].append(vertex)
    height = {vertex: node_height if column[vertex[0]] == vertex[1] else wire_height for vertex in vertices}
    rows = _with_few_crossings(rows, links)
    return Layout(column, _heights(rows, links, height), links)


def _columns(inputs: Sequence[Sequence[int]]) -> list[int]:
    distance = [0] * len(inputs)  # the most steps from a node to anything that uses it
    for node in reversed(range(len(inputs))):
        for before in inputs[node]:
            distance[before] = max(distance[before], distance[node] + 1)
    return [max(distance) - steps for steps in distance]


def _links(inputs: Sequence[Sequence[int]], column: list[int]) -> list[tuple[Vertex, Vertex]]:
    links: dict[tuple[Vertex, Vertex], None] = {}  # a dict keeps the order and drops doubles: users share one wire
    for node, befores in enumerate(inputs):
        for before in befores:
            wire = [(before, c) for c in range(column[before], column[node])]
            links |= dict.fromkeys(zip(wire, [*wire[1:], (node, column[node])], strict=True))
    return list(links)


def _neighbours(links: list[tuple[Vertex, Vertex]]) -> tuple[dict[Vertex, list[Vertex]], dict[Vertex, list[Vertex]]]:
    """The vertices to the left and to the right of each vertex."""
    left, right = defaultdict(list), defaultdict(list)
    for a, b in links:
        left[b].append(a)
        right[a].append(b)
    return left, right


def _with_few_crossings(rows: list[list[Vertex]], links: list[tuple[Vertex, Vertex]]) -> list[list[Vertex]]:
    """The best order that sorting each column by the mean place of its neighbours, to and fro, comes across."""
    left, right = _neighbours(links)
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(SWEEPS):
        place = _places(rows)
        rows = [list(row) for row in rows]
        for row in rows if sweep % 2 else reversed(rows):
            side = left if sweep % 2 else right
            mean = {vertex: _mean([place[other] for other in side[vertex]], place[vertex]) for vertex in row}
            row.sort(key=mean.__getitem__)
            place |= _places([row])
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _places(rows: list[list[Vertex]]) -> dict[Vertex, float]:
    return {vertex: i - (len(row) - 1) / 2 for row in rows for i, vertex in enumerate(row)}


def _mean(numbers: Sequence[float], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default


def _crossings(rows: list[list[Vertex]], links: list[tuple[Vertex, Vertex]]) -> int:
    place = _places(rows)
    gaps: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for a, b in links:
        gaps[a[1]].append((place[a], place[b]))
    return sum((a - c) * (b - d) < 0 for gap in gaps.values() for i, (a, b) in enumerate(gap) for c, d in gap[:i])


def _heights(
    rows: list[list[Vertex]], links: list[tuple[Vertex, Vertex]], height: dict[Vertex, float]
) -> dict[Vertex, float]:
    """Each vertex as near the mean of its neighbours as the order and the heights in its column allow."""
    left, right = _neighbours(links)
    y = {vertex: place * max(height.values()) for vertex, place in _places(rows).items()}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            side = left if sweep % 2 else right
            wanted = [_mean([y[other] for other in side[vertex]], y[vertex]) for vertex in row]
            y |= zip(row, _apart(wanted, [height[vertex] for vertex in row]), strict=True)
    return y


def _apart(wanted: list[float], heights: list[float]) -> list[float]:
    """The increasing numbers nearest to ``wanted`` (least squares) whose neighbours keep their heights apart."""
    offsets = [0.0]
    for a, b in pairwise(heights):
        offsets.append(offsets[-1] + (a + b) / 2)
    blocks: list[tuple[float, int]] = []  # pool adjacent violators: (mean, count) of runs that touch
    for target, offset in zip(wanted, offsets, strict=True):
        mean, count = target - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
