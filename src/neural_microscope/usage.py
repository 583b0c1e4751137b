"""The command line's options, from the commands' signatures and from settings; wrong usage is one line that names the option as typed."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import inspect
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from .config import Checked, CNNConfig, MLPConfig, RecordConfig, TrainConfig
from .errors import MicroscopeError, unknown

NETWORKS: dict[str, type[Any]] = {"mlp": MLPConfig, "cnn": CNNConfig}
SETTINGS: dict[str, type[Any]] = {"training": TrainConfig, "record": RecordConfig}
"""Parameters that stand for the options of settings, as ``network`` does, whose kind is a word of its own."""
OF_THE_DATA = ("image_shape", "image_channels", "classes")
NUMBERS = {int: "a whole number", float: "a number"}


class UsageError(MicroscopeError):
    """Words that no command takes."""


def parse(commands: Mapping[str, Callable[..., None]], words: Sequence[str]) -> tuple[Callable[[], None], Parser]:
    """The call that the words ask for, not yet made, and what parsed it. Prints help or the version and exits, if they ask for that.

    Args:
        commands: The commands by name. A parameter before a "/" is a word in its place, any other is an option.
        words: The words after the program's name.

    Raises:
        UsageError: Anything that the command does not take.
    """
    name, *rest = words or ["--help"]
    if words == ["--version"]:
        print(version("neural-microscope"))
        sys.exit(0)
    if name in ("-h", "--help"):
        _overview(commands).parse_args([name])
    if name not in commands:
        raise UsageError(_see(str(unknown("command", name, commands)), "microscope"))
    kind = next((word for word in rest if word in NETWORKS), "")
    parser = Parser(commands[name], kind)
    try:
        return parser.call(rest), parser
    except MicroscopeError as error:
        raise UsageError(_see(as_typed(str(error), parser.known), parser.prog)) from None


def _see(text: str, program: str) -> str:
    return f"{text.removesuffix('.')}{'' if text.endswith('?') else '.'} See: {program} --help"


def as_typed(text: str, known: Sequence[str], *, leads: bool = True) -> str:
    """A message of the library with options as typed: ``epochs=2`` becomes ``--epochs 2``, and if a setting ``leads`` the message,
    ``epochs is -1`` becomes ``--epochs is -1``.
    """

    def option(name: str) -> str:
        typed = f"--{name.replace('_', '-')}"
        return typed if typed in known else ""

    def given(found: re.Match[str]) -> str:
        value = found[2].strip("'()").replace(",", "")
        return f"{option(found[1])} {value}" if option(found[1]) else found[0]

    text = re.sub(r"\b([a-z]\w*)=(\([\d, ]+\)|'[^']*'|[\w.]+|…)", given, text)
    if leads:
        text = re.sub(r"^(\w+)(?= (is|are|must) |, \w+ are )", lambda found: option(found[1]) or found[0], text)
        text = re.sub(r"^(--\S+ is )\(([^()]+?),?\)", lambda found: found[1] + found[2].replace(",", ""), text)
    return text.replace("use load('digits')", "add --data digits") if "--data" in known else text


class _Formatter(argparse.HelpFormatter):
    """Keeps the paragraphs of a description."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(textwrap.fill(part, width, break_on_hyphens=False) for part in text.split("\n\n"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)  # options stay whole


class _Parser(argparse.ArgumentParser):
    """Its namespace holds only what was given, and its errors are ours."""

    def __init__(self, prog: str, text: str) -> None:
        how: dict[str, Any] = {"argument_default": argparse.SUPPRESS, "allow_abbrev": False}
        super().__init__(prog, f"{prog} [-h] [OPTIONS]", text, formatter_class=_Formatter, **how)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (?:-\w/)?(\S+?)(?:/\S+)?: ", r"\1 ", message)
        raise UsageError(re.sub(r"expected (.*) argument", r"needs \1 value", message))


def _overview(commands: Mapping[str, Callable[..., None]]) -> _Parser:
    """The parser whose help lists the commands."""
    parser = _Parser("microscope", "A microscope for small neural networks: train, record, and inspect.")
    parser.usage = "microscope COMMAND [OPTIONS]"
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    listed = parser.add_argument_group("commands, each with a --help of its own")
    for name, command in commands.items():
        listed.add_argument(name, help=_about(command)[0].split("\n\n")[0])
    return parser


