"""Operators that change one place of a Python file: what a slip of the hand, or of the mind, would leave behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COMPARED = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
TURNED = {ast.Lt: ">", ast.LtE: ">", ast.Gt: "<", ast.GtE: "<"}
COMPUTED = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*"}
OPPOSITES = (
    ("_low", "_high"),
    ("low", "high"),
    ("_null_", "_"),
    ("untrained", "trained"),
    ("above", "below"),
    ("yes", "no"),
)
"""Parts of strings and names that may be confused: an interval for a null, trained for untrained."""


@dataclass(frozen=True)
class Mutation:
    """One change of one file: the text from ``start`` to ``end`` becomes ``new``."""

    path: str
    line: int
    start: int
    end: int
    new: str
    operator: str

    def applied(self, text: str) -> str:
        """The mutated text."""
        return text[: self.start] + self.new + text[self.end :]


def mutations(path: str, text: str) -> list[Mutation]:
    """Every mutation of a Python file, in the order of the text. Annotations, docstrings, imports and error texts are left alone."""
    tree = ast.parse(text)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    raw = text.encode()

    def place(line: int, column: int) -> int:
        return len(raw[: starts[line - 1] + column].decode())

    found = []
    for node in _code(tree):
        for operator, at, new in _of(node, text, place):
            if text[at[0] : at[1]] != new:
                found.append(Mutation(path, text.count("\n", 0, at[0]) + 1, at[0], at[1], new, operator))
    return sorted(found, key=lambda one: (one.start, one.operator))


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that compute something."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from _code(ast.Expression(node.value))
            continue
        if isinstance(node, ast.FunctionDef):
            for child in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
                yield child
                yield from _code(child)
            yield from _code(ast.Module(node.body, []))
            continue
        yield node
        yield from _code(node)


def _of(node: ast.AST, text: str, place: Any) -> Iterator[tuple[str, tuple[int, int], str]]:
    """(operator, place in the text, what stands there instead)."""

    def span(one: Any) -> tuple[int, int]:
        return place(one.lineno, one.col_offset), place(one.end_lineno, one.end_col_offset)

    def between(a: Any, b: Any) -> tuple[int, int]:
        """The operator between two nodes, without brackets and spaces."""
        start, end = span(a)[1], span(b)[0]
        inner = text[start:end]
        left = len(inner) - len(inner.lstrip(" \n)"))
        return start + left, start + len(inner.rstrip(" \n("))

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        at = between(node.left, node.comparators[0])
        kind = type(node.ops[0])
        if kind in COMPARED:
            yield "comparison", at, COMPARED[kind]
        if kind in TURNED:
            yield "direction", at, TURNED[kind]
    elif (
        isinstance(node, ast.BinOp)
        and type(node.op) in COMPUTED
        and not isinstance(node.left, ast.Constant | ast.JoinedStr)
    ):
        yield "arithmetic", between(node.left, node.right), COMPUTED[type(node.op)]
    elif isinstance(node, ast.BoolOp):
        yield "and/or", between(*node.values[:2]), "or" if isinstance(node.op, ast.And) else "and"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", span(node), text[slice(*span(node.operand))]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", span(node), text[slice(*span(node.operand))]
    elif isinstance(node, ast.Constant):
        yield from _constant(node, text, span)
    elif isinstance(node, ast.IfExp):
        body, other = (text[slice(*span(one))] for one in (node.body, node.orelse))
        yield "branches", span(node), f"{other} if {text[slice(*span(node.test))]} else {body}"
    elif isinstance(node, ast.Call):
        plain = [one for one in node.args if not isinstance(one, ast.Starred)]
        if isinstance(node.func, ast.Attribute | ast.Name) and len(plain) == len(node.args) >= 2:
            one, two = (text[slice(*span(each))] for each in node.args[-2:])
            yield "arguments", (span(node.args[-2])[0], span(node.args[-1])[1]), f"{two}, {one}"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "statement", span(node), "pass"


def _constant(node: ast.Constant, text: str, span: Any) -> Iterator[tuple[str, tuple[int, int], str]]:
    at, value = span(node), node.value
    if isinstance(value, bool):
        yield "truth", at, str(not value)
    elif isinstance(value, int):
        yield "number", at, str(value + 1)
    elif isinstance(value, float):
        yield "number", at, repr(value * 2)
    elif isinstance(value, str) and text[at[0] : at[0] + 1] in "\"'" and " " not in value and len(value) < 40:
        for old, new in OPPOSITES:
            swapped = re.sub(f"{old}|{new}", lambda m, old=old, new=new: new if m[0] == old else old, value)  # type: ignore[misc]
            if swapped != value and old in value:
                yield "word", at, repr(swapped)
