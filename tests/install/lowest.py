"""Prints the lowest versions that pyproject.toml declares, as pip constraints: ``python tests/install/lowest.py EXTRA … > lowest.txt``.

Of the package itself and of the extras named. PyTorch is the one that constraints.txt pins: another brings gigabytes.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lowest(extras: list[str]) -> list[str]:
    """``name==bound`` for every requirement. Errors: ValueError where a requirement declares no lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(requirement for extra in extras for requirement in optional[extra])]
    found = re.findall(r"^torch==.*", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    for requirement in wanted:
        name = re.split(r"[^\w.-]", requirement)[0]
        if name in ("torch", project["name"]):  # the package's own name: an extra that names another
            continue
        bound = re.search(r">=\s*([\w.]+)", requirement)
        if bound is None:
            raise ValueError(f"pyproject.toml: {requirement!r} declares no lowest version (name>=version)")
        found.append(f"{name}=={bound[1]}")
    return sorted(set(found))


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
