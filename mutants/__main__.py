"""``python -m mutants [--count 100] [--seed 0]``: draws mutations, runs the tests that cover them, and lists what survives.

The tests are run once with coverage to learn which of them reach which line; each mutation then gets the quickest that reach it, in a
copy of the checkout. Of the front end, every condition of the files that display verdicts is a candidate; its tests are the
explorer's in the browser. Survivors that change nothing that can be seen are listed in ``mutants/equivalent.txt`` with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .operators import Mutation, mutations

ROOT = Path(__file__).parents[1]
SOURCES = (
    "statistics.py",
    "claim.py",
    "wording.py",
    "measure.py",
    "analysis/**/*.py",
    "report/*.py",
    "plots/*.py",
    "explorer/payload.py",
)
PAGES = ("card.tsx", "claims.tsx", "missions.ts", "network.tsx", "chance.ts")
TESTS = 25
"""Covering tests that a mutation gets at most."""
SECONDS = 240
"""A mutation whose tests take longer is killed by time."""


def main() -> int:
    """Prints a line a mutation and the survivors; the exit code is 1 where one is not explained."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--pages", type=int, default=8, help="mutations of the front end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path holds this pattern")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".mutants", help="folder of the coverage, made where it is absent"
    )
    asked = parser.parse_args()
    coverage = covering(asked.cache)
    rng = np.random.default_rng(asked.seed)
    given = [one for one in candidates() if re.search(asked.only, one.path)]
    drawn = drawn_from(given, coverage, asked.count, rng) + pages(asked.pages, rng)
    explained = _explained()
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(
            ROOT,
            copy,
            ignore=shutil.ignore_patterns(".git", ".venv*", "runs", "demo*", ".mutants", "node_modules"),
            symlinks=True,
        )
        if (ROOT / "web" / "node_modules").exists():
            (copy / "web" / "node_modules").symlink_to((ROOT / "web" / "node_modules").resolve())
        for number, mutation in enumerate(drawn):
            begun = time.monotonic()
            killed = tried(copy, mutation, coverage.get((mutation.path, mutation.line), []))
            name = describe(mutation)
            print(
                f"{number + 1}/{len(drawn)} {'killed' if killed else 'SURVIVED'} {time.monotonic() - begun:.0f} s {name}",
                flush=True,
            )
            if not killed:
                survivors.append(name)
    unexplained = [name for name in survivors if _key(name) not in explained]
    print(f"{len(drawn) - len(survivors)} of {len(drawn)} killed; {len(survivors) - len(unexplained)} equivalent")
    for name in unexplained:
        print(f"unexplained: {name}")
    return bool(unexplained)


def candidates() -> list[Mutation]:
    """Every mutation of the sources."""
    package = ROOT / "src" / "neural_microscope"
    files = sorted({path for pattern in SOURCES for path in package.glob(pattern)})
    return [one for path in files for one in mutations(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))]


def drawn_from(
    given: list[Mutation], coverage: dict[tuple[str, int], list[str]], count: int, rng: np.random.Generator
) -> list[Mutation]:
    """``count`` of those whose line a test reaches, each operator as often as any other while it has some."""
    reached = [one for one in given if (one.path, one.line) in coverage]
    groups = [
        [reached[i] for i in rng.permutation(len(reached)) if reached[i].operator == kind]
        for kind in sorted({m.operator for m in reached})
    ]
    found: list[Mutation] = []
    while len(found) < count and any(groups):
        found += [group.pop() for group in groups if group]
    return found[:count]


def pages(count: int, rng: np.random.Generator) -> list[Mutation]:
    """Conditions and fields of the front end's files that display verdicts, one taken for another."""
    found = []
    for name in PAGES:
        path = ROOT / "web" / "src" / name
        if not path.exists():
            continue
        text = path.read_text("utf-8")
        for old, new in (
            ("nullLow", "nullHigh"),
            ("nullHigh", "high"),
            ("shown", "!shown"),
            ("sentence", "reasons"),
            (" && ", " || "),
            (".low", ".high"),
        ):
            for match in re.finditer(
                rf"(?<![\w\"]){re.escape(old)}(?![\w\"])" if old[0] not in " ." else re.escape(old), text
            ):
                line = text.count("\n", 0, match.start()) + 1
                found.append(Mutation(f"web/src/{name}", line, match.start(), match.end(), new, "page"))
    return [found[i] for i in rng.permutation(len(found))[:count]]