class Parser(_Parser):
    """The parser of a command, for a ``kind`` of network if it takes one."""

    def __init__(self, command: Callable[..., None], kind: str) -> None:
        self.command, self.parameters = command, inspect.signature(command).parameters
        self.kind = kind if "network" in self.parameters else ""
        text, about = _about(command)
        super().__init__(" ".join(["microscope", command.__name__, self.kind]).strip(), text)
        hints, self.needed = get_type_hints(command, include_extras=True), dict[str, str]()
        for name, one in self.parameters.items():
            if settings := self.settings(name):
                group = self.add_argument_group(f"{name} options", "" if name == "network" else about[name])
                docs, kinds = dict(_docs(settings)), get_type_hints(settings)
                for field in dataclasses.fields(settings):
                    default = "that of the data" if field.name in OF_THE_DATA else field.default
                    _add(group, field.name, kinds[field.name], docs[field.name], default)
            elif name == "network":
                self.epilog = f"Options of a network: {self.prog} mlp --help, {self.prog} cnn --help"
            else:
                placed = one.kind is one.POSITIONAL_ONLY
                typed = _add(self, name, hints[name], about[name], one.default, placed=placed)
                self.needed |= {name: typed} if one.default is one.empty else {}
        network = ["{mlp,cnn}"] * bool(self.epilog)
        self.usage = " ".join([self.prog, *network, "[-h]", *self.needed.values(), "[OPTIONS]"])

    @property
    def known(self) -> list[str]:
        """The options, as typed."""
        return [*self._option_string_actions]

    def settings(self, name: str) -> type[Any] | None:
        """The settings that a parameter stands for."""
        return NETWORKS.get(self.kind) if name == "network" else SETTINGS.get(name)

    def call(self, words: list[str]) -> Callable[[], None]:
        """The command with the values that the words give it."""
        if self.kind:
            words.remove(self.kind)
        elif self.epilog and not {"-h", "--help"} & {*words}:
            if words and not words[0].startswith("-"):
                raise unknown("network", words[0], NETWORKS)
            raise UsageError("the kind of network is missing: mlp or cnn")
        words = [re.sub("^--[^=]+", lambda option: option[0].replace("_", "-"), word) for word in words]
        for name, times in Counter(word.partition("=")[0] for word in words if word.startswith("--")).items():
            if name not in self.known:
                near = difflib.get_close_matches(name, self.known, n=1)
                raise UsageError(f"{self.prog} has no {name}" + "".join(f"; did you mean {one}?" for one in near))
            if times > 1:
                raise UsageError(f"{name} is given {times} times; give it once, with all its values after it")
        found, more = self.parse_known_intermixed_args(words)
        values = {name: value for name, value in vars(found).items() if value is not None}
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        if missing := [typed.partition(" [")[0] for name, typed in self.needed.items() if name not in given]:
            raise UsageError(f"{' and '.join(missing)} is missing")
        if more:
            raise UsageError(f"this command takes no {' '.join(more)}")
        for name in self.parameters:
            if settings := self.settings(name):
                names = [field.name for field in dataclasses.fields(settings) if field.name in given]
                given[name] = settings(**{field: given.pop(field) for field in names})
        placed = [name for name, one in self.parameters.items() if one.kind is one.POSITIONAL_ONLY and name in given]
        return partial(self.command, *(given.pop(name) for name in placed), **given)


def _add(to: Any, name: str, hint: Any, doc: str, default: Any, *, placed: bool = False) -> str:
    """Adds an option, or words in their place, for values of the type; returns it as typed."""
    hint, metavar = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
    if default is inspect.Parameter.empty:
        doc += " (required)"
    elif default not in (None, "", ()):
        doc += f" (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"
    typed = f"--{name.replace('_', '-')}"
    how: dict[str, Any] = {"help": doc.replace("%", "%%")} | ({} if placed else {"dest": name})
    if hint is bool:
        to.add_argument(typed, action=argparse.BooleanOptionalAction, **how)
        return typed
    several = get_origin(hint) in (tuple, list)
    if several:
        hint, *more = get_args(hint)
        how["nargs"] = 1 + len(more) if more and more[0] is not ... else "*"
    elif placed:
        how |= {"nargs": "?", "default": None}  # that it is missing is told with the options that are
    parts = [hint] if get_origin(hint) is Literal else get_args(hint) or [hint]
    values = [value for part in parts for value in get_args(part)]
    kinds = [part for part in parts if isinstance(part, type) and part is not NoneType]
    ways = [kind.__name__.upper() for kind in kinds] + [f"{{{','.join(values)}}}"] * bool(values)
    how["metavar"] = metavar = name.upper().rstrip("S") if placed else metavar or "|".join(ways)
    flags = [name] if placed else ["-o"] * (name == "output") + [typed]
    to.add_argument(*flags, type=partial(_read, kinds, values), **how)
    return f"{metavar} [{metavar} ...]" if placed and several else metavar if placed else f"{typed} {metavar}"


def _read(kinds: Sequence[type[Any]], values: Sequence[str], text: str) -> Any:
    """A typed value of the kind, or one of the values."""
    if text in values:
        return text
    for kind in kinds:
        with suppress(ValueError):
            return kind(text)
    ways = [*(NUMBERS[kind] for kind in kinds), *values] if kinds else [f"one of {', '.join(map(repr, values))}"]
    must = " or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
    raise argparse.ArgumentTypeError(f"is {text!r}; it must be {must}")


def _about(command: Callable[..., None]) -> tuple[str, dict[str, str]]:
    """A command's docstring: the text, and what it says of each parameter."""
    text, _, args = (inspect.getdoc(command) or "").partition("\nArgs:\n")
    items = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", args, re.MULTILINE)
    return text.strip(), {name: " ".join(words.split()) for name, words in items}


def _docs(settings: type[Any]) -> Iterator[tuple[str, str]]:
    """(field, its docstring with other fields as options) of settings."""
    names = {field.name for field in dataclasses.fields(settings)}
    for made in settings.__mro__:
        body = ast.parse(textwrap.dedent(inspect.getsource(made))).body[0] if issubclass(made, Checked) else None
        for field, doc in pairwise(body.body if isinstance(body, ast.ClassDef) else []):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
                text = " ".join(str(doc.value.value).split())
                for name in re.findall(r"\w+_\w+", text):
                    text = text.replace(name, f"--{name.replace('_', '-')}") if name in names else text
                yield ast.unparse(field.target), text
