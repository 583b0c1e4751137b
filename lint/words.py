"""Finds wording that the project has left behind, and names the field's term for it: `python -m lint.words [PATH …]`.

Prose is held to every rule; identifiers are held to American spelling.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
READ = (
    *("src/**/*.py", "web/[st]*/*.ts*", "docs/**/*.md", "changes/*.md", "*.md", "notebooks/sources/*.py"),
    *("tests/**/*.py", "benchmarks/*.py", "campaign/*.py", "mutants/*.py", "docs/*.py", "notebooks/*.py", "*.py"),
)
LISTS = ("src/neural_microscope/glossary.py", "tests/test_words.py")
"""Files that quote wordings to avoid; `tests/test_words.py` holds the glossary's definitions to the list."""
HASHED = tuple(f"src/neural_microscope/{name}" for name in ("analysis/", "statistics.py", "claim.py", "measure.py"))
"""Beginnings of paths whose identifiers are part of the calibration's hashes."""


class Rule(NamedTuple):
    """A wording to avoid."""

    pattern: re.Pattern[str]
    say: str
    """The wording to use instead."""
    allowed: re.Pattern[str] | None = None
    """The same words in another sense: a match inside one of these passes."""


def _rule(pattern: str, say: str, allowed: str | None = None) -> Rule:
    return Rule(re.compile(rf"\b(?:{pattern})", re.I), say, re.compile(allowed, re.I) if allowed else None)


SPELLING = _rule(
    r"(?:dis)?colou?red?(?<=our)\w*|colour\w*|centre[sd]?\b|centring\b|neighbour\w*|behaviour\w*|favour\w*|flavour\w*"
    r"|honour\w*|grey\w*|label(?:led|ling)\b|model(?:led|ling)\b|cancell(?:ed|ing)\b|travell\w+|learnt\b|spelt\b|burnt\b|artefact\w*"
    r"|\w*(?:optim|normal|regular|initial|standard|general|random|memor|maxim|minim|summar|visual|serial|penal|quant"
    r"|local|central|organ|recogn|special|categor|parametr|vector|util|real|symmetr|character|emphas|equal)is(?:e|es|ed|ing|er|ers|ation|ations)\b"
    r"|\w*analys(?:e|ed|ing)\b|judgement\b|whilst\b|amongst\b|towards?(?<=wards)\b|afterwards\b|metre[s]?\b|fibre\w*|catalogue\w*|programme[s]?\b|licence\b|practise\w*",
    "American spelling",
    r"precise\w*|exercise\w*|otherwise|pairwise|likewise|elementwise|stepwise|Towards (?:best practices|Monosemanticity)",
)
"""The rule that identifiers are held to as well."""

