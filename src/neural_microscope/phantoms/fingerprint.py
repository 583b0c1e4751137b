"""Fingerprints of a calibration: a hash of a measure's formula and phantoms, and one of the rules of a page."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from typing import NamedTuple

from ..measure import MEASURES, Measure, rules

PACKAGE = __name__.split(".")[0]
FOLLOWED = tuple(f"{PACKAGE}.{room}" for room in ("analysis", "statistics", "claim", "phantoms.pages"))
"""Modules whose functions belong to the formula that uses them; other modules have their own tests."""

RULES = (
    *(f"{PACKAGE}.{one}" for one in ("claim", "measure", "analysis.look.untrained", "phantoms.pages")),
    *(f"{PACKAGE}.analysis.findings.{one}" for one in ("layers", "networks", "units", "population")),
)
"""Modules whose every statement belongs to the rules; descriptions make no claim."""


def of_measure(measure: Measure) -> str:
    """A hash of the measure's function, everything of `FOLLOWED` that it uses, and its phantoms and their modules."""
    phantoms = {(one.read.__module__, getattr(one.read, "__name__", "")) for one in measure.instruments}
    modules = sorted({module for module, _ in phantoms})
    function = measure.function
    texts = ["\n".join(_bare(name)) for name in modules]
    return _digest(*texts, *_texts([(function.__module__, function.__name__), *phantoms]))


def of_rules() -> str:
    """A hash of the rules, their control and correction, the measures that they use, and the pages' networks."""
    roots = [(name, part) for name in RULES for part in _parts(name)]
    own = [(rule.claims.__module__, rule.claims.__name__) for _, rule in rules()]
    return _digest(*sorted(rule.name for _, rule in rules()), *_texts([*roots, *own]))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _texts(roots: Iterable[tuple[str, str]]) -> list[str]:
    """The statements that define these names (module, name) and all that they use, in a deterministic order."""
    found: dict[tuple[str, str], str] = {}
    left = list(roots)
    while left:
        module, name = left.pop()
        if (module, name) in found or not (part := _parts(module).get(name)):
            continue
        found[module, name] = part.text
        left += [use for use in part.uses if use[0] == module or use[0].startswith(FOLLOWED)]
        left += [use for named in part.named if named in MEASURES for use in _asked(MEASURES[named])]
    return [f"{module} {name} {found[module, name]}" for module, name in sorted(found)]


def _asked(measure: Measure) -> Iterator[tuple[str, str]]:
    """The functions that compute a result which a rule requests by its name."""
    for function in (measure.function, *(asked.look for asked in measure.asked.values())):
        yield function.__module__, function.__name__


class Part(NamedTuple):
    """A statement at the top of a module."""

    text: str
    """See `_bare`."""
    uses: list[tuple[str, str]]
    """Names (module, name) that it may refer to."""
    named: list[str]
    """Its strings, up to a slash: names of measures may be among them."""


@cache
def _parts(module: str) -> dict[str, Part]:
    """A module's statements by the names that they define."""
    tree = ast.parse(_source(module))
    imported = {name: target for node in tree.body for name, target in _imports(node, module)}
    own = {name: (module, name) for node in tree.body for name in _defines(node)}
    found: dict[str, Part] = {}
    for node, text in zip(tree.body, _bare(module), strict=True):
        inside = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)]
        words = {n.attr for n in inside if isinstance(n, ast.Attribute)}
        uses = []
        for word in {n.id for n in inside if isinstance(n, ast.Name)}:
            target = own.get(word) or imported.get(word)
            if target is not None:
                whole = ".".join(target)
                uses += [(whole, attribute) for attribute in words] if _is_module(whole) else [target]
        strings = [
            n.value.partition("/")[0]
            for n in ast.walk(node)
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
        for name in _defines(node):
            before = found.get(name, Part("", [], []))
            found[name] = Part(text + before.text, uses + before.uses, strings + before.named)
    # A re-exported name refers to its source.
    return {name: Part("", [target], []) for name, target in imported.items()} | found


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        # the registration of a measure in the default analysis: of(…).on(…)(lambda at: …)
        return ["<lambda>" for argument in node.value.args if isinstance(argument, ast.Lambda)]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _imports(node: ast.stmt, module: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """The names that an import from a module binds: (name, (module, name there))."""
    if not isinstance(node, ast.ImportFrom):
        return
    base = resolve_name("." * node.level + (node.module or ""), sys.modules[module].__package__)
    yield from ((alias.asname or alias.name, (base, alias.name)) for alias in node.names)


class _Bare(ast.NodeTransformer):
    """Removes text: f-strings, and strings with a blank, such as docstrings."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if " " in str(node.value) else node


@cache
def _bare(module: str) -> list[str]:
    """A module's statements without comments, layout and text."""
    return [ast.unparse(node) for node in _Bare().visit(ast.parse(_source(module))).body]


def _is_module(name: str) -> bool:
    return name.startswith(FOLLOWED) and name in sys.modules


@cache
def _source(module: str) -> str:
    """A module's source; empty if it has none, as in an interactive session."""
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return ""
