"""Tables of results: of any measure's dataset, and of all units from their claims."""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

import numpy as np
import xarray as xr

from ..claim import Claim
from ..measure import Rule
from ..plots.style import class_name, with_names
from ..wording import count, fill, probability, significant
from .html import escape, naming

ROWS = 12
"""Rows of a table of results, of each layer; its caption says how many there are."""
NAMES = {
    "causal.cumulative_ablation auc": "mean accuracy",
    "causal.dose_response bin": "factor",
    "dynamics.gradient_flow bin": "around step",
    "auc": "AUC",
    "born_at": "first active at",
    "brier": "Brier score",
    "cka": "CKA",
    "class_learned_at": "50% at",
    "components_90": "components for 90%",
    "ece": "calibration error",
    "layer_b": "with layer",
    "low": "on for < 1%",
    "measure_b": "with measure",
    "nc1": "NC1",
    "nc1_trace": "tr Sw / tr Sb",
    "nc2_angles": "NC2 angles",
    "nc2_norms": "NC2 norms",
    "nc3": "NC3",
    "nc4": "NC4",
    "procrustes": "Procrustes distance",
    "reached_at": "90% from",
    "svcca": "SVCCA",
    "two_nn": "TwoNN",
}
"""Columns whose names do not say enough, or not in words; before one that is a measure's alone stands the measure."""
NO_CLASS = -1
"""The preferred class of a unit that has none."""
RANGES = {"dynamics.gradient_flow": "95% of the steps"}
"""The meaning of a range, of measures that have no intervals."""
OF_UNITS = {
    "class": "the preferred class, the one whose images activate it most on average",
    "AUC": "how well it separates that class from all others: the chance that an image of it activates the unit more than another "
    "image does (0.5: a coin)",
    "95% interval": "of the value before it, over images",
    "same rank, untrained": "95% range of the unit of the same rank in untrained networks, on a part of the images (so ranks may differ "
    "from those here)",
    "beyond shuffled labels since": "the step from which on it prefers this class and its AUC lies above that of shuffled labels",
    "commonest class of the top images": "and how many of them have it",
    "loss increase (nats)": "the rise of the mean loss on the probe images when the unit is set to 0",
    "random directions": "95% range of that rise for random directions of equal norm",
    "class with the largest accuracy drop": "and by how much its accuracy falls when the unit is set to 0",
    "verdict, corrected p": "shown where p, corrected for all claims about the network, is below 0.05; it can be above where the AUC "
    "lies beyond the range in its row, as the correction asks for more. Loss increases are tested in order until a unit fails; those after "
    "it have 1",
}
"""The columns of units, and what they hold."""
_PARTS = re.compile(r"_(?:null_|floor_)?(?:low|high)$|_[pq]$|_shown$")
_AXES = ("unit", "channel")
_NOT_ROWS = ("example", "draw", "network", "rank", "seed")


