"""The page of the documentation about the corpus: docs/corpus.md, written by `make test-corpus`."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corpus_checks import COUNT, STEPS, Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "corpus.md"
CHECKS = ("activations", "gradients", "ablation", "effects", "recorded", "reported")
PATTERN = """# Networks that were tried

`make test-corpus` builds {count} small networks of {families} families with random weights, takes each through the library, and writes this
page. The expected values come from plain PyTorch hooks. A wrong value fails the run, so that no page is written; a refusal is shown with
its reason.

| column | what is checked |
|---|---|
| hook points | Values in the cache of one forward pass of {examples} examples: each call of a module and each part of an output counts |
| activations | All are bitwise equal to what `register_forward_hook` sees; none is missing and none is added |
| gradients | Those of a loss at each hook point equal those of zeros added there (1e-5) |
| ablation | One unit set to 0 at two hook points: the output equals that with a hand-written hook (1e-5) |
| effects | `ablate_all` at one hook point: the change of each example's loss, unit by unit, equals that with a hand-written hook (1e-5) |
| recorded | {steps} steps with `nm.record`: hook points recorded of those reached; values of plain hooks (1e-5), weights bitwise |
| reported | `nm.report.write` of a run of two hook points: the number of its claims and descriptions |

`ablate_all` takes logits and gives the model floating-point numbers; a wrapper of five lines takes the logits out of any other
output, and makes tokens integers again.

{table}

## Refusals and their reasons

| architecture | step | reason |
|---|---|---|
{refused}

## Hook points that are not recorded

| architecture | reason |
|---|---|
{left}

Measured with Python {python}, torch {torch} and transformers {transformers} on the package with the SHA-256 `{code}…`
(`src/neural_microscope/**/*.py`). timm is not among them, because it needs torchvision in the build that fits torch.
"""


def page(rows: Sequence[Row]) -> str:
    """The page in Markdown."""
    families = {row.architecture.family for row in rows}
    table = [
        "| family | architecture | hook points | " + " | ".join(CHECKS) + " |",
        "|---|---|---|" + "---|" * len(CHECKS),
        *(
            f"| {row.architecture.family} | {row.architecture.name} | {row.hook_points} | "
            + " | ".join(getattr(row, check) or "refused" for check in CHECKS)
            + " |"
            for row in rows
        ),
    ]
    refused = [
        f"| {row.architecture.name} | {check} | {_cell(reason)} |"
        for row in rows
        for check, reason in row.reasons.items()
    ]
    left = [f"| {row.architecture.name} | {_cell(reason)} |" for row in rows for reason in row.left]
    return PATTERN.format(
        count=len(rows),
        families=len(families),
        examples=COUNT,
        steps=STEPS,
        table="\n".join(table),
        refused="\n".join(refused),
        left="\n".join(left),
        python=platform.python_version(),
        torch=version("torch"),
        transformers=version("transformers"),
        code=code(),
    )


def code() -> str:
    """A hash of the code that the page measured."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src/neural_microscope").rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _cell(text: str) -> str:
    """Text that a cell can hold."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the page, or of its main table."""
    under = text.partition(heading)[2]
    lines = re.search(r"^(\|.*\n)+", under.partition("|---|")[2].partition("\n")[2], re.M)
    return (
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[0].splitlines()]
        if lines
        else []
    )