def covering(cache: Path) -> dict[tuple[str, int], list[str]]:
    """(file, line) -> the tests that reach it, the quickest first; measured once."""
    data = cache / "coverage.sqlite"
    if not data.exists():
        cache.mkdir(exist_ok=True)
        settings = cache / "settings.cfg"
        settings.write_text(
            f"[run]\nsource = neural_microscope\ndynamic_context = test_function\ndata_file = {data}\n", "utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "coverage",
            "run",
            f"--rcfile={settings}",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        command += ["-m", "not slow and not interop and not browser", "--durations=0", "--durations-min=0", "-vv"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        (cache / "durations.json").write_text(json.dumps(_durations(done.stdout)), "utf-8")
    seconds = json.loads((cache / "durations.json").read_text("utf-8"))
    found: dict[tuple[str, int], list[str]] = {}
    with sqlite3.connect(data) as base:
        rows = base.execute(
            "select file.path, context.context, line_bits.numbits from line_bits join file on file.id = line_bits.file_id "
            "join context on context.id = line_bits.context_id where context.context != ''"
        )
        for path, context, bits in rows:
            test = _node(context)
            for line in _lines(bits):
                found.setdefault((Path(path).relative_to(ROOT).as_posix(), line), []).append(test)
    for tests in found.values():
        tests.sort(key=lambda test: seconds.get(test, 60.0))
    return found


def _durations(printed: str) -> dict[str, float]:
    """Seconds of each test function, of its parametrized forms the longest."""
    found: dict[str, float] = {}
    for seconds, test in re.findall(r"([\d.]+)s call\s+(\S+)", printed):
        name = test.split("[")[0]
        found[name] = max(found.get(name, 0.0), float(seconds))
    return found


def _node(context: str) -> str:
    """pytest's name of a test function, of coverage's: ``tests.plots.test_style.test_x`` -> ``tests/plots/test_style.py::test_x``."""
    module, _, name = context.rpartition(".")
    for start in ("", "tests."):
        path = (start + module).replace(".", "/") + ".py"
        if (ROOT / path).exists():
            return f"{path}::{name}"
    return next(
        (
            f"{p.relative_to(ROOT).as_posix()}::{name}"
            for p in (ROOT / "tests").rglob(f"{module.rpartition('.')[2]}.py")
        ),
        context,
    )


def _lines(bits: bytes) -> list[int]:
    return [8 * place + bit for place, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1]


def tried(copy: Path, mutation: Mutation, tests: list[str]) -> bool:
    """True if a test fails with the mutation in the copy."""
    path = copy / mutation.path
    text = path.read_text("utf-8")
    path.write_text(mutation.applied(text), "utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        if mutation.path.startswith("web/"):
            built = subprocess.run(
                [sys.executable, "hatch_build.py"], cwd=copy, env=environment, capture_output=True, check=False
            )
            if built.returncode:
                return True
            tests = ["tests/explorer", "tests/test_pages_agree.py"]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow and not interop",
            *tests[:TESTS],
        ]
        return bool(
            subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False
            ).returncode
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(text, "utf-8")


def describe(mutation: Mutation) -> str:
    """``file:line operator: old -> new in the line``."""
    text = (ROOT / mutation.path).read_text("utf-8")
    old = " ".join(text[mutation.start : mutation.end].split())
    new = " ".join(mutation.new.split())
    line = text.splitlines()[mutation.line - 1].strip()
    return f"{mutation.path}:{mutation.line} {mutation.operator}: {old[:60]} -> {new[:60]} in {line}"


def _key(name: str) -> str:
    """A mutation's name without its line, which moves."""
    return re.sub(r":\d+ ", " ", name, count=1)


def _explained() -> set[str]:
    path = Path(__file__).with_name("equivalent.txt")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {line.split(" # ")[0].strip() for line in lines if line.strip() and not line.startswith("#")}


if __name__ == "__main__":
    sys.exit(main())
