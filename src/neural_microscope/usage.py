"""Parsing of the command line with tyro: help from signatures and settings; wrong usage is one line that names the option as typed."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import io
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial, wraps
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any, NoReturn, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from .config import Checked, CNNConfig, MLPConfig, RecordConfig, TrainConfig
from .errors import MicroscopeError, unknown

NETWORKS: dict[str, type[Any]] = {"mlp": MLPConfig, "cnn": CNNConfig}
_GIVEN = {"network": (), "training": (TrainConfig,), "record": (RecordConfig,)}
"""Parameters that stand for the options of settings; the network's kind is a word of its own."""
_OF_THE_DATA = ("image_shape", "image_channels", "classes")


class UsageError(MicroscopeError):
    """Words that no command takes."""


def parse(commands: Mapping[str, Callable[..., None]], words: Sequence[str]) -> Callable[[], None]:
    """The call that the words ask for, not yet made. Prints help or the version and exits, if they ask for that.

    Args:
        commands: The commands by name.
        words: The words after the program's name.

    Raises:
        UsageError: Anything that the command does not take.
    """
    words = list(words) or ["--help"]
    if words == ["--version"]:
        print(version("neural-microscope"))
        sys.exit(0)
    if {"-h", "--help"} & {*words} or words[0].startswith("--tyro-"):  # tyro writes completions for shells
        return _parsed(commands, words)
    if words[0] not in commands:
        text = str(unknown("subcommand", words[0], commands))
        raise UsageError(f"{text}{'' if text.endswith('?') else '.'} See: microscope --help")
    try:
        _check(commands[words[0]], words)
        return _parsed(commands, words)
    except MicroscopeError as error:
        text = as_typed(str(error), options(commands[words[0]], words))
        raise UsageError(
            f"{text.removesuffix('.')}{'' if text.endswith('?') else '.'} See: {program(words)} --help"
        ) from None


def program(words: Sequence[str]) -> str:
    """The command whose help explains the words."""
    kinds = [word for word in words[1:] if word in NETWORKS and words[0] in ("train", "sweep")]
    return " ".join(["microscope", *words[:1], *kinds[:1]])


def options(command: Callable[..., None], words: Sequence[str]) -> list[str]:
    """The long options of a command, for the kind of network that the words name."""
    found = []
    for name, parameter in inspect.signature(command).parameters.items():
        network = [NETWORKS[word] for word in words if word in NETWORKS]
        if (settings := network[:1] if name == "network" else _GIVEN.get(name)) is not None:
            fields = [(field.name, field.type) for one in settings for field in dataclasses.fields(one)]
        else:
            fields = [] if re.search("Runs|OneRun|Positional", parameter.annotation) else [(name, parameter.annotation)]
        for field, kind in fields:
            found += [field] + [f"no_{field}"] * (kind == "bool")
    return [f"--{name.replace('_', '-')}" for name in found]


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


def _check(command: Callable[..., None], words: Sequence[str]) -> None:
    """Errors for which tyro would describe the options of all commands."""
    if "network" in inspect.signature(command).parameters and not {*NETWORKS} & {*words}:
        if words[1:] and not words[1].startswith("-"):
            raise unknown("network", words[1], NETWORKS)
        raise UsageError("the kind of network is missing: mlp or cnn")
    known = [*options(command, words), "--help"]
    names = [word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")]
    for name, times in Counter(names).items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"{program(words)} has no {name}" + "".join(f"; did you mean {one}?" for one in near))
        if times > 1:
            raise UsageError(f"{name} is given {times} times; give it once, with all its values after it")


def _parsed(commands: Mapping[str, Callable[..., None]], words: Sequence[str]) -> Callable[[], None]:
    said, box = _Page(), _Page()
    try:
        with redirect_stdout(said), redirect_stderr(box), _REGISTRY:
            return tyro.extras.subcommand_cli_from_dict(
                {name: _later(command) for name, command in commands.items()},
                prog="microscope",
                description="A microscope for small neural networks: train, record, and inspect.",
                args=words,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.CascadeSubcommandArgs),
            )
    except SystemExit as end:
        print(_wrapped(said.getvalue(), shutil.get_terminal_size().columns), end="")
        if not end.code:
            raise
        _refuse(end, box.getvalue())


