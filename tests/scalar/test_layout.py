"""The layout's promises, on random graphs and on ones that can be checked by eye."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neural_microscope.scalar.layout import _apart, layered

NODE, WIRE = 40.0, 14.0


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Nodes with up to two inputs before them; whatever is left unused feeds one last node."""
    inputs: list[list[int]] = []
    for node in range(draw(st.integers(1, 14))):
        earlier = st.integers(0, node - 1) if node else st.nothing()
        inputs.append(draw(st.lists(earlier, max_size=2)) if node else [])
    used = {before for befores in inputs for before in befores}
    return [*inputs, [node for node in range(len(inputs)) if node not in used]]


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_every_node_stands_left_of_all_that_uses_it_and_touches_the_nearest(inputs: list[list[int]]) -> None:
    column = layered(inputs).column
    for node in range(len(inputs) - 1):
        users = [user for user, befores in enumerate(inputs) if node in befores]
        assert column[node] == min(column[user] for user in users) - 1
    assert column[-1] == max(column)
    assert min(column) == 0


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_vertices_of_a_column_keep_their_room(inputs: list[list[int]]) -> None:
    layout = layered(inputs, NODE, WIRE)
    for a, b in itertools.combinations(layout.y, 2):
        if a[1] == b[1]:
            room = sum(NODE if layout.column[node] == c else WIRE for node, c in (a, b)) / 2
            assert abs(layout.y[a] - layout.y[b]) >= room - 1e-6


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_every_edge_is_a_chain_of_links_through_the_columns_between(inputs: list[list[int]]) -> None:
    layout = layered(inputs)
    links = set(layout.links)
    assert len(links) == len(layout.links)
    for node, befores in enumerate(inputs):
        for before in befores:
            wire = [(before, c) for c in range(layout.column[before], layout.column[node])]
            assert links >= set(itertools.pairwise([*wire, (node, layout.column[node])]))


def drawn_crossings(inputs: list[list[int]]) -> int:
    """Pairs of links between the same columns that change sides, told from the heights alone."""
    layout = layered(inputs)
    lines = [(a[1], layout.y[a], layout.y[b]) for a, b in layout.links]
    return sum(
        c == d and (y0 - z0) * (y1 - z1) < -1e-9 for (c, y0, y1), (d, z0, z1) in itertools.combinations(lines, 2)
    )


@pytest.mark.parametrize(
    ("inputs", "fewest"),
    [
        ([[], [], [1], [0], [2, 3]], 0),
        ([[], [], [], [2], [0], [1], [3, 4, 5]], 0),
        ([[], [], [0, 1], [0, 1], [2, 3]], 1),  # two nodes that both use both: one crossing can't be avoided
        ([[], [], [], [], [0, 3], [1, 2], [0, 3], [1, 2], [4, 6], [5, 7], [8, 9]], 2),
    ],
)
def test_crossings_that_can_be_avoided_are_avoided(inputs: list[list[int]], fewest: int) -> None:
    assert drawn_crossings(inputs) == fewest


def test_a_node_stands_midway_between_its_inputs_where_there_is_room() -> None:
    layout = layered([[], [], [0, 1], [], [], [3, 4], [2, 5]])
    y = {node: height for (node, _), height in layout.y.items()}
    for node, (a, b) in {2: (0, 1), 5: (3, 4), 6: (2, 5)}.items():
        assert y[node] == pytest.approx((y[a] + y[b]) / 2)


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.sampled_from([14.0, 40.0])), min_size=1, max_size=8),
    st.lists(st.floats(-30, 30), min_size=8, max_size=8),
)
def test_no_other_spacing_lies_nearer_to_the_wanted_heights(
    vertices: list[tuple[float, float]], nudges: list[float]
) -> None:
    wanted, heights = [w for w, _ in vertices], [h for _, h in vertices]
    found = _apart(wanted, heights)

    def misfit(places: list[float]) -> float:
        return sum((place - target) ** 2 for place, target in zip(places, wanted, strict=True))

    other = [found[0] + nudges[0]]  # any places that are far enough apart
    for i in range(1, len(found)):
        other.append(max(found[i] + nudges[i], other[-1] + (heights[i - 1] + heights[i]) / 2))
    assert misfit(found) <= misfit(other) + 1e-6