def cell(value: object) -> str:
    """A value in words: numbers get three significant digits, NaN a dash."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else ""
    if isinstance(value, int | np.integer):
        return fill("{x:,}", {"x": int(value)})
    if isinstance(value, float | np.floating):
        return significant(float(value))
    return str(value)


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table of values."""
    header = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><caption><span>{escape(caption)}</span></caption><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def aligned(head: Sequence[str], rows: Sequence[Sequence[object]], left: Collection[int] = (0,)) -> str:
    """A table of values as plain text: numbers to the right, the columns numbered in ``left``, which hold words, to the left."""
    lines = [[*head], *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if place in left else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def of_instruments(record: xr.Dataset) -> str:
    """A calibration's instruments as `aligned` text: each planted truth, what was measured, and the false alarms on empty phantoms."""
    wanted = ("truth", "measured", "error", "tolerance", "false_alarms", "recovered", "silent", "planted")
    names = [name for name in wanted if name in record]
    instruments: Iterable[object] = record["instrument"].values if "instrument" in record else ()
    rows = [(str(one), *(record[name].values[place].item() for name in names)) for place, one in enumerate(instruments)]
    return aligned(["instrument", *(name.replace("_", " ") for name in names)], rows, left={0, len(names)})


def of_results(
    results: Mapping[str, xr.Dataset | xr.DataArray | None], of: str, measure: str = "", steps: Collection[float] = ()
) -> str:
    """One table, in plain text, of a measure's results, by the names of what they are results ``of`` (a layer): for each row its value,
    interval and null; below it how many rows more there are.

    Rows are the places along the axis that most of its variables have: at the last snapshot, and at the first if both have room. Without
    such an axis they are snapshots, from the first to the last, and those of ``steps``, which a sentence names.
    """
    rows: list[dict[str, object]] = []
    cut = 0
    for name, result in results.items():
        if result is None:
            continue
        number, own = _rows(result, steps)
        shown = [({of: name} if name else {}) | row for row in own]
        rows, cut = rows + shown, cut + number - len(shown)
    if not rows:
        return ""
    if all(any(axis in row for row in rows) for axis in _AXES):  # of a CNN with a head: one column for both
        rows = [{" or ".join(_AXES) if head in _AXES else head: value for head, value in row.items()} for row in rows]
    heads = [*dict.fromkeys(head for row in rows for head in row)]
    names = [_name(head, measure) for head in heads]
    text = aligned(names, [[row.get(head, np.nan) for head in heads] for row in rows])
    return text + (f"\n{count(cut, 'more rows')}; nm.analysis.{measure} gives all" if cut else "")


def _name(head: str, measure: str) -> str:
    """A column's name in words: ``auc, null`` is ``AUC, null``."""
    first, *rest = head.split(", ")
    return ", ".join([NAMES.get(f"{measure} {first}") or NAMES.get(first) or first.replace("_", " "), *rest]).replace(
        "95% interval", RANGES.get(measure, "95% interval")
    )


def _chosen(
    result: xr.Dataset | xr.DataArray,
) -> tuple[xr.Dataset, tuple[str, ...], dict[str, xr.Variable]]:
    """The result as a dataset; the axes that most of its variables have, besides snapshots; and the variables on them."""
    table = result if isinstance(result, xr.Dataset) else result.to_dataset(name=result.name or "value")
    found = Counter[tuple[str, ...]]()
    for variable in table.data_vars.values():
        dims = tuple(str(d) for d in variable.dims if d != "snapshot")
        if len(dims) <= 2 and not {*dims} & {*_NOT_ROWS} and variable.dims:
            found[dims] += 1
    if not found:
        return table, (), {}
    dims = max(found, key=lambda dims: (found[dims], -len(dims)))
    return (
        table,
        dims,
        {
            str(name): variable.variable
            for name, variable in table.data_vars.items()
            if {*variable.dims} - {"snapshot"} == {*dims} and (dims or variable.dims)
        },
    )


def _rows(result: xr.Dataset | xr.DataArray, steps: Collection[float]) -> tuple[int, Sequence[dict[str, object]]]:
    """The number of rows, and those that are shown."""
    table, dims, chosen = _chosen(result)
    if not chosen:
        return 0, ()
    over = ("snapshot",) if any("snapshot" in variable.dims for variable in chosen.values()) else ()
    sizes = {dim: table.sizes[dim] for dim in (*over, *dims)}
    values = {name: variable.set_dims(sizes).values for name, variable in chosen.items()}
    labels = {dim: _labels(table, dim) for dim in sizes}
    if not over:
        number, rows = _part(values, dims, labels, {})
        return number, [*islice(rows, ROWS)]
    parts = [
        _part({name: array[snapshot] for name, array in values.items()}, dims, labels, {"step": step})
        for snapshot, step in enumerate(labels["snapshot"])
    ]
    number, last = parts[-1][0], len(parts) - 1
    places = np.linspace(0, last, 2 if dims else ROWS).round().astype(int).tolist()
    named = [place for place, step in enumerate(labels["snapshot"]) if step in steps and not dims]
    shown = sorted({*places, *named} if 2 * number <= ROWS else {last})
    rows = chain.from_iterable(parts[place][1] for place in shown)
    return number * len(parts), [*islice(rows, ROWS + len(named))]


def _part(
    one: Mapping[str, np.ndarray], dims: Sequence[str], labels: Mapping[str, Sequence[object]], step: dict[str, object]
) -> tuple[int, Iterator[dict[str, object]]]:
    """The rows of one snapshot, and their number: a matrix where there is one variable on two axes, else a row for each place."""
    bases = [name for name in one if not _PARTS.search(name)]
    if len(dims) == 2 and len(bases) == 1:
        rows = _matrix(one[bases[0]], dims, labels)
        return len(rows), ({**step, **row} for row in rows)
    shape = [len(labels[dim]) for dim in dims]
    return math.prod(shape), (
        {**step, **{d: labels[d][p] for d, p in zip(dims, place, strict=True)}, **_values(one, bases, place)}
        for place in np.ndindex(*shape)
    )


def _matrix(values: np.ndarray, dims: Sequence[str], labels: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """The longer axis down, the shorter across."""
    (down, across), values = (dims, values) if values.shape[0] >= values.shape[1] else (dims[::-1], values.T)
    columns = [f"{across} {label}" for label in labels[across]]
    return [
        {down: label, **dict(zip(columns, map(_exact, row), strict=True))}
        for label, row in zip(labels[down], values, strict=True)
    ]


def _labels(table: xr.Dataset, dim: str) -> list[object]:
    """Of the places along an axis: the coordinate, or their numbers."""
    first = "step" if dim == "snapshot" else dim
    names = [first, dim, *(str(name) for name, c in table.coords.items() if c.dims == (dim,))]
    known = next((table[name].values for name in names if name in table.coords), np.arange(table.sizes[dim]))
    found = [label.item() for label in known]
    return (
        [class_name(label) for label in found]
        if dim == "class" and all(type(label) is int for label in found)
        else found
    )


def _values(one: Mapping[str, np.ndarray], bases: Sequence[str], place: tuple[int, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in bases:
        value = _exact(one[name][place])
        found[name] = "–" if name.startswith("preferred") and value == NO_CLASS else value
        for kind, told in (("", "95% interval"), ("_null", "null"), ("_floor", "floor")):
            ends = [f"{name}{kind}_{end}" for end in ("low", "high")]
            if all(end in one for end in ends):
                low, high = (cell(_exact(one[end][place])) for end in ends)
                found[f"{name}, {told}"] = low if low == high else f"{low} to {high}"
    return found


def _exact(value: object) -> object:
    """Without the rounding errors of sums that are 0."""
    return float(value.round(12)) + 0.0 if isinstance(value, np.floating) else value


_ENDS = re.compile(r"``[^`]*?_(null_|floor_)?low``,?(?: and)? ``[^`]*_(?:null_|floor_)?high``")
_FOUND = {"_p": "its p", "_q": "its q", "_shown": "its verdict"}


def meanings(doc: str, results: Iterable[xr.Dataset | xr.DataArray | None], measure: str = "") -> list[str]:
    """The meaning of the columns of `of_results`, a line each: the items of the docstring's ``Returns:`` about variables in its rows."""

    def said(name: re.Match[str]) -> str:
        """A variable's name as the table has it."""
        if not re.fullmatch(r"[\w…]+", name[1]):  # a formula
            return name[1]
        return next((told for end, told in _FOUND.items() if name[1].endswith(end)), _name(name[1], measure))

    returns = re.search(r"^Returns:\n(.*?)(?=^\w+:\n|\Z)", inspect.cleandoc(doc), re.S | re.M)
    known = {name for one in results if isinstance(one, xr.Dataset) for name in _chosen(one)[2]}
    found = []
    for item in re.split(r"\n\s*\* ", "\n" + returns[1])[1:] if returns else []:
        text = " ".join(re.split(r"\n\n|\n(?=>>>)", item)[0].split())
        name_alone = " " not in re.sub(r" \[[a-z, ]+\]", "", text)
        if not name_alone and known & {*re.findall(r"``(\w+)``", text)}:
            text = _ENDS.sub(lambda ends: f"its {(ends[1] or 'interval').rstrip('_')}", text)
            text = re.sub(r" \[[a-z, ]+\]", "", re.sub(r"``(.+?)``", said, text)).replace(". its", ". Its")
            found.append(text.replace("`", "").replace("NaN", "–"))  # as `cell` prints it
    return found


def of_units(claims: Sequence[Claim], rules: Sequence[Rule], caption: str, address: Callable[[int], str]) -> str:
    """All units of a layer, from the claims about them, initially sorted by the number of claims shown. ``address``: of a unit's card,
    or nothing.
    """
    units: dict[int, dict[str, Claim]] = {}
    for claim in claims:
        if claim.unit is not None:
            units.setdefault(claim.unit, {})[claim.rule] = claim
    rules = [rule for rule in rules if any(rule.name in own for own in units.values())]
    if not units:
        return ""
    order = sorted(
        units, key=lambda unit: (-sum(c.shown for c in units[unit].values()), -_effect(units[unit], rules[-1]), unit)
    )
    columns = {rule.name: rule.columns or _columns(units, rule.name) for rule in rules}
    top = "".join(f'<th scope="colgroup" colspan="{len(columns[r.name]) + 1}">{escape(r.name)}</th>' for r in rules)
    names = "".join(
        f'<th scope="col" class="sorts">{escape(h)}</th>'
        for r in rules
        for h in (*columns[r.name], "verdict, corrected p")
    )
    axis = next(iter(next(iter(units.values())).values())).axis
    rows = "".join(_unit(unit, units[unit], columns, address(unit)) for unit in order)
    head = f'<tr><th scope="col" rowspan="2" class="sorts">{axis}</th>{top}</tr><tr>{names}</tr>'
    title = f"<caption><span>{escape(caption)}</span></caption>"
    return f'<table class="units">{title}<thead>{head}</thead><tbody>{rows}</tbody></table>'


def _effect(own: Mapping[str, Claim], rule: Rule) -> float:
    claim = own.get(rule.name)
    value = claim.numbers[claim.effect] if claim else -np.inf
    return -np.inf if isinstance(value, str) or np.isnan(value) else float(value)


def _columns(units: Mapping[int, Mapping[str, Claim]], rule: str) -> Mapping[str, str]:
    """The effect with its interval and its null, where the rule names no columns."""
    claim = next(own[rule] for own in units.values() if rule in own)
    ends = {"95% interval": ("_low", "_high"), "null": ("_null_low", "_null_high")}
    known = {
        told: [f"{claim.effect}{end}" for end in pair]
        for told, pair in ends.items()
        if f"{claim.effect}{pair[0]}" in claim.numbers
    }
    return {claim.units if claim.units != "1" else claim.effect: f"{{{claim.effect}:g}}"} | {
        told: f"{{{low}:g}} to {{{high}:g}}" for told, (low, high) in known.items()
    }


def _filled(template: str, head: str, claim: Claim) -> str:
    """A cell; of a column of classes with the name of the class."""
    text = fill(template, claim.numbers)
    return with_names(f"class {text}").removeprefix("class ") if head.startswith("class") else text


def _unit(unit: int, own: Mapping[str, Claim], columns: Mapping[str, Mapping[str, str]], address: str) -> str:
    cells = ""
    for rule, templates in columns.items():
        claim = own.get(rule)
        if claim is None:
            cells += "<td>–</td>" * len(templates) + "<td>not judged</td>"
            continue
        values = "".join(f"<td>{escape(_filled(one, head, claim))}</td>" for head, one in templates.items())
        said = escape(f"{claim.verdict}, {probability(claim.corrected).removeprefix('p ').removeprefix('= ')}")
        cells += f'{values}<td{naming([claim])} class="verdict {claim.verdict.replace(" ", "-")}">{said}</td>'
    name = fill("{x:,}", {"x": unit})
    name = f'<a href="{escape(address)}">{name}</a>' if address else name
    return f'<tr{naming(own.values())}><th scope="row">{name}</th>{cells}</tr>'