RULES = (
    _rule(r"rightly\b", "correctly; an accuracy"),
    _rule(r"righter\b", "underconfident"),
    _rule(r"(?:un)?sur(?:er|est) than", "overconfident, underconfident"),
    _rule(
        r"(?:mis)?reads? (?:it |them |as )?wrong(?:ly)?\b|wrongly read\b|misreads?\b|misread (?:as|by)\b",
        "misclassifies",
    ),
    _rule(r"(?:is|are|was|were|be|being|often) taken for\b", "confused with, misclassified as"),
    _rule(r"dear(?:er|est|ly)?\b", "raises the loss by …, more than …"),
    _rule(
        r"(?:costs? (?:at )?(?:most|least|more|less|the most|nothing|little|much)|what (?:it|a cut|each|cutting it) costs)\b",
        "raises the loss by …",
        r"costs? (?:\w+ )?(?:\w+ )?(?:time|memory|seconds|passes)|(?:time|memory|compute\w*)[^.]{0,40}costs?",
    ),
    _rule(r"cut(?:s|ting)? (?:\w+ ){0,3}out\b|cut-out\b", "ablate"),
    _rule(
        r"(?:the|a|each|every|one|this|that|which|of|largest|random) cuts?\b",
        "ablation",
        r"cuts? (?:at|off|short|in two)|min-cut",
    ),
    _rule(r"put(?:s|ting)? (?:\w+ )?(?:everything |it |them )?back\b", "restore; reset all"),
    _rule(r"(?:hold|held|holds) at (?:0|zero|its|the)\b", "clamp to"),
    _rule(r"as on image\b", "patch from image"),
    _rule(r"says (?:\d|\{)", "predicts", r"says \{(?:error|why|reason)|verify says \{"),
    _rule(
        r"moments?\b",
        "snapshot",
        r"(?:first|second|fourth|adam\S*|optimizer\S*|running|exponential|central|raw|two|its|of) moments?\b[^.]{0,60}\b"
        r"(?:gradient|adam|optimizer|moment|distribution)|(?:adam|adamw|optimizer|gradient)\b[^.]{0,60}\bmoments?\b"
        r"|(?:first|second|third|fourth) moments?|moments of (?:a|the) distribution|(?:for|at) (?:a|the) moment\b"
        r"|a moment(?:'s)? (?:ago|later)",
    ),
    _rule(r"random starts?\b", "initialization", r"random starts? of (?:k-means|the gradient ascent|the search)"),
    _rule(r"untaught\b|before the first step\b", "untrained; at initialization"),
    _rule(r"images? (?:are |is )?(?:lost|won)\b|\d+ lost\b|lost and won\b", "newly wrong, newly right"),
    _rule(
        r"what excites\b|excites (?:it|them) (?:the )?most\b|from most to least\b",
        "top-activating images; activation quantiles",
    ),
    _rule(
        r"(?:unit|units|it|class(?:es)?) likes?\b|likes best\b",
        "prefers; most activating",
        r"(?:would|if you|looks?|something|rank the units) like",
    ),
    _rule(
        r"answers? to (?:each|every|a|the|all|which|its|no|one) (?:class|image|pixel|digit|pattern)\w*",
        "mean activation per class; responds to",
    ),
    _rule(r"what (?:it|the network|a network|they) answers?\b", "output, prediction, response"),
    _rule(
        r"(?:draw|drew|drawn|brought|brings?|move[sd]?) (?:\w+ )*together\b",
        "purity rises; within-class variability shrinks",
    ),
    _rule(r"tells? (?:the |its )?(?:classes|digits|images) apart\b|told apart\b", "separates; class-selective"),
    _rule(r"the bend\b|bends? of the\b|after the bend\b", "activation function, nonlinearity"),
    _rule(
        r"(?:than|what|is|as|given) chance (?:gives|would|makes|draws)\b|no better than\b|no different (?:from|than)\b",
        "chance level, null distribution; not shown",
    ),
    _rule(r"by heart\b", "memorizes"),
    _rule(r"talked out of\b", "fits true labels before false ones"),
    _rule(r"every byte is\b", "all files verified"),
    _rule(r"(?:its|the network's|a network's) (?:whole )?life\b|whole life\b", "the whole training run"),
    _rule(r"how far (?:the )?measures rank\b|rank (?:the )?units alike\b", "rank agreement between measures"),
    _rule(r"what (?:goes|went) wrong\b", "the error"),
    _rule(r"nobody (?:wrote|has written|knows)\b", "any nn.Module"),
    _rule(r"(?:so|it is|that is|is) (?:told|said) (?:plainly|so|once)\b", "states"),
    _rule(r"somebody else\b", "another source; untrusted"),
    _rule(r"(?:comes?|came) of (?:it|them|that)\b", "results"),
    _rule(r"lest\b|hence\b|thereof\b|wherein\b|whereof\b|unto\b|ere\b|nought\b|naught\b", "plain words"),
    _rule(r"anew\b", "again"),
    SPELLING,
    Rule(re.compile(r"\d\}? %"), "a percentage without a blank", re.compile(r"\d %[(\w]")),
    Rule(re.compile(r"(?:^|[.!;:] |\n\n)Who\b(?! is\b[^.]*\?)(?![^.]{0,150}\?)"), "a subject: 'if you …'"),
)
OPENS = re.compile(r"^\s*(?:What|How|Which|When|Whether|Where|Why|Who|Whose)\b")
"""A docstring's beginning that does not say what the thing is or returns."""


class Piece(NamedTuple):
    """A text that somebody reads."""

    line: int
    text: str
    docstring: bool = False
    name: bool = False
    """An identifier, its words apart."""


class Fault(NamedTuple):
    """A wording found."""

    path: str
    line: int
    found: str
    say: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r} (say: {self.say})"