def _later(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """The command's call, without making it."""

    @wraps(command)
    def later(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return partial(command, *args, **kwargs)

    command.__doc__ = re.sub(r"\n {12,}", " ", command.__doc__ or "")  # tyro would keep these line breaks
    return later


class _Page(io.StringIO):
    """Text in the colors and characters of standard output."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


_ANSI = r"\x1b\[[\d;]*m"


def _wrapped(text: str, width: int) -> str:
    """Help whose usage and description fit the width, as tyro's boxes do."""
    lines = []
    for line in text.splitlines():
        bare = re.sub(_ANSI, "", line)
        if re.fullmatch(r"│ \(required\) *│", bare):  # says nothing about the list that follows
            continue
        if len(bare) > width and "│" not in line and "─" not in line:
            usage = bare.startswith("usage:")
            filled = partial(textwrap.fill, break_long_words=False, break_on_hyphens=False)
            line = filled(bare.replace(",", ", ") if usage else bare, width, subsequent_indent=" " * 7 * usage)
        lines.append(f"{line}\n")
    return "".join(lines)


_WORDS = (
    (r".*Error parsing .*?(--[\w-]+): invalid literal for int\(\) with base 10: (.*)", r"\1 is \2; it must be a whole number"),
    (r".*Error parsing .*?(--[\w-]+): could not convert string to float: (.*)", r"\1 is \2; it must be a number"),
    (r".*Error parsing .*?(--[\w-]+): no type matching INT\|\{(\w+),(\w+)\} .*? from \['(.*?)'\].*",
     r"\1 is '\4'; it must be a whole number, \2 or \3"),
    (r".*invalid choice (.*) for argument .*?(--[\w-]+).*? Expected one of \((.*)\)\.?", r"\2 is \1; it must be one of \3"),
    (r".*Missing value for argument .*?(--[\w-]+).*? Expected (\d+) values?\.", r"\1 needs \2 values"),
    (r"Unrecognized options Unrecognized options: (.*?)(?: Perhaps .*| Available .*)?", r"this command takes no \1"),
)  # fmt: skip
"""tyro's errors as regular expressions, and the same in our words."""


def _refuse(end: SystemExit, box: str) -> NoReturn:
    """The error that tyro printed, as one of ours."""
    cause = end.__context__
    while cause is not None and not isinstance(cause, MicroscopeError):
        cause = cause.__context__
    if cause is not None:
        raise cause
    if "Missing from" in box:
        missing = re.findall(r"^[│|] {5}(\S.*?) *[│|]$", re.split("full helptext|Unrecognized", box)[0], re.MULTILINE)
        raise UsageError(f"{' and '.join(missing)} is missing")
    text = " ".join(re.sub(rf"[│╭╮╰╯─]|{_ANSI}", " ", box).split())
    text = re.split(" Argument helptext:| For full helptext", text)[0]
    for pattern, words in _WORDS:
        text = re.sub(f"^{pattern}$", words, text)
    raise UsageError(text)


_REGISTRY = ConstructorRegistry()


@_REGISTRY.struct_rule
def _settings(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The options of settings, whose help is the docstring below each field."""
    if not (inspect.isclass(info.type) and issubclass(info.type, Checked)):
        return None
    docs = {name: doc for one in info.type.__mro__ if issubclass(one, Checked) for name, doc in _docs(one)}
    hints = get_type_hints(info.type)
    default = info.default if isinstance(info.default, info.type) else info.type()
    fields = []
    for field in dataclasses.fields(info.type):  # type: ignore[arg-type]
        value, kind = getattr(default, field.name), hints[field.name]
        hint = "(default: that of the data)" if field.name in _OF_THE_DATA else "" if value in ((), "") else None
        several = get_origin(kind) is tuple and get_args(kind)[-1] is ...
        metavar = f"[{get_args(kind)[0].__name__.upper()} ...]" if several else None
        typed: Any = Annotated[kind, tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)]
        fields.append(StructFieldSpec(field.name, typed, value, _help(docs[field.name], hints)))
    return StructConstructorSpec(info.type, tuple(fields))


def _docs(settings: type[Any]) -> Iterator[tuple[str, str]]:
    """(field, its docstring) of a class of settings."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    for field, doc in pairwise(made.body if isinstance(made, ast.ClassDef) else []):
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            yield ast.unparse(field.target), str(doc.value.value)


def _help(doc: str, names: Mapping[str, Any]) -> str:
    """A field's docstring, with other fields as options."""
    doc = re.sub(
        r"`?\b(\w+_\w+)\b`?", lambda found: f"--{found[1].replace('_', '-')}" if found[1] in names else found[1], doc
    )
    return " ".join(doc.split())
