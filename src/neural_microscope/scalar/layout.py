"""Layout of a graph's nodes: in columns from left to right, with few crossings (Sugiyama's method).

A node is in one column. A wire to a farther column passes through those between, and each
passage takes up room like a thin node. A *vertex* is both: the pair (node, column).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
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
    rows: list[list[Vertex]] = [[] for _ in range(max(column) + 1)]
    for vertex in sorted({(node, column[node]) for node in range(len(inputs))}.union(*links)):
        rows[vertex[1]].append(vertex)
    y: dict[Vertex, float] = {}
    for row in rows:
        y |= _evenly(row, node_height)
    for row, wanted in _to_and_fro(rows, links, y, SWEEPS - 1):  # the order, so that few wires cross
        row.sort(key=wanted.__getitem__)
        y |= _evenly(row, node_height)
    for row, wanted in _to_and_fro(rows, links, y, SWEEPS):  # the heights
        heights = [node_height if column[node] == c else wire_height for node, c in row]
        y |= zip(row, _apart([wanted[vertex] for vertex in row], heights), strict=True)
    return Layout(column, y, links)


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


def _evenly(row: list[Vertex], height: float) -> dict[Vertex, float]:
    return {vertex: (i - (len(row) - 1) / 2) * height for i, vertex in enumerate(row)}


def _to_and_fro(
    rows: list[list[Vertex]], links: list[tuple[Vertex, Vertex]], y: dict[Vertex, float], sweeps: int
) -> Iterator[tuple[list[Vertex], dict[Vertex, float]]]:
    """Each column with the mean height of its vertices' neighbors in the column before it, by turns from the right and the left."""
    neighbors: tuple[dict[Vertex, list[Vertex]], ...] = (defaultdict(list), defaultdict(list))
    for a, b in links:
        neighbors[0][a].append(b)
        neighbors[1][b].append(a)
    for sweep in range(sweeps):
        for row in rows if sweep % 2 else reversed(rows):
            near = {vertex: [y[other] for other in neighbors[sweep % 2][vertex]] for vertex in row}
            yield row, {vertex: sum(ys) / len(ys) if ys else y[vertex] for vertex, ys in near.items()}


def _apart(wanted: list[float], heights: list[float]) -> list[float]:
    """The increasing numbers nearest to ``wanted`` (least squares) whose neighbors keep their heights apart."""
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