def of_text(text: str, rules: Iterable[Rule] = RULES) -> list[tuple[int, str, str]]:
    """(offset, wording, what to say) of every wording to avoid."""
    found: list[tuple[int, str, str]] = []
    for pattern, say, allowed in rules:
        matches = [*pattern.finditer(text)]
        passes = [one.span() for one in allowed.finditer(text)] if allowed and matches else []
        found += [
            (one.start(), one[0].strip(), say)
            for one in matches
            if not any(start <= one.start() and one.end() <= end for start, end in passes)
        ]
    return sorted(found)


def apart(name: str) -> str:
    """An identifier's words: ``nearest neighbors`` of ``nearestNeighbors``."""
    return re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", name)


@cache
def misspelled(name: str) -> bool:
    """True for an identifier with a British spelling."""
    return bool(of_text(apart(name), [SPELLING]))


def of_python(source: str) -> Iterator[Piece]:
    """Docstrings, comments, strings that hold a blank, and identifiers, each at its first place."""
    nodes = [*ast.walk(ast.parse(source))]
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [one.value if isinstance(one, ast.Constant) else "{}" for one in node.values]
            yield Piece(node.lineno, "".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Piece(node.lineno, node.value, id(node) in docs)
    names: dict[str, int] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Piece(token.start[0], token.string.lstrip("#"))
        elif token.type == tokenize.NAME:
            names.setdefault(token.string, token.start[0])
    yield from (Piece(line, apart(name), name=True) for name, line in names.items() if misspelled(name))


def of_markdown(source: str) -> Iterator[Piece]:
    """Paragraphs, without blocks and spans of code."""
    plain = re.sub(r"^(```+|~~~+).*?^\1", lambda one: "\n" * one[0].count("\n"), source, flags=re.M | re.S)
    line = 1
    for paragraph in re.split(r"(\n\s*\n)", plain):
        yield Piece(line, re.sub(r"`[^`]*`", "``", paragraph))
        line += paragraph.count("\n")


SPOKEN = re.compile(
    r"//(?P<a>[^\n]*)|/\*(?P<b>.*?)\*/|\"(?P<c>[^\"\n]* [^\"\n]*)\"|`(?P<d>[^`]* [^`]*)`|(?<!=)>(?P<e>[^<>{};=]*\w[^<>{};=]*)[<{]",
    re.S,
)


def of_typescript(source: str) -> Iterator[Piece]:
    """Comments, strings that hold a blank, the text between tags, and identifiers, each at its first place."""
    for one in SPOKEN.finditer(source):
        text = next(filter(None, one.groups()), "")
        yield Piece(source.count("\n", 0, one.start()) + 1, re.sub(r"\$\{[^}]*\}", "{}", text))
    names = {one[0]: one.start() for one in reversed([*re.finditer(r"[A-Za-z_]\w+", source)])}
    yield from (
        Piece(source.count("\n", 0, at) + 1, apart(name), name=True) for name, at in names.items() if misspelled(name)
    )


def unreleased(changes: str) -> str:
    """A change log's part of what is not released yet; what a release said stays."""
    end = re.search(r"^## .*?(?=^## )", changes, re.M | re.S)
    return changes[: end.end()] if end else changes


def of_file(path: Path) -> list[Fault]:
    """Every wording of a file to avoid."""
    source = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    if path.name == "CHANGELOG.md":
        source = unreleased(source)
    reader = {".md": of_markdown, ".py": of_python}.get(path.suffix, of_typescript)
    found = set()
    for piece in reader(source):
        if piece.name and name.startswith(HASHED):
            continue
        for offset, words, say in of_text(piece.text, [SPELLING] if piece.name else RULES):
            found.add(Fault(name, piece.line + piece.text.count("\n", 0, offset), words, say))
        if piece.docstring and (opening := OPENS.match(piece.text)):
            found.add(Fault(name, piece.line, opening[0].strip(), "what the thing is or returns"))
    return sorted(found)


def paths() -> list[Path]:
    """The files held to the list."""
    every = {path for pattern in READ for path in ROOT.glob(pattern)}
    return sorted(path for path in every if not path.relative_to(ROOT).as_posix().startswith(LISTS))


def main(arguments: list[str]) -> int:
    """Prints what was found; 1 if that is anything."""
    given = [Path(one).resolve() for one in arguments]
    asked = [path for one in given for path in (sorted(one.rglob("*.py")) if one.is_dir() else [one])] or paths()
    faults = [fault for path in asked for fault in of_file(path)]
    print("\n".join(map(str, faults)) or f"{len(asked)} files speak the field's words.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
